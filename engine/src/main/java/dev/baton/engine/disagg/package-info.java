/** Prefill and decode as separate servers: configuration, registration and lookup, the queues of each role. */
@NullMarked
package dev.baton.engine.disagg;

import org.jspecify.annotations.NullMarked;
