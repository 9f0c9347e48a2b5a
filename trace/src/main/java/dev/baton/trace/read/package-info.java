/** Traces read from files: whole, damaged, merged, or exported by Nsight Systems. */
@NullMarked
package dev.baton.trace.read;

import org.jspecify.annotations.NullMarked;
