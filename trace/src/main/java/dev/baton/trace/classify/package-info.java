/** What a kernel does, told from its name by rules. */
@NullMarked
package dev.baton.trace.classify;

import org.jspecify.annotations.NullMarked;
