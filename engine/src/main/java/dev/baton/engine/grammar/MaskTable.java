package dev.baton.engine.grammar;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicReferenceArray;
import org.jspecify.annotations.Nullable;

/**
 * Which tokens a grammar takes, worked out once for each state by a walk over the vocabulary and kept.
 *
 * <p>What a token does on a stack is divided by the stack's frames. {@link #top} walks the trie with the top state alone: it
 * tells the tokens that end within the top's rule, and the nodes of the trie (bytes into a token) at which that rule can end.
 * {@link #below} goes on from those nodes with the state below, and so on down; the sets of nodes shrink fast, since every
 * frame takes bytes of the token. So a mask of any stack is a union of a few stored parts, however deep the stack is.
 *
 * <p>States that no text as long as the longest token tells apart share their parts. Safe for several threads.
 */
final class MaskTable {
    /** Stored parts are forgotten when they take more than this. */
    private static final long MAX_BYTES = 256L << 20;

    private static final int MAX_POSITIONS = 40_000;

    /**
     * @param bits accepted tokens, one bit each; null when they are few
     * @param ids accepted tokens when they are few
     * @param open nodes of the trie at which the frame can end; null for none
     */
    record Part(
            long @Nullable [] bits,
            int @Nullable [] ids,
            @Nullable Nodes open) {
        void addTo(long[] mask) {
            if (bits != null) {
                for (int i = 0; i < bits.length; i++) {
                    mask[i] |= bits[i];
                }
            } else if (ids != null) {
                for (int id : ids) {
                    mask[id >> 6] |= 1L << id;
                }
            }
        }
    }

    /** A set of nodes; equal sets are one object. */
    static final class Nodes {
        final int[] nodes;
        private final int hash;

        Nodes(int[] nodes) {
            this.nodes = nodes;
            this.hash = Arrays.hashCode(nodes);
        }

        @Override
        public boolean equals(@Nullable Object o) {
            return this == o || o instanceof Nodes other && hash == other.hash && Arrays.equals(nodes, other.nodes);
        }

        @Override
        public int hashCode() {
            return hash;
        }
    }

    private record Below(int state, Nodes open) {}

    /** A position of a walk with what is known of its successors. */
    private static final class Step {
        final Position position;
        final @Nullable Step[] next;

        Step(Position position, int classes) {
            this.position = position;
            this.next = new Step[classes];
        }
    }

    private final Program program;
    private final TokenTrie trie;
    /** [states] a state with the same parts. */
    private final int[] like;

    private final AtomicReferenceArray<@Nullable Part> tops;
    private final Map<Below, Part> belows = new ConcurrentHashMap<>();

    // Guarded by this.
    private final Map<Position, Step> steps = new HashMap<>();
    private final Map<Nodes, Nodes> nodeSets = new HashMap<>();
    private final Step[] path;
    private final long[] scratch;
    private long bytes;
    private volatile int walks;

    MaskTable(Program program, TokenTrie trie, Deadline deadline) {
        this.program = program;
        this.trie = trie;
        this.like = StateClasses.of(program, trie.deepest, deadline);
        this.tops = new AtomicReferenceArray<>(program.states());
        this.path = new Step[trie.deepest + 1];
        this.scratch = new long[words(trie.vocabulary)];
    }

    static int words(int vocabulary) {
        return (vocabulary + 63) >> 6;
    }

    /** The part of a state that is on top. */
    Part top(int state) {
        int same = like[state];
        Part part = tops.get(same);
        return part != null ? part : makeTop(same);
    }

    /** The part of a state on which the frame above ended at the given nodes. */
    Part below(int state, Nodes open) {
        Below key = new Below(like[state], open);
        Part part = belows.get(key);
        return part != null ? part : makeBelow(key);
    }

