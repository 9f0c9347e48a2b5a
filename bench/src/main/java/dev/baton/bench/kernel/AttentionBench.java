package dev.baton.bench.kernel;

import dev.baton.tensor.AttentionBatch;
import dev.baton.tensor.Tensor;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * What attention takes on a GPU, back to back in a graph over caches that do not fit the L2 cache. Of new tokens, the
 * products a second: those of a query with the positions that it sees, causal attention's half; pages of one token lie
 * anywhere. Of one token a sequence (decode), the bytes of the cache a second; slots lie in a row.
 * {@code AttentionBench [SHAPE,... [SEQUENCESxTOKENS[+PREFIX] ...]]}.
 */
public final class AttentionBench {
    private record Heads(int heads, int kvHeads, int keyDim, int valueDim) {
        static Heads of(String shape) {
            return switch (shape) {
                case "qwen2.5-3b" -> new Heads(16, 2, 128, 128);
                case "llama-3.1-8b" -> new Heads(32, 8, 128, 128);
                case "heads-of-64" -> new Heads(32, 8, 64, 64);
                case "deepseek-v2-lite" -> new Heads(16, 16, 192, 128);
                default ->
                    throw new IllegalArgumentException("no heads known of " + shape
                            + ": qwen2.5-3b, llama-3.1-8b, heads-of-64 or deepseek-v2-lite");
            };
        }
    }

    private final CudaKernelBench bench = new CudaKernelBench(CudaKernelBench.QWEN);
    private final Random random = new Random(2);

    private AttentionBench() {}

    public static void main(String[] arguments) {
        String shapes = arguments.length > 0 ? arguments[0] : "qwen2.5-3b,llama-3.1-8b,heads-of-64,deepseek-v2-lite";
        List<String> cases = arguments.length > 1
                ? List.of(arguments).subList(1, arguments.length)
                : List.of("1x4096", "4x4096", "8x1024", "4x512+3584", "1x128", "1x1+1023", "32x1+1023", "64x1+1023");
        AttentionBench all = new AttentionBench();
        for (String shape : shapes.split(",", -1)) {
            for (String one : cases) {
                String[] parts = one.split("[x+]", -1);
                all.measure(
                        shape,
                        Integer.parseInt(parts[0]),
                        Integer.parseInt(parts[1]),
                        parts.length > 2 ? Integer.parseInt(parts[2]) : 0);
            }
        }
        all.bench.device.close();
    }

    private void measure(String shape, int sequences, int count, int prefix) {
        Heads h = Heads.of(shape);
        int context = prefix + count;
        int tokens = sequences * count;
        int slots = sequences * context + 1;
        int calls = count == 1 ? 36 : 10;
        Tensor q = bench.bf16(tokens, (long) h.heads * h.keyDim);
        Tensor out = bench.bf16(tokens, (long) h.heads * h.valueDim);
        List<Tensor> keys = new ArrayList<>();
        List<Tensor> values = new ArrayList<>();
        double bytes = 2.0 * slots * h.kvHeads * (h.keyDim + h.valueDim);
        for (int i = 0; i < Math.clamp((long) (1e9 / bytes), 2, calls); i++) {
            keys.add(bench.bf16(slots, (long) h.kvHeads * h.keyDim));
            values.add(bench.bf16(slots, (long) h.kvHeads * h.valueDim));
        }
        List<Integer> order = IntStream.range(1, slots).boxed().collect(Collectors.toList());
        if (count > 1) {
            Collections.shuffle(order, random);
        }
        AttentionBatch batch = new AttentionBatch(
                sequences,
                bench.ints(
                        IntStream.rangeClosed(0, sequences).map(b -> b * count).toArray()),
                bench.ints(IntStream.range(0, sequences).map(b -> context).toArray()),
                bench.ints(IntStream.range(0, sequences).toArray()),
                bench.ints(order.stream().mapToInt(i -> i).toArray()).reshape(sequences, context),
                count,
                context);
        double seconds = bench.seconds(
                calls,
                i -> bench.ops.attention(
                        q,
                        keys.get(i % keys.size()),
                        values.get(i % keys.size()),
                        batch,
                        h.heads,
                        h.kvHeads,
                        h.keyDim,
                        h.valueDim,
                        0.1f,
                        out));
        double seen = sequences * ((double) count * prefix + count * (count + 1.0) / 2);
        System.out.printf(
                Locale.ROOT,
                "attention %-16s %3d x %4d + %4d  %8.1f us  %4.0f TFLOP/s  %4.0f GB/s%n",
                shape,
                sequences,
                count,
                prefix,
                seconds * 1e6,
                seen * h.heads * 2 * (h.keyDim + h.valueDim) / seconds / 1e12,
                bytes / seconds / 1e9);
    }
}
