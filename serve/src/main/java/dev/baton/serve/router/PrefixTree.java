package dev.baton.serve.router;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.function.IntPredicate;
import org.jspecify.annotations.Nullable;

/**
 * What each worker was probably sent before: a radix tree over prompt bytes. Every node on the way of an inserted prompt
 * is marked with the worker and the time; a worker that holds a node holds all nodes above it. Approximate, because the
 * workers evict on their own. Thread-safe.
 */
final class PrefixTree {
    /**
     * The longest known prefix.
     *
     * @param worker index of the worker that holds it, -1 when none holds any
     * @param matched bytes
     */
    record Match(int worker, int matched) {}

    private static final class Node {
        byte[] label;

        @Nullable
        Node parent;

        final Map<Byte, Node> children = new HashMap<>(4);
        /** Time of the last visit a worker; 0 when the worker does not hold this node. */
        final long[] visited;

        Node(byte[] label, @Nullable Node parent, long[] visited) {
            this.label = label;
            this.parent = parent;
            this.visited = visited;
        }
    }

    private final int workers;
    private final Node root;
    private final long[] sizes;
    private long time;

    PrefixTree(int workers) {
        this.workers = workers;
        this.root = new Node(new byte[0], null, new long[workers]);
        this.sizes = new long[workers];
    }

    /** Remembers that the worker was sent {@code bytes[from, to)}. */
    synchronized void insert(byte[] bytes, int from, int to, int worker) {
        time++;
        Node node = root;
        int at = from;
        while (at < to) {
            Node child = node.children.get(bytes[at]);
            if (child == null) {
                child = new Node(Arrays.copyOfRange(bytes, at, to), node, new long[workers]);
                node.children.put(bytes[at], child);
            } else {
                int common = common(child.label, bytes, at, to);
                if (common < child.label.length) {
                    child = split(child, common);
                }
            }
            if (child.visited[worker] == 0) {
                sizes[worker] += child.label.length;
            }
            child.visited[worker] = time;
            at += child.label.length;
            node = child;
        }
    }

    /** The longest prefix of {@code bytes[from, to)} that an eligible worker holds; the latest visitor where several do. */
    synchronized Match match(byte[] bytes, int from, int to, IntPredicate eligible) {
        Node node = root;
        int at = from;
        int best = -1;
        int matched = 0;
        while (at < to) {
            Node child = node.children.get(bytes[at]);
            int holder = child == null ? -1 : latest(child, eligible);
            if (child == null || holder < 0) {
                break;
            }
            int common = common(child.label, bytes, at, to);
            at += common;
            best = holder;
            matched = at - from;
            if (common < child.label.length) {
                break;
            }
            node = child;
        }
        return new Match(best, matched);
    }

    /** Forgets a worker's least recently visited prompts' ends until it holds at most {@code bytes}. */
    synchronized void evict(int worker, long bytes) {
        if (sizes[worker] <= bytes) {
            return;
        }
        PriorityQueue<Node> leaves = new PriorityQueue<>(Comparator.comparingLong(node -> node.visited[worker]));
        collectLeaves(worker, leaves);
        while (sizes[worker] > bytes) {
            Node leaf = leaves.poll();
            if (leaf == null) {
                return;
            }
            leaf.visited[worker] = 0;
            sizes[worker] -= leaf.label.length;
            Node parent = leaf.parent;
            if (parent == null) {
                return;
            }
            if (leaf.children.isEmpty() && heldByNone(leaf)) {
                parent.children.remove(leaf.label[0]);
            }
            if (parent != root && isLeafOf(parent, worker)) {
                leaves.add(parent);
            }
        }
    }

    /** Bytes of prompts a worker holds. */
    synchronized long size(int worker) {
        return sizes[worker];
    }

    private void collectLeaves(int worker, PriorityQueue<Node> leaves) {
        List<Node> open = new ArrayList<>(root.children.values());
        while (!open.isEmpty()) {
            Node node = open.removeLast();
            if (node.visited[worker] == 0) {
                continue;
            }
            if (isLeafOf(node, worker)) {
                leaves.add(node);
            }
            open.addAll(node.children.values());
        }
    }

    private static boolean isLeafOf(Node node, int worker) {
        for (Node child : node.children.values()) {
            if (child.visited[worker] != 0) {
                return false;
            }
        }
        return true;
    }

    private static boolean heldByNone(Node node) {
        for (long visit : node.visited) {
            if (visit != 0) {
                return false;
            }
        }
        return true;
    }

    /** Cuts a node after {@code length} bytes of its label; returns the upper part. */
    private static Node split(Node lower, int length) {
        Node parent = java.util.Objects.requireNonNull(lower.parent);
        Node upper = new Node(Arrays.copyOf(lower.label, length), parent, lower.visited.clone());
        parent.children.put(upper.label[0], upper);
        lower.label = Arrays.copyOfRange(lower.label, length, lower.label.length);
        lower.parent = upper;
        upper.children.put(lower.label[0], lower);
        return upper;
    }

    private static int latest(Node node, IntPredicate eligible) {
        int best = -1;
        for (int worker = 0; worker < node.visited.length; worker++) {
            if (node.visited[worker] != 0
                    && (best < 0 || node.visited[worker] > node.visited[best])
                    && eligible.test(worker)) {
                best = worker;
            }
        }
        return best;
    }

    private static int common(byte[] label, byte[] bytes, int from, int to) {
        int mismatch = Arrays.mismatch(label, 0, label.length, bytes, from, to);
        return mismatch < 0 ? label.length : mismatch;
    }
}
