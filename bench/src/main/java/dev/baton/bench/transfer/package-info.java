/** How fast KV moves between servers. */
package dev.baton.bench.transfer;
