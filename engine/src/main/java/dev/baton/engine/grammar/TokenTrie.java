package dev.baton.engine.grammar;

import java.util.Arrays;
import java.util.function.IntFunction;

/**
 * A vocabulary's tokens by their bytes. Nodes stand in depth-first order, so that a walk is one pass over arrays and a branch
 * that nothing takes is jumped over. Node 0 is the root. Immutable.
 */
final class TokenTrie {
    private static final int MAX_BYTES = 1 << 12;

    /** Ids are below this: bits of a mask. */
    final int vocabulary;
    /** [nodes] the byte that leads to the node. */
    final byte[] label;
    /** [nodes] bytes from the root. */
    final short[] depth;
    /** [nodes] the first node behind the node's branch. */
    final int[] end;
    /** [nodes + 1] tokens of a node are {@code tokens[first[node]]} to {@code tokens[first[node + 1] - 1]}. */
    final int[] first;

    final int[] tokens;
    /** Bytes of the longest token. */
    final int deepest;

    private TokenTrie(int vocabulary, byte[] label, short[] depth, int[] end, int[] first, int[] tokens, int deepest) {
        this.vocabulary = vocabulary;
        this.label = label;
        this.depth = depth;
        this.end = end;
        this.first = first;
        this.tokens = tokens;
        this.deepest = deepest;
    }

    /**
     * @param vocabulary logits a position
     * @param bytes of each token; empty for what writes no text (special tokens, unused ids)
     */
    static TokenTrie of(int vocabulary, IntFunction<byte[]> bytes) {
        byte[][] all = new byte[vocabulary][];
        Integer[] order = new Integer[vocabulary];
        int used = 0;
        int total = 1;
        for (int id = 0; id < vocabulary; id++) {
            all[id] = bytes.apply(id);
            if (all[id].length > 0 && all[id].length <= MAX_BYTES) {
                order[used++] = id;
                total += all[id].length;
            }
        }
        Arrays.sort(order, 0, used, (a, b) -> {
            int byBytes = Arrays.compareUnsigned(all[a], all[b]);
            return byBytes != 0 ? byBytes : Integer.compare(a, b);
        });
        byte[] label = new byte[total];
        short[] depth = new short[total];
        int[] end = new int[total];
        int[] first = new int[total + 1];
        int[] tokens = new int[used];
        int[] path = new int[MAX_BYTES + 1];
        int nodes = 1;
        int deepest = 0;
        byte[] last = new byte[0];
        for (int i = 0; i < used; i++) {
            byte[] token = all[order[i]];
            int common = Math.max(0, Arrays.mismatch(token, last) < 0 ? token.length : Arrays.mismatch(token, last));
            for (int d = last.length; d > common; d--) {
                end[path[d]] = nodes;
            }
            for (int d = common; d < token.length; d++) {
                label[nodes] = token[d];
                depth[nodes] = (short) (d + 1);
                path[d + 1] = nodes;
                first[nodes] = i;
                nodes++;
            }
            tokens[i] = order[i];
            first[nodes] = i + 1;
            deepest = Math.max(deepest, token.length);
            last = token;
        }
        for (int d = last.length; d >= 0; d--) {
            end[path[d]] = nodes;
        }
        return new TokenTrie(
                vocabulary,
                Arrays.copyOf(label, nodes),
                Arrays.copyOf(depth, nodes),
                Arrays.copyOf(end, nodes),
                Arrays.copyOf(first, nodes + 1),
                tokens,
                deepest);
    }

    int nodes() {
        return label.length;
    }

    /** [256] bytes that are a token of their own. */
    boolean[] singleBytes() {
        boolean[] single = new boolean[256];
        for (int node = 1; node < nodes(); node++) {
            if (depth[node] == 1 && first[node] < first[node + 1]) {
                single[label[node] & 0xFF] = true;
            }
        }
        return single;
    }
}
