package dev.baton.engine.forward;

import dev.baton.tensor.Device;
import dev.baton.tensor.Graph;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

/**
 * Decode steps recorded as graphs, one for each padded batch size, range of context lengths, and whether tokens
 * are sampled. A shape runs operator by
 * operator the first time, is recorded the second time, and replayed from then on. One thread.
 */
final class DecodeGraphs implements AutoCloseable {
    private record Shape(int sequences, int contextBound, boolean sampled) {}

    private final Device device;
    /** Ascending. */
    private final int[] batchSizes;

    private final int contextTokens;
    private final Map<Shape, Graph> graphs = new HashMap<>();
    private final Map<Shape, Boolean> seen = new HashMap<>();

    /** @param batchSizes that are recorded; larger steps run without graphs. Empty where the device records none */
    DecodeGraphs(Device device, int[] batchSizes, int contextTokens) {
        this.device = device;
        this.batchSizes = device.capturesGraphs() ? batchSizes.clone() : new int[0];
        Arrays.sort(this.batchSizes);
        this.contextTokens = contextTokens;
    }

    /** Batch sizes up to {@code most}: 1, 2, 4, then multiples of 8. */
    static int[] batchSizes(int most) {
        int[] all = new int[3 + (most + 7) / 8];
        all[0] = 1;
        all[1] = Math.min(2, most);
        all[2] = Math.min(4, most);
        for (int i = 3; i < all.length; i++) {
            all[i] = Math.min(most, 8 * (i - 2));
        }
        return Arrays.stream(all).distinct().toArray();
    }

    /** The recorded size that {@code sequences} are padded to; {@code sequences} itself when none is large enough. */
    int padded(int sequences) {
        for (int size : batchSizes) {
            if (size >= sequences) {
                return size;
            }
        }
        return sequences;
    }

    /** Whether steps of this many sequences are recorded. */
    boolean records(int sequences) {
        return batchSizes.length > 0 && sequences <= batchSizes[batchSizes.length - 1];
    }

    /** The context that a step is recorded for: the next power of two from 256 on, at most the model's. */
    int contextBound(int longest) {
        int bound = 256;
        while (bound < longest) {
            bound *= 2;
        }
        return Math.max(longest, Math.min(bound, contextTokens));
    }

    /** Runs {@code work} directly, or its recording. */
    void run(StepForm form, Runnable work) {
        Shape shape = new Shape(form.padded(), form.contextBound(), form.sampled());
        Graph graph = graphs.get(shape);
        if (graph == null && seen.putIfAbsent(shape, true) == null) {
            work.run();
            return;
        }
        if (graph == null) {
            graph = device.capture(work);
            graphs.put(shape, graph);
        }
        graph.launch();
    }

    @Override
    public void close() {
        graphs.values().forEach(Graph::close);
    }
}
