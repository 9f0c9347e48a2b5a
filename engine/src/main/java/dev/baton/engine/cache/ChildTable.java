package dev.baton.engine.cache;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** The children of a node by the content of their first page: open addressing with linear probing. */
final class ChildTable {
    private static final CacheNode[] EMPTY = new CacheNode[0];

    private @Nullable CacheNode[] table = EMPTY;
    private int size;

    int size() {
        return size;
    }

    /** The child whose first page is {@code ids[offset, offset + pageTokens)}, or null. */
    @Nullable
    CacheNode find(int[] ids, int offset, int pageTokens, int hash) {
        if (size == 0) {
            return null;
        }
        int mask = table.length - 1;
        for (int i = hash & mask; ; i = i + 1 & mask) {
            CacheNode node = table[i];
            if (node == null) {
                return null;
            }
            if (node.hash == hash
                    && (pageTokens == 1
                            ? node.key[0] == ids[offset]
                            : Arrays.equals(node.key, 0, pageTokens, ids, offset, offset + pageTokens))) {
                return node;
            }
        }
    }

    /** Adds a child whose first page no other child has. */
    void add(CacheNode node) {
        if ((size + 1) * 4 > table.length * 3) {
            @Nullable CacheNode[] old = table;
            table = new CacheNode[Math.max(2, old.length * 2)];
            for (CacheNode other : old) {
                if (other != null) {
                    place(other);
                }
            }
        }
        place(node);
        size++;
    }

    /** Puts a node where another one with the same first page stands. */
    void replace(CacheNode old, CacheNode node) {
        table[indexOf(old)] = node;
    }

    void remove(CacheNode node) {
        int mask = table.length - 1;
        int hole = indexOf(node);
        table[hole] = null;
        size--;
        // Close the gap: a later node of the same run moves into the hole when its home is not between them.
        for (int i = hole + 1 & mask; ; i = i + 1 & mask) {
            CacheNode other = table[i];
            if (other == null) {
                return;
            }
            int home = other.hash & mask;
            if ((i - home & mask) >= (i - hole & mask)) {
                table[hole] = other;
                table[i] = null;
                hole = i;
            }
        }
    }

    /** Calls the visitor with every child. */
    void forEach(java.util.function.Consumer<CacheNode> visitor) {
        for (CacheNode node : table) {
            if (node != null) {
                visitor.accept(node);
            }
        }
    }

    private void place(CacheNode node) {
        int mask = table.length - 1;
        int i = node.hash & mask;
        while (table[i] != null) {
            i = i + 1 & mask;
        }
        table[i] = node;
    }

    private int indexOf(CacheNode node) {
        int mask = table.length - 1;
        int i = node.hash & mask;
        while (table[i] != node) {
            if (table[i] == null) {
                throw new IllegalStateException("the node is not a child of its parent");
            }
            i = i + 1 & mask;
        }
        return i;
    }
}
