package dev.baton.engine.balance;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/**
 * Where the experts of one layer lie. Rank r of the expert-parallel group owns slots {@code [r * slots / ranks, (r + 1) *
 * slots / ranks)}. Immutable: a move replaces it.
 */
public final class LayerLocation {
    /** All ranks must choose alike. */
    private static final long SHUFFLE_SEED = 42;

    /** [slot] */
    private final int[] physicalToLogical;
    /** [expert][replica] slots, ascending */
    private final int[][] replicas;
    /** [source rank][expert] slot */
    private final int[][] nearest;

    private final int ranks;
    private final int nodes;

    /**
     * @param physicalToLogical [slot], every expert of 0 to {@code experts} - 1 at least once
     * @param ranks of the expert-parallel group
     * @param nodes over which they are spread evenly
     */
    public LayerLocation(int[] physicalToLogical, int experts, int ranks, int nodes) {
        this.physicalToLogical = physicalToLogical.clone();
        this.ranks = ranks;
        this.nodes = nodes;
        List<List<Integer>> slots = new ArrayList<>();
        for (int e = 0; e < experts; e++) {
            slots.add(new ArrayList<>());
        }
        for (int slot = 0; slot < physicalToLogical.length; slot++) {
            slots.get(physicalToLogical[slot]).add(slot);
        }
        this.replicas = slots.stream()
                .map(list -> list.stream().mapToInt(Integer::intValue).toArray())
                .toArray(int[][]::new);
        this.nearest = new int[ranks][experts];
        Random random = new Random(SHUFFLE_SEED);
        for (int e = 0; e < experts; e++) {
            chooseNearest(e, random);
        }
    }

    /** Own replicas first; then each other rank takes the least used of its node, or of all. */
    private void chooseNearest(int expert, Random random) {
        int[] own = replicas[expert];
        int[] users = new int[own.length];
        boolean[] done = new boolean[ranks];
        for (int i = 0; i < own.length; i++) {
            int rank = rankOf(own[i]);
            if (!done[rank]) {
                done[rank] = true;
                nearest[rank][expert] = own[i];
                users[i]++;
            }
        }
        // A random first choice, so that the ranks left over do not always fall to the lowest replica.
        int first = random.nextInt(own.length);
        for (int rank = 0; rank < ranks; rank++) {
            if (done[rank]) {
                continue;
            }
            int best = -1;
            boolean bestIsNear = false;
            for (int n = 0; n < own.length; n++) {
                int i = (first + n) % own.length;
                boolean near = nodeOf(rankOf(own[i])) == nodeOf(rank);
                if (best < 0 || (near && !bestIsNear) || (near == bestIsNear && users[i] < users[best])) {
                    best = i;
                    bestIsNear = near;
                }
            }
            nearest[rank][expert] = own[best];
            users[best]++;
        }
    }

    private int nodeOf(int rank) {
        return rank * nodes / ranks;
    }

    /** Slots of all ranks. */
    public int slots() {
        return physicalToLogical.length;
    }

    /** Slots of one rank. */
    public int slotsOfRank() {
        return physicalToLogical.length / ranks;
    }

    /** Experts. */
    public int experts() {
        return replicas.length;
    }

    /** Ranks of the expert-parallel group. */
    public int ranks() {
        return ranks;
    }

    /** The rank that owns a slot. */
    public int rankOf(int slot) {
        return slot / slotsOfRank();
    }

    /** The expert that a slot holds. */
    public int expertAt(int slot) {
        return physicalToLogical[slot];
    }

    /** The slots that hold an expert, ascending. */
    public int[] replicasOf(int expert) {
        return replicas[expert].clone();
    }

    /** The slot that tokens of a source rank always go to. */
    int nearest(int sourceRank, int expert) {
        return nearest[sourceRank][expert];
    }

    /** One of the expert's slots, by a random number of 0 or more. */
    int anyOf(int expert, int random) {
        int[] own = replicas[expert];
        return own.length == 1 ? own[0] : own[random % own.length];
    }

    /** [slot] the expert of each. */
    public int[] physicalToLogical() {
        return physicalToLogical.clone();
    }

    /** The same experts' ranks and nodes with other slots. */
    LayerLocation moved(int[] to) {
        return new LayerLocation(to, experts(), ranks, nodes);
    }

    boolean isAt(int[] map) {
        return Arrays.equals(physicalToLogical, map);
    }
}
