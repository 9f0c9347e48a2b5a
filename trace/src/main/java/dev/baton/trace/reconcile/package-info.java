/** One rate from trace, log and client. */
@NullMarked
package dev.baton.trace.reconcile;

import org.jspecify.annotations.NullMarked;
