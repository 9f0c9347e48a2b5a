/** A device's work, cut into steps. */
@NullMarked
package dev.baton.trace.step;

import org.jspecify.annotations.NullMarked;
