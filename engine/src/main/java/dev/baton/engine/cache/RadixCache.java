package dev.baton.engine.cache;

import dev.baton.engine.EngineException;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A radix tree over token ids whose edges are whole pages (Zheng et al., "SGLang: Efficient Execution of Structured
 * Language Model Programs", 2024). Children are found by the content of their first page; an edge is compared with
 * one array mismatch. A node that is matched in part is split, and the lower part stays the same object, so that the
 * locks of requests remain valid.
 *
 * <p>Eviction takes pages from the end of the least recently used unlocked leaf, only as many as are wanted.
 *
 * <p>Invariant: {@code evictable + protected} is the number of tokens in the tree; a node's {@code locks} is the number
 * of locks taken on it and below it.
 */
public final class RadixCache implements PrefixCache {
    private static final int[] NONE = {};

    private final SlotAllocator allocator;
    private final int page;
    private final Map<String, CacheNode> salted = new HashMap<>();
    private final LeafHeap leaves = new LeafHeap();
    private final CacheNode root;
    private long clock;
    private long nextId = 1;
    private int evictable;
    private int locked;

    /** A tree that frees what it evicts into the allocator and has its page size. */
    public RadixCache(SlotAllocator allocator) {
        this.allocator = allocator;
        this.page = allocator.pageTokens();
        this.root = new CacheNode(0, null, NONE, NONE, 0, 0);
    }

    @Override
    public Match match(@Nullable String salt, int[] ids, int tokens) {
        CacheNode node = rootOf(salt);
        if (node == null) {
            return new Match(null, 0);
        }
        int end = tokens - tokens % page;
        int at = 0;
        clock++;
        while (at < end) {
            CacheNode child = node.children.find(ids, at, page, hash(ids, at));
            if (child == null) {
                break;
            }
            int common = commonPages(child, ids, at, end);
            if (common < child.length) {
                node = split(child, common);
                touch(node);
                at += common;
                break;
            }
            node = child;
            touch(node);
            at += common;
        }
        return new Match(at == 0 ? null : node, at);
    }

    @Override
    public int matchedTokens(@Nullable String salt, int[] ids, int tokens) {
        CacheNode node = rootOf(salt);
        int end = tokens - tokens % page;
        int at = 0;
        while (node != null && at < end) {
            CacheNode child = node.children.find(ids, at, page, hash(ids, at));
            if (child == null) {
                break;
            }
            int common = commonPages(child, ids, at, end);
            at += common;
            node = common < child.length ? null : child;
        }
        return at;
    }

    @Override
    public void copySlots(@Nullable CacheNode node, int[] into) {
        for (CacheNode n = node; n != null && n.length > 0; n = n.parent) {
            System.arraycopy(n.slots, 0, into, n.depth - n.length, n.length);
        }
    }

    @Override
    public Inserted insert(@Nullable String salt, int[] ids, int tokens, int[] slots) {
        int end = tokens - tokens % page;
        if (end == 0) {
            return new Inserted(null, 0, 0);
        }
        CacheNode node = rootOf(salt);
        if (node == null) {
            node = new CacheNode(nextId++, root, NONE, NONE, 0, 0);
            salted.put(salt, node);
        }
        int at = 0;
        clock++;
        while (at < end) {
            CacheNode child = node.children.find(ids, at, page, hash(ids, at));
            if (child == null) {
                break;
            }
            int common = commonPages(child, ids, at, end);
            node = common < child.length ? split(child, common) : child;
            touch(node);
            at += common;
        }
        int present = at;
        if (at < end) {
            node = addLeaf(node, ids, slots, at, end);
        }
        return new Inserted(node, present, end);
    }

    @Override
    public void lock(@Nullable CacheNode node) {
        for (CacheNode n = node; n != null && n.length > 0; n = n.parent) {
            if (n.locks++ == 0) {
                evictable -= n.length;
                locked += n.length;
                if (n.heapIndex >= 0) {
                    leaves.remove(n);
                }
            }
        }
    }

    @Override
    public void unlock(@Nullable CacheNode node) {
        for (CacheNode n = node; n != null && n.length > 0; n = n.parent) {
            if (n.locks <= 0) {
                throw new EngineException(EngineException.Code.INTERNAL, "a cache node is unlocked but not locked");
            }
            if (--n.locks == 0) {
                evictable += n.length;
                locked -= n.length;
                if (n.children.size() == 0) {
                    leaves.add(n);
                }
            }
        }
    }

    @Override
    public int evict(int tokens) {
        int freed = 0;
        while (freed < tokens) {
            CacheNode leaf = leaves.top();
            if (leaf == null) {
                break;
            }
            int wanted = (tokens - freed + page - 1) / page * page;
            int count = Math.min(wanted, leaf.length);
            allocator.free(leaf.slots, leaf.length - count, leaf.length);
            leaf.length -= count;
            leaf.depth -= count;
            evictable -= count;
            freed += count;
            if (leaf.length == 0) {
                removeLeaf(leaf);
            }
        }
        return freed;
    }

    @Override
    public int evictableTokens() {
        return evictable;
    }

    @Override
    public int protectedTokens() {
        return locked;
    }

    @Override
    public void clear() {
        if (locked != 0) {
            throw new EngineException(
                    EngineException.Code.INTERNAL, locked + " cached tokens are in use and cannot be flushed");
        }
        evict(evictable);
        leaves.clear();
        salted.clear();
    }

    /** Calls the visitor with the depth-first nodes, for checks. */
    void forEachNode(java.util.function.Consumer<CacheNode> visitor) {
        visit(root, visitor);
        salted.values().forEach(node -> visit(node, visitor));
    }

    private static void visit(CacheNode node, java.util.function.Consumer<CacheNode> visitor) {
        node.children.forEach(child -> {
            visitor.accept(child);
            visit(child, visitor);
        });
    }

    private @Nullable CacheNode rootOf(@Nullable String salt) {
        return salt == null ? root : salted.get(salt);
    }

    /** Length of the pages that the node's edge and {@code ids[at, end)} share; at least one page. */
    private int commonPages(CacheNode node, int[] ids, int at, int end) {
        int length = Math.min(node.length, end - at);
        int differs = Arrays.mismatch(node.key, 0, length, ids, at, at + length);
        return differs < 0 ? length : differs - differs % page;
    }

    /** Splits a node after {@code tokens}; returns the upper part, a new node. */
    private CacheNode split(CacheNode node, int tokens) {
        CacheNode parent = parentOf(node);
        CacheNode upper = new CacheNode(
                nextId++,
                parent,
                Arrays.copyOf(node.key, tokens),
                Arrays.copyOf(node.slots, tokens),
                tokens,
                node.depth - node.length + tokens);
        upper.locks = node.locks;
        upper.lastUsed = node.lastUsed;
        upper.hash = node.hash;
        parent.children.replace(node, upper);
        node.key = Arrays.copyOfRange(node.key, tokens, node.length);
        node.slots = Arrays.copyOfRange(node.slots, tokens, node.length);
        node.length -= tokens;
        node.parent = upper;
        node.hash = hash(node.key, 0);
        upper.children.add(node);
        return upper;
    }

    private CacheNode addLeaf(CacheNode parent, int[] ids, int[] slots, int from, int end) {
        CacheNode leaf = new CacheNode(
                nextId++,
                parent,
                Arrays.copyOfRange(ids, from, end),
                Arrays.copyOfRange(slots, from, end),
                end - from,
                end);
        leaf.hash = hash(ids, from);
        leaf.lastUsed = clock;
        if (parent.heapIndex >= 0) {
            leaves.remove(parent);
        }
        parent.children.add(leaf);
        evictable += leaf.length;
        leaves.add(leaf);
        return leaf;
    }

    private void removeLeaf(CacheNode leaf) {
        leaves.remove(leaf);
        CacheNode parent = parentOf(leaf);
        parent.children.remove(leaf);
        leaf.parent = null;
        if (parent.children.size() == 0) {
            if (parent.length > 0) {
                if (parent.locks == 0) {
                    leaves.add(parent);
                }
            } else if (parent != root) {
                salted.values().remove(parent);
            }
        }
    }

    private void touch(CacheNode node) {
        node.lastUsed = clock;
        if (node.heapIndex >= 0) {
            leaves.used(node);
        }
    }

    private static CacheNode parentOf(CacheNode node) {
        CacheNode parent = node.parent;
        if (parent == null) {
            throw new IllegalStateException("the root has no parent");
        }
        return parent;
    }

    /** Of one page; four sums at once, because a single chain of multiplications is what takes the time. */
    private int hash(int[] ids, int at) {
        int a = 0;
        int b = 0;
        int c = 0;
        int d = 0;
        int i = at;
        int end = at + page;
        for (; i + 3 < end; i += 4) {
            a = a * 31 + ids[i];
            b = b * 37 + ids[i + 1];
            c = c * 41 + ids[i + 2];
            d = d * 43 + ids[i + 3];
        }
        for (; i < end; i++) {
            a = a * 31 + ids[i];
        }
        int h = (a ^ Integer.rotateLeft(b, 8) ^ Integer.rotateLeft(c, 16) ^ Integer.rotateLeft(d, 24)) * 0x9E3779B9;
        return h ^ h >>> 15;
    }
}
