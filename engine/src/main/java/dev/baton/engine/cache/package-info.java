/**
 * Who owns which cache slot: the page allocator, the table rows and the prefix tree. Plain data for the scheduler's
 * thread alone; nothing here touches device memory.
 */
@NullMarked
package dev.baton.engine.cache;

import org.jspecify.annotations.NullMarked;
