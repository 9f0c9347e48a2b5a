package dev.baton.engine.cache;

import org.jspecify.annotations.Nullable;

/** A stretch of cached tokens in the prefix tree; a handle for others. */
public final class CacheNode {
    /** Orders nodes that were last used at the same time, so that eviction is deterministic. */
    final long id;

    @Nullable
    CacheNode parent;

    /** [>= length] token ids and their slots; a multiple of the page size counts. */
    int[] key;

    int[] slots;
    int length;
    /** Tokens from the root to the end of this node. */
    int depth;
    /** Requests that use this node or one below it. */
    int locks;
    /** Logical time of the last match or insert that walked through. */
    long lastUsed;
    /** Hash of the first page: the place in the parent's table. */
    int hash;
    /** Place in the heap of unlocked leaves, -1 when not there. */
    int heapIndex = -1;

    final ChildTable children = new ChildTable();

    CacheNode(long id, @Nullable CacheNode parent, int[] key, int[] slots, int length, int depth) {
        this.id = id;
        this.parent = parent;
        this.key = key;
        this.slots = slots;
        this.length = length;
        this.depth = depth;
    }

    /** Tokens from the root to the end of this node. */
    public int depth() {
        return depth;
    }
}
