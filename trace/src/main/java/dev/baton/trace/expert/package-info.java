/** Recorded expert loads, their balance, and placements. Depends on nothing else of this module but its exception. */
@NullMarked
package dev.baton.trace.expert;

import org.jspecify.annotations.NullMarked;
