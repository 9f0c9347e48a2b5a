package dev.baton.trace.expert;

import dev.baton.trace.TraceException;
import java.util.Arrays;
import java.util.Comparator;
import java.util.stream.IntStream;

/**
 * Expert parallelism load balancing as DeepSeek published it (deepseek-ai/EPLB): hot experts get replicas, and replicas are
 * packed on GPUs so that their loads are alike. Ties go to the lower index, so that equal inputs give equal placements.
 */
public final class Eplb {
    private Eplb() {}

    /**
     * Balances over nodes first, so that the experts of a group stay on one node, then over the GPUs of each node.
     *
     * @param weight [layer][expert] tokens
     * @param slots physical experts, a multiple of {@code gpus}
     * @param groups of experts; a multiple of {@code nodes}, else {@link #global} is used, as DeepSeek's code does
     * @param nodes of the group; {@code gpus} is a multiple of it
     * @throws TraceException MALFORMED naming the numbers that do not divide
     */
    public static Placement balance(double[][] weight, int slots, int groups, int nodes, int gpus) {
        return groups % nodes == 0
                ? hierarchical(weight, slots, groups, nodes, gpus)
                : hierarchical(weight, slots, 1, 1, gpus);
    }

    /** Balances over all GPUs at once. */
    public static Placement global(double[][] weight, int slots, int gpus) {
        return hierarchical(weight, slots, 1, 1, gpus);
    }

    /**
     * As {@link #balance}, but refuses groups that the nodes do not divide.
     *
     * @throws TraceException MALFORMED naming the numbers that do not divide
     */
    static Placement hierarchical(double[][] weight, int slots, int groups, int nodes, int gpus) {
        int experts = weight.length == 0 ? 0 : weight[0].length;
        divides(experts, groups, "experts", "groups");
        divides(groups, nodes, "groups", "nodes");
        divides(gpus, nodes, "GPUs", "nodes");
        divides(slots, gpus, "slots", "GPUs");
        if (slots < experts) {
            throw new TraceException(
                    TraceException.Code.MALFORMED,
                    slots + " slots cannot hold " + experts + " experts",
                    new IllegalArgumentException("slots"));
        }
        int[][] map = new int[weight.length][];
        for (int layer = 0; layer < weight.length; layer++) {
            map[layer] = layer(weight[layer], slots, groups, nodes, gpus);
        }
        return new Placement(map, gpus);
    }

    private static void divides(int whole, int parts, String wholeName, String partsName) {
        if (parts < 1 || whole % parts != 0) {
            throw new TraceException(
                    TraceException.Code.MALFORMED,
                    whole + " " + wholeName + " cannot be shared evenly by " + parts + " " + partsName,
                    new IllegalArgumentException(partsName));
        }
    }

    /** One layer: groups to nodes, replicas within a node, slots to the node's GPUs; back to the experts' own numbers. */
    private static int[] layer(double[] weight, int slots, int groups, int nodes, int gpus) {
        int experts = weight.length;
        int groupSize = experts / groups;
        double[] groupWeight = new double[groups];
        for (int e = 0; e < experts; e++) {
            groupWeight[e / groupSize] += weight[e];
        }
        Packing toNodes = pack(groupWeight, nodes);
        int[] expertAt = new int[experts];
        for (int e = 0; e < experts; e++) {
            int group = e / groupSize;
            int place = toNodes.pack[group] * (groups / nodes) + toNodes.rank[group];
            expertAt[place * groupSize + e % groupSize] = e;
        }
        int perNode = experts / nodes;
        int slotsPerNode = slots / nodes;
        int slotsPerGpu = slots / gpus;
        int[] map = new int[slots];
        for (int node = 0; node < nodes; node++) {
            double[] own = new double[perNode];
            for (int i = 0; i < perNode; i++) {
                own[i] = weight[expertAt[node * perNode + i]];
            }
            int[] replicaCount = new int[perNode];
            int[] expertOf = replicate(own, slotsPerNode, replicaCount);
            double[] load = new double[slotsPerNode];
            for (int s = 0; s < slotsPerNode; s++) {
                load[s] = own[expertOf[s]] / replicaCount[expertOf[s]];
            }
            Packing toGpus = pack(load, gpus / nodes);
            for (int s = 0; s < slotsPerNode; s++) {
                int slot = node * slotsPerNode + toGpus.pack[s] * slotsPerGpu + toGpus.rank[s];
                map[slot] = expertAt[node * perNode + expertOf[s]];
            }
        }
        return map;
    }

    /** The pack of each item and its place in the pack. */
    private record Packing(int[] pack, int[] rank) {}

    /** Heaviest first, each item goes to the lightest pack that has room; every pack gets as many items. */
    private static Packing pack(double[] weight, int packs) {
        int n = weight.length;
        int room = n / packs;
        int[] pack = new int[n];
        int[] rank = new int[n];
        if (room == 1) {
            Arrays.setAll(pack, i -> i);
            return new Packing(pack, rank);
        }
        double[] load = new double[packs];
        int[] filled = new int[packs];
        int[] order = IntStream.range(0, n)
                .boxed()
                .sorted(Comparator.comparingDouble(i -> -weight[i]))
                .mapToInt(Integer::intValue)
                .toArray();
        for (int item : order) {
            int lightest = -1;
            for (int p = 0; p < packs; p++) {
                if (filled[p] < room && (lightest < 0 || load[p] < load[lightest])) {
                    lightest = p;
                }
            }
            pack[item] = lightest;
            rank[item] = filled[lightest]++;
            load[lightest] += weight[item];
        }
        return new Packing(pack, rank);
    }

    /** One slot for every expert, then one more for the expert whose replicas carry most, again and again. */
    private static int[] replicate(double[] weight, int slots, int[] count) {
        int[] expertOf = new int[slots];
        Arrays.fill(count, 1);
        for (int s = 0; s < slots; s++) {
            if (s < weight.length) {
                expertOf[s] = s;
                continue;
            }
            int heaviest = 0;
            for (int e = 1; e < weight.length; e++) {
                if (weight[e] / count[e] > weight[heaviest] / count[heaviest]) {
                    heaviest = e;
                }
            }
            expertOf[s] = heaviest;
            count[heaviest]++;
        }
        return expertOf;
    }
}
