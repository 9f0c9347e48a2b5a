package dev.baton.engine.cache;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** The unlocked leaves, least recently used on top: a binary heap in which a node knows its place. */
final class LeafHeap {
    private @Nullable CacheNode[] heap = new CacheNode[64];
    private int size;

    int size() {
        return size;
    }

    @Nullable
    CacheNode top() {
        return size == 0 ? null : heap[0];
    }

    void add(CacheNode node) {
        if (size == heap.length) {
            heap = Arrays.copyOf(heap, size * 2);
        }
        place(node, size++);
        up(node);
    }

    void remove(CacheNode node) {
        int index = node.heapIndex;
        node.heapIndex = -1;
        CacheNode last = at(--size);
        heap[size] = null;
        if (last != node) {
            place(last, index);
            up(last);
            down(last);
        }
    }

    /** The node was used now, later than any other. */
    void used(CacheNode node) {
        down(node);
    }

    void clear() {
        Arrays.fill(heap, 0, size, null);
        size = 0;
    }

    private CacheNode at(int index) {
        CacheNode node = heap[index];
        if (node == null) {
            throw new IllegalStateException("no leaf at " + index);
        }
        return node;
    }

    private void place(CacheNode node, int index) {
        heap[index] = node;
        node.heapIndex = index;
    }

    private void up(CacheNode node) {
        int index = node.heapIndex;
        while (index > 0) {
            CacheNode parent = at(index - 1 >> 1);
            if (!before(node, parent)) {
                break;
            }
            place(parent, index);
            index = index - 1 >> 1;
        }
        place(node, index);
    }

    private void down(CacheNode node) {
        int index = node.heapIndex;
        while (true) {
            int child = 2 * index + 1;
            if (child >= size) {
                break;
            }
            if (child + 1 < size && before(at(child + 1), at(child))) {
                child++;
            }
            if (!before(at(child), node)) {
                break;
            }
            place(at(child), index);
            index = child;
        }
        place(node, index);
    }

    private static boolean before(CacheNode a, CacheNode b) {
        return a.lastUsed != b.lastUsed ? a.lastUsed < b.lastUsed : a.id < b.id;
    }
}