    /**
     * Works out the parts that a text can meet, until all are there or the time is over: of the states that may be on top, then
     * of those below on which they end.
     *
     * @return whether all are there
     */
    boolean prepare(Deadline until) {
        for (int state = 0; state < program.states() && !until.isOver(); state++) {
            if (program.edges[state].length > 0 && like[state] == state) {
                top(state);
            }
        }
        int[][] under = Adjacency.of(program, until);
        Set<Below> met = new HashSet<>();
        ArrayDeque<Below> open = new ArrayDeque<>();
        for (int state = 0; state < program.states() && !until.isOver(); state++) {
            if (program.edges[state].length > 0) {
                meet(under[state], top(state), met, open);
            }
        }
        for (Below next = open.poll(); next != null && !until.isOver(); next = open.poll()) {
            meet(under[next.state], below(next.state, next.open), met, open);
        }
        return !until.isOver();
    }

    /** Walks of the vocabulary so far. */
    int walks() {
        return walks;
    }

    private static void meet(int[] under, Part part, Set<Below> met, ArrayDeque<Below> open) {
        Nodes nodes = part.open();
        if (nodes != null) {
            for (int state : under) {
                Below below = new Below(state, nodes);
                if (met.add(below)) {
                    open.add(below);
                }
            }
        }
    }

    private synchronized Part makeTop(int state) {
        Part known = tops.get(state);
        if (known != null) {
            return known;
        }
        makeRoom();
        Part part = walk(Position.of(state), new int[] {0});
        tops.set(state, part);
        return part;
    }

    private synchronized Part makeBelow(Below key) {
        Part known = belows.get(key);
        if (known != null) {
            return known;
        }
        makeRoom();
        Part part = walk(Position.enter(program, key.state), key.open.nodes);
        belows.put(key, part);
        return part;
    }

    private void makeRoom() {
        if (bytes > MAX_BYTES || steps.size() > MAX_POSITIONS) {
            for (int state = 0; state < tops.length(); state++) {
                tops.set(state, null);
            }
            belows.clear();
            steps.clear();
            nodeSets.clear();
            bytes = 0;
        }
    }

    private Step step(Position position) {
        Step known = steps.get(position);
        if (known == null) {
            known = new Step(position, program.classes);
            steps.put(position, known);
        }
        return known;
    }

    private Part walk(Position from, int[] begins) {
        walks++;
        Arrays.fill(scratch, 0);
        List<Integer> open = new ArrayList<>();
        Step first = step(from);
        int accepted = 0;
        for (int begin : begins) {
            if (from.ends) {
                open.add(begin);
            }
            accepted += branch(first, begin, open);
        }
        return part(accepted, open);
    }

    /** Walks one branch; sets the accepted tokens' bits and returns how many there are. */
    private int branch(Step first, int begin, List<Integer> open) {
        int accepted = 0;
        int base = trie.depth[begin];
        path[base] = first;
        int node = begin + 1;
        int end = trie.end[begin];
        while (node < end) {
            int depth = trie.depth[node];
            Step before = path[depth - 1];
            int byteClass = program.classOf[trie.label[node] & 0xFF];
            Step next = before.next[byteClass];
            if (next == null) {
                next = step(before.position.next(program, byteClass));
                before.next[byteClass] = next;
            }
            if (next.position.isDead()) {
                node = trie.end[node];
                continue;
            }
            if (next.position.ends) {
                open.add(node);
            }
            for (int t = trie.first[node]; t < trie.first[node + 1]; t++) {
                int id = trie.tokens[t];
                scratch[id >> 6] |= 1L << id;
                accepted++;
            }
            path[depth] = next;
            node++;
        }
        return accepted;
    }

    private Part part(int accepted, List<Integer> open) {
        Nodes nodes = null;
        if (!open.isEmpty()) {
            int[] sorted = open.stream().mapToInt(Integer::intValue).toArray();
            Nodes made = new Nodes(sorted);
            nodes = nodeSets.putIfAbsent(made, made);
            if (nodes == null) {
                nodes = made;
                bytes += 4L * sorted.length;
            }
        }
        if (accepted > scratch.length) {
            bytes += 8L * scratch.length;
            return new Part(scratch.clone(), null, nodes);
        }
        int[] ids = new int[accepted];
        int n = 0;
        for (int word = 0; word < scratch.length; word++) {
            for (long rest = scratch[word]; rest != 0; rest &= rest - 1) {
                ids[n++] = word * 64 + Long.numberOfTrailingZeros(rest);
            }
        }
        bytes += 64 + 4L * n;
        return new Part(null, Arrays.copyOf(ids, n), nodes);
    }
}
