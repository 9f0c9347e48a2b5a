/** Ranks side by side: matched collectives, clocks, who waits for whom. */
@NullMarked
package dev.baton.trace.align;

import org.jspecify.annotations.NullMarked;
