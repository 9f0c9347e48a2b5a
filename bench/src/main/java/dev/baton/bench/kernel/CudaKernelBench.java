package dev.baton.bench.kernel;

import dev.baton.cuda.CudaDevice;
import dev.baton.cuda.CudaOptions;
import dev.baton.model.DType;
import dev.baton.tensor.AttentionBatch;
import dev.baton.tensor.Graph;
import dev.baton.tensor.NormedRows;
import dev.baton.tensor.Ops;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.Weight;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;

/**
 * What each CUDA operator of a decode step takes, back to back in a graph over as many weights and caches as layers, so
 * that nothing comes from the L2 cache, with the bytes that it has to read as a share of the copy bandwidth measured
 * first. {@code CudaKernelBench [hidden heads kvHeads headDim inner vocabulary context layers tokens,...]}.
 */
public final class CudaKernelBench {
    private static final int REPEATS = 15;
    /** Tokens of a decode step at most: attention and the output head are measured up to here. */
    private static final int MOST_DECODED = 512;

    /** Qwen2.5-3B, decoding at a context of 1,024. */
    static final int[] QWEN = {2048, 16, 2, 128, 11008, 151936, 1024, 36};

    final CudaDevice device = CudaDevice.open(CudaOptions.of(0, DType.BF16));
    final Ops ops = device.ops();
    private final Random random = new Random(1);
    private final int hidden;
    private final int heads;
    private final int kvHeads;
    private final int headDim;
    private final int inner;
    private final int vocabulary;
    private final int context;
    private final int layers;
    private final MemorySegment noise;
    private double copyBytesPerSecond;

    CudaKernelBench(int[] s) {
        hidden = s[0];
        heads = s[1];
        kvHeads = s[2];
        headDim = s[3];
        inner = s[4];
        vocabulary = s[5];
        context = s[6];
        layers = s[7];
        noise = Arena.global().allocate(64L << 20, 64);
        for (long i = 0; i < noise.byteSize() / 4; i++) {
            // Two BF16 values of about 0.02 and either sign.
            int bits = random.nextInt();
            noise.setAtIndex(ValueLayout.JAVA_INT, i, bits & 0x807f807f | 0x3c003c00);
        }
    }

    public static void main(String[] arguments) {
        int[] sizes = arguments.length < 8
                ? QWEN
                : Arrays.stream(arguments).limit(8).mapToInt(Integer::parseInt).toArray();
        String tokens =
                arguments.length == 9 || arguments.length == 1 ? arguments[arguments.length - 1] : "1,8,32,64,128,256";
        CudaKernelBench bench = new CudaKernelBench(sizes);
        bench.copy();
        for (String t : tokens.split(",", -1)) {
            bench.step(Integer.parseInt(t));
        }
        bench.device.close();
    }

    private void copy() {
        long bytes = 2L << 30;
        Tensor from = device.allocate(DType.U8, bytes);
        Tensor to = device.allocate(DType.U8, bytes);
        double seconds = seconds(
                1,
                i -> ops.copy(
                        Tensor.dense(from.memory(), DType.F32, bytes / 4096, 1024),
                        Tensor.dense(to.memory(), DType.F32, bytes / 4096, 1024)));
        copyBytesPerSecond = 2 * bytes / seconds;
        System.out.printf(Locale.ROOT, "copy kernel %.0f GB/s%n", copyBytesPerSecond / 1e9);
    }

    Tensor bf16(long rows, long columns) {
        Tensor tensor = device.allocate(DType.BF16, rows, columns);
        long bytes = rows * columns * 2;
        for (long at = 0; at < bytes; at += noise.byteSize()) {
            long count = Math.min(noise.byteSize(), bytes - at);
            device.toDevice(noise, Tensor.dense(tensor.memory().asSlice(at, count), DType.U8, count));
        }
        return tensor;
    }

