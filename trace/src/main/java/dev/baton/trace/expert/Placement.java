package dev.baton.trace.expert;

import java.util.Arrays;

/**
 * Which expert each physical slot holds. GPU {@code g} of {@code gpus} owns slots {@code g * slots / gpus} and following.
 *
 * @param physicalToLogical [layer][slot]
 * @param gpus of the expert-parallel group
 */
public record Placement(int[][] physicalToLogical, int gpus) {
    /** Slot {@code i} holds expert {@code i mod experts}. */
    public static Placement trivial(int layers, int experts, int slots, int gpus) {
        int[][] map = new int[layers][slots];
        for (int[] row : map) {
            Arrays.setAll(row, i -> i % experts);
        }
        return new Placement(map, gpus);
    }

    /** Slots a layer. */
    public int slots() {
        return physicalToLogical.length == 0 ? 0 : physicalToLogical[0].length;
    }

    /** Replicas of each expert of a layer. */
    public int[] replicas(int layer, int experts) {
        int[] count = new int[experts];
        for (int expert : physicalToLogical[layer]) {
            count[expert]++;
        }
        return count;
    }

    /** Tokens of each GPU when an expert's tokens are shared evenly by its replicas. */
    public double[] gpuLoads(int layer, double[] counts) {
        int[] replicas = replicas(layer, counts.length);
        double[] loads = new double[gpus];
        int perGpu = slots() / gpus;
        for (int slot = 0; slot < slots(); slot++) {
            int expert = physicalToLogical[layer][slot];
            loads[slot / perGpu] += counts[expert] / replicas[expert];
        }
        return loads;
    }

    /**
     * Mean over GPUs divided by the most loaded GPU, mean over the layers that have counts: 1 is perfect. NaN without
     * counts.
     */
    public double balancedness(ExpertCounts counts) {
        return Arrays.stream(counts.moeLayers())
                .mapToDouble(l -> balancedness(gpuLoads(l, counts.counts()[l])))
                .average()
                .orElse(Double.NaN);
    }

    /**
     * Of loads that were measured, mean over the layers that have any; NaN without.
     *
     * @param loads [layer][GPU]
     */
    public static double balancedness(double[][] loads) {
        return Arrays.stream(loads)
                .mapToDouble(Placement::balancedness)
                .filter(layer -> !Double.isNaN(layer))
                .average()
                .orElse(Double.NaN);
    }

    /** Of one layer's loads. */
    public static double balancedness(double[] loads) {
        double most = Arrays.stream(loads).max().orElse(0);
        return most == 0 ? Double.NaN : Arrays.stream(loads).average().orElse(0) / most;
    }
}
