package dev.baton.engine.cache;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The prefix cache as plainly as it can be said: one node a page, every rule a walk over all of them. */
final class PageTrie {
    static final class Page {
        final Page parent;
        final int[] slots;
        final Map<List<Integer>, Page> children = new HashMap<>();
        long lastUsed;
        int locks;

        Page(Page parent, int[] slots) {
            this.parent = parent;
            this.slots = slots;
        }
    }

    final int page;
    final Map<String, Page> roots = new HashMap<>();
    private long clock;

    PageTrie(int page) {
        this.page = page;
    }

    List<Page> match(String salt, int[] ids, int tokens, boolean use) {
        List<Page> path = new ArrayList<>();
        Page node = roots.computeIfAbsent(salt, k -> new Page(null, new int[0]));
        if (use) {
            clock++;
        }
        for (int at = 0; at + page <= tokens; at += page) {
            node = node.children.get(key(ids, at));
            if (node == null) {
                break;
            }
            if (use) {
                node.lastUsed = clock;
            }
            path.add(node);
        }
        return path;
    }

    /** The pages of the whole path; those not there before take the given slots. */
    List<Page> insert(String salt, int[] ids, int tokens, int[] slots) {
        List<Page> path = match(salt, ids, tokens, true);
        Page node = path.isEmpty() ? roots.get(salt) : path.getLast();
        for (int at = path.size() * page; at + page <= tokens; at += page) {
            Page next = new Page(node, java.util.Arrays.copyOfRange(slots, at, at + page));
            next.lastUsed = clock;
            node.children.put(key(ids, at), next);
            path.add(next);
            node = next;
        }
        return path;
    }

    int evict(int tokens) {
        int freed = 0;
        while (freed < tokens) {
            Page oldest = null;
            for (Page p : all()) {
                if (p.locks == 0 && p.children.isEmpty() && (oldest == null || p.lastUsed < oldest.lastUsed)) {
                    oldest = p;
                }
            }
            if (oldest == null) {
                break;
            }
            oldest.parent.children.values().remove(oldest);
            freed += page;
        }
        return freed;
    }

    List<Page> all() {
        List<Page> pages = new ArrayList<>();
        roots.values().forEach(root -> collect(root, pages));
        return pages;
    }

    private static void collect(Page node, List<Page> into) {
        for (Page child : node.children.values()) {
            into.add(child);
            collect(child, into);
        }
    }

    private List<Integer> key(int[] ids, int at) {
        List<Integer> key = new ArrayList<>(page);
        for (int i = 0; i < page; i++) {
            key.add(ids[at + i]);
        }
        return key;
    }
}
