package dev.baton.engine.cache;

import org.jspecify.annotations.Nullable;

/** Keeps nothing: for {@code --disable-radix-cache} and for decode servers. */
public final class NoPrefixCache implements PrefixCache {
    private static final Match NOTHING = new Match(null, 0);
    private static final Inserted KEPT_NOTHING = new Inserted(null, 0, 0);

    @Override
    public Match match(@Nullable String salt, int[] ids, int tokens) {
        return NOTHING;
    }

    @Override
    public int matchedTokens(@Nullable String salt, int[] ids, int tokens) {
        return 0;
    }

    @Override
    public void copySlots(@Nullable CacheNode node, int[] into) {}

    @Override
    public Inserted insert(@Nullable String salt, int[] ids, int tokens, int[] slots) {
        return KEPT_NOTHING;
    }

    @Override
    public void lock(@Nullable CacheNode node) {}

    @Override
    public void unlock(@Nullable CacheNode node) {}

    @Override
    public int evict(int tokens) {
        return 0;
    }

    @Override
    public int evictableTokens() {
        return 0;
    }

    @Override
    public int protectedTokens() {
        return 0;
    }

    @Override
    public void clear() {}
}