    Tensor ints(int[] values) {
        Tensor tensor = device.allocate(DType.I32, values.length);
        device.toDevice(Arena.global().allocateFrom(ValueLayout.JAVA_INT, values), tensor);
        return tensor;
    }

    private List<Tensor> weights(long rows, long columns) {
        List<Tensor> all = new ArrayList<>();
        for (int i = 0; i < Math.min(layers, Math.max(2, 800_000_000L / (2 * rows * columns))); i++) {
            all.add(bf16(rows, columns));
        }
        return all;
    }

    double seconds(int calls, IntConsumer work) {
        work.accept(0);
        Graph graph = device.capture(() -> {
            for (int i = 0; i < calls; i++) {
                work.accept(i);
            }
        });
        double[] times = new double[REPEATS];
        for (int r = 0; r < REPEATS; r++) {
            device.synchronize();
            long start = System.nanoTime();
            graph.launch();
            device.synchronize();
            times[r] = (System.nanoTime() - start) * 1e-9 / calls;
        }
        graph.close();
        Arrays.sort(times);
        return times[REPEATS / 2];
    }

    private void report(String what, int tokens, double bytes, double flops, IntConsumer work) {
        double seconds = seconds(layers, work);
        System.out.printf(
                Locale.ROOT,
                "%-14s tokens %4d  %8.2f us  %6.0f GB/s  %3.0f%% of the copy  %5.0f TFLOP/s%n",
                what,
                tokens,
                seconds * 1e6,
                bytes / seconds / 1e9,
                100 * bytes / seconds / copyBytesPerSecond,
                flops / seconds / 1e12);
    }

    private void product(String what, int tokens, long out, long in, IntConsumer work) {
        report(what, tokens, 2.0 * out * in, 2.0 * out * in * tokens, work);
    }

    private void step(int tokens) {
        int all = (heads + 2 * kvHeads) * headDim;
        NormedRows rows = new NormedRows(
                device.allocate(DType.F32, tokens, hidden),
                bf16(tokens, hidden),
                device.allocate(DType.F32, tokens, hidden / NormedRows.GROUP),
                1e-6f);
        Tensor norm = device.allocate(DType.F32, hidden);
        Tensor projected = bf16(tokens, all);
        Tensor gated = bf16(tokens, 2L * inner);
        Tensor half = gated.columnRange(0, inner);
        Tensor q = projected.columnRange(0, heads * headDim);
        Tensor mixed = bf16(tokens, heads * headDim);
        Tensor best = device.allocate(DType.I32, tokens);
        List<Tensor> qkv = weights(all, hidden);
        List<Tensor> o = weights(hidden, heads * headDim);
        List<Tensor> up = weights(2L * inner, hidden);
        List<Tensor> down = weights(hidden, inner);
        product("linear qkv", tokens, all, hidden, i -> ops.linear(rows.scaled(), Weight.of(of(qkv, i)), projected));
        product(
                "linear o",
                tokens,
                hidden,
                heads * headDim,
                i -> ops.linear(mixed, Weight.of(of(o, i)), rows.scaled()));
        product("linear up", tokens, 2L * inner, hidden, i -> ops.linear(rows.scaled(), Weight.of(of(up, i)), gated));
        product("linear down", tokens, hidden, inner, i -> ops.linear(half, Weight.of(of(down, i)), rows.scaled()));
        product(
                "gated linear",
                tokens,
                2L * inner,
                hidden,
                i -> ops.gatedLinear(rows.scaled(), Weight.of(of(up, i)), gated));
        siluAndNorm(tokens, rows, norm, gated);
        if (tokens > MOST_DECODED) {
            return;
        }
        List<Tensor> head = weights(vocabulary, hidden);
        Tensor logits = device.allocate(DType.F32, tokens, vocabulary);
        product(
                "linear head",
                tokens,
                vocabulary,
                hidden,
                i -> ops.linear(rows.scaled(), Weight.of(of(head, i)), logits));
        report("argmax", tokens, 4.0 * tokens * vocabulary, 0, i -> ops.argmax(logits, best));
        if (tokens <= ops.fusedTokens(DType.BF16)) {
            heads(tokens, rows, qkv, projected);
            product(
                    "linear add o",
                    tokens,
                    hidden,
                    heads * headDim,
                    i -> ops.linearAdd(mixed, Weight.of(of(o, i)), rows, norm));
            product(
                    "linear gated",
                    tokens,
                    2L * inner,
                    hidden,
                    i -> ops.linearGated(rows, Weight.of(of(up, i)), gated));
            product(
                    "linear add down",
                    tokens,
                    hidden,
                    inner,
                    i -> ops.linearAdd(half, Weight.of(of(down, i)), rows, norm));
        }
        attention(tokens, q, mixed);
    }

