package dev.baton.engine.schedule;

import dev.baton.engine.EngineException;
import dev.baton.engine.cache.CacheNode;
import dev.baton.engine.cache.NoPrefixCache;
import dev.baton.engine.cache.PrefixCache;
import dev.baton.engine.cache.RadixCache;
import dev.baton.engine.cache.RowPool;
import dev.baton.engine.cache.SlotAllocator;

/**
 * The slots, rows and cached prefixes of one rank group, as requests take and leave them.
 *
 * <p>A request owns the slots of positions {@code [treeTokens, filled)}; those below belong to the prefix cache, kept by
 * the lock on its {@code node}. Idle: free + evictable = total, protected = 0, every row free.
 */
final class KvSpace {
    private final SlotAllocator allocator;
    private final PrefixCache cache;
    private final RowPool rows;

    KvSpace(int poolTokens, int pageTokens, int maxRows, boolean radixCache) {
        allocator = new SlotAllocator(poolTokens, pageTokens);
        cache = radixCache ? new RadixCache(allocator) : new NoPrefixCache();
        rows = new RowPool(maxRows);
    }

    int pageTokens() {
        return allocator.pageTokens();
    }

    int totalTokens() {
        return allocator.totalTokens();
    }

    int freeTokens() {
        return allocator.freeTokens();
    }

    int evictableTokens() {
        return cache.evictableTokens();
    }

    int protectedTokens() {
        return cache.protectedTokens();
    }

    /** What a request can get: free or evictable. */
    int availableTokens() {
        return allocator.freeTokens() + cache.evictableTokens();
    }

    int usedTokens() {
        return totalTokens() - availableTokens();
    }

    int freeRows() {
        return rows.freeRows();
    }

    int maxRows() {
        return rows.rows();
    }

    /** Cached tokens that the request would find now. */
    int matchedTokens(Request r) {
        return cache.matchedTokens(r.source.cacheSalt(), r.ids, matchLimit(r));
    }

    /**
     * Finds and locks the request's cached prefix and takes over its slots.
     *
     * @return its length
     */
    int enter(Request r) {
        PrefixCache.Match match = cache.match(r.source.cacheSalt(), r.ids, matchLimit(r));
        cache.lock(match.node());
        r.node = match.node();
        r.treeTokens = match.tokens();
        r.filled = match.tokens();
        r.reserveSlots(match.tokens());
        cache.copySlots(match.node(), r.slots);
        return match.tokens();
    }

    /** Takes a row for the request; its prefix is written there with the next step. */
    boolean takeRow(Request r) {
        r.row = rows.take();
        r.writeRow = r.row >= 0;
        return r.writeRow;
    }

    /**
     * Gives slots to positions up to {@code to}, evicting what is needed.
     *
     * @return false when there is not enough memory; nothing has changed then but evictions
     */
    boolean extend(Request r, int to) {
        int missing = allocator.pagesFor(r.filled, to) - allocator.freePages();
        if (missing > 0) {
            cache.evict(missing * pageTokens());
        }
        r.reserveSlots(to);
        if (!allocator.extend(r.slots, r.filled, to)) {
            return false;
        }
        r.filled = to;
        return true;
    }

    /** Pages short of giving each of {@code pages} new pages, after evicting; 0 when there are enough. */
    int shortPages(int pages) {
        int missing = pages - allocator.freePages();
        if (missing > 0) {
            cache.evict(missing * pageTokens());
            missing = pages - allocator.freePages();
        }
        return Math.max(missing, 0);
    }

    /** True when the request's next token begins a page. */
    boolean needsPage(Request r) {
        return r.filled % pageTokens() == 0;
    }

    /**
     * Shares the first {@code tokens} positions, whose KV every launched step will have written, through the prefix
     * cache. Where another request was first, its slots replace this one's.
     */
    void share(Request r, int tokens) {
        PrefixCache.Inserted inserted = cache.insert(r.source.cacheSalt(), r.ids, tokens, r.slots);
        if (inserted.insertedTokens() <= r.treeTokens) {
            return;
        }
        CacheNode old = r.node;
        cache.lock(inserted.node());
        if (inserted.presentTokens() > r.treeTokens) {
            allocator.free(r.slots, r.treeTokens, inserted.presentTokens());
            cache.copySlots(inserted.node(), r.slots);
            r.writeRow = true;
        }
        r.node = inserted.node();
        r.treeTokens = inserted.insertedTokens();
        cache.unlock(old);
    }

    /**
     * Takes everything back.
     *
     * @param keep whether the known part stays in the prefix cache
     */
    void release(Request r, boolean keep) {
        if (keep) {
            share(r, Math.min(r.filled, r.known));
        }
        allocator.free(r.slots, r.treeTokens, r.filled);
        cache.unlock(r.node);
        r.node = null;
        r.treeTokens = 0;
        r.filled = 0;
        r.slots = new int[0];
        if (r.row >= 0) {
            rows.free(r.row);
            r.row = -1;
        }
    }

    /** Empties the prefix cache; nothing may be in use. */
    void flush() {
        cache.clear();
    }

    /**
     * Checks that nothing has leaked while no request lives.
     *
     * @throws EngineException INTERNAL with the numbers
     */
    void checkIdle() {
        if (availableTokens() != totalTokens() || protectedTokens() != 0 || rows.freeRows() != rows.rows()) {
            throw new EngineException(
                    EngineException.Code.INTERNAL,
                    "cache leak: " + freeTokens() + " free + " + evictableTokens() + " evictable + " + protectedTokens()
                            + " protected of " + totalTokens() + " tokens, " + rows.freeRows() + " free of "
                            + rows.rows() + " rows");
        }
    }

    /** At least one token is computed; prompt positions whose log probability is wanted need their own logits. */
    private static int matchLimit(Request r) {
        var spec = r.logprobs();
        int limit = r.known - 1;
        return spec == null || spec.startPosition() < 0
                ? limit
                : Math.min(limit, Math.max(spec.startPosition() - 1, 0));
    }
}
