package dev.baton.engine.cache;

import org.jspecify.annotations.Nullable;

/**
 * Cached prefixes by token content. Lengths are whole pages throughout: what is asked for is cut down to a page
 * multiple. A salt (adapter, tenant) separates prefixes of equal content; null is a salt of its own.
 *
 * <p>The cache owns the slots it holds. A request that uses them holds a lock on the deepest node; locked nodes are
 * never evicted. Not thread safe: one scheduler thread owns it.
 */
public interface PrefixCache {

    /**
     * @param node deepest node of the match; lock it to keep it
     * @param tokens matched length
     */
    record Match(@Nullable CacheNode node, int tokens) {}

    /**
     * @param node deepest node, which stands at the inserted length
     * @param presentTokens how much of it was there before; those positions keep the cache's own slots
     * @param insertedTokens length that the cache now holds for this content: 0 when it keeps nothing
     */
    record Inserted(@Nullable CacheNode node, int presentTokens, int insertedTokens) {}

    /** Longest cached prefix of {@code ids[0, tokens)}; marks the path as used now. */
    Match match(@Nullable String salt, int[] ids, int tokens);

    /** Its length alone, leaving order and shape as they are. */
    int matchedTokens(@Nullable String salt, int[] ids, int tokens);

    /** Writes the slots of positions 0 to the node's depth. */
    void copySlots(@Nullable CacheNode node, int[] into);

    /**
     * Hands the slots of {@code ids[0, tokens)} to the cache. Positions below {@link Inserted#presentTokens} that the
     * caller holds in slots of its own stay the caller's, to be freed.
     */
    Inserted insert(@Nullable String salt, int[] ids, int tokens, int[] slots);

    /** Keeps the node and its ancestors until {@link #unlock}. Null is allowed and does nothing. */
    void lock(@Nullable CacheNode node);

    /** Ends one {@link #lock}. */
    void unlock(@Nullable CacheNode node);

    /**
     * Gives the least recently used unlocked slots back to the allocator.
     *
     * @param tokens how many are wanted
     * @return how many were freed: fewer only when nothing else is evictable
     */
    int evict(int tokens);

    /** Tokens that nobody has locked. */
    int evictableTokens();

    /** Tokens on locked paths. */
    int protectedTokens();

    /** Frees everything; nothing may be locked. */
    void clear();
}
