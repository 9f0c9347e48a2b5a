/** Two sets of traces compared, with what chance would make. */
@NullMarked
package dev.baton.trace.diff;

import org.jspecify.annotations.NullMarked;
