/**
 * Moving KV pages from a prefill server to a decode server: the {@link dev.baton.engine.disagg.transfer.KvSender} and
 * {@link dev.baton.engine.disagg.transfer.KvReceiver} that the schedulers poll, and the transports below them (shared
 * memory, TCP, in process).
 */
@NullMarked
package dev.baton.engine.disagg.transfer;

import org.jspecify.annotations.NullMarked;