    private void heads(int tokens, NormedRows rows, List<Tensor> qkv, Tensor out) {
        int queries = heads * headDim;
        int columns = kvHeads * headDim;
        Tensor positions = ints(new int[tokens]);
        Tensor slots = ints(IntStream.range(0, tokens).toArray());
        Tensor table = device.allocate(DType.F32, 1, headDim);
        Tensor keys = bf16(tokens, columns);
        Tensor values = bf16(tokens, columns);
        product(
                "linear heads",
                tokens,
                out.columns(),
                hidden,
                i -> ops.linearHeads(
                        rows,
                        Weight.of(of(qkv, i)),
                        positions,
                        table,
                        heads,
                        kvHeads,
                        headDim,
                        slots,
                        keys,
                        values,
                        out));
        report(
                "rope, store",
                tokens,
                4.0 * tokens * out.columns(),
                0,
                i -> ops.ropeAndStore(
                        out.columnRange(0, queries),
                        out.columnRange(queries, columns),
                        out.columnRange(queries + columns, columns),
                        positions,
                        table,
                        heads,
                        kvHeads,
                        headDim,
                        false,
                        slots,
                        keys,
                        values));
    }

    private void siluAndNorm(int tokens, NormedRows rows, Tensor norm, Tensor gated) {
        Tensor half = gated.columnRange(0, inner);
        report(
                "silu mul",
                tokens,
                6.0 * tokens * inner,
                0,
                i -> ops.siluMul(half, gated.columnRange(inner, inner), half));
        report(
                "add norm",
                tokens,
                12.0 * tokens * hidden,
                0,
                i -> ops.addRmsNorm(rows.residual(), rows.scaled(), norm, 1e-6f, rows.scaled()));
    }

    private void attention(int tokens, Tensor q, Tensor mixed) {
        int slots = tokens * context + 1;
        int caches = (int) Math.max(1, Math.min(layers, 4_000_000_000L / (4L * slots * kvHeads * headDim)));
        List<Tensor> keys = new ArrayList<>();
        List<Tensor> values = new ArrayList<>();
        for (int i = 0; i < caches; i++) {
            keys.add(bf16(slots, kvHeads * headDim));
            values.add(bf16(slots, kvHeads * headDim));
        }
        int[] table = new int[tokens * context];
        int[] starts = new int[tokens + 1];
        int[] lengths = new int[tokens];
        int[] rows = new int[tokens];
        for (int b = 0; b < tokens; b++) {
            starts[b + 1] = b + 1;
            lengths[b] = context;
            rows[b] = b;
            for (int i = 0; i < context; i++) {
                table[b * context + i] = 1 + b * context + i;
            }
        }
        AttentionBatch batch = new AttentionBatch(
                tokens, ints(starts), ints(lengths), ints(rows), ints(table).reshape(tokens, context), 1, context);
        report(
                "attention",
                tokens,
                4.0 * tokens * context * kvHeads * headDim,
                0,
                i -> ops.attention(
                        q, of(keys, i), of(values, i), batch, heads, kvHeads, headDim, headDim, 0.1f, mixed));
    }

    private static Tensor of(List<Tensor> all, int i) {
        return all.get(i % all.size());
    }
}
