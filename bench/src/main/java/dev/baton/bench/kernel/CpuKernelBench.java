package dev.baton.bench.kernel;

import dev.baton.bench.CommandLine;
import dev.baton.bench.kernel.Alternation.Result;
import dev.baton.bench.kernel.Alternation.Workload;
import dev.baton.model.DType;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.Weight;
import dev.baton.tensor.cpu.CpuDevice;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Random;

/**
 * Matrix products of the CPU device beside the machine's bounds, measured in one run.
 *
 * <p>Usage: {@code CpuKernelBench [--threads N] [--rounds N] [--millis N] [--only TEXT] [--json]}
 */
public final class CpuKernelBench {
    /** Bytes of weights that a matrix-vector product walks through: several times any last-level cache. */
    private static final long STREAM_BYTES = 640L << 20;

    private final int threads;
    private final CpuDevice device;
    private final List<Workload> workloads = new ArrayList<>();
    private final Random random = new Random(1);

    private CpuKernelBench(int threads) {
        this.threads = threads;
        this.device = CpuDevice.open(threads);
    }

    public static void main(String[] arguments) {
        List<String> options = Arrays.asList(arguments);
        int threads = CommandLine.number(options, "--threads", 1);
        int rounds = CommandLine.number(options, "--rounds", 15);
        int millis = CommandLine.number(options, "--millis", 100);
        int only = options.indexOf("--only");
        String filter = only < 0 ? "" : options.get(only + 1);
        CpuKernelBench bench = new CpuKernelBench(threads);
        bench.addBounds();
        bench.addProducts(filter);
        double loadBefore = Alternation.loadAverage();
        List<Result> results = Alternation.run(bench.workloads, rounds, millis * 1_000_000L);
        double loadAfter = Alternation.loadAverage();
        for (Result result : results) {
            print(result, options.contains("--json"), loadBefore, loadAfter);
        }
        bench.device.close();
    }

    private static void print(Result result, boolean json, double loadBefore, double loadAfter) {
        Workload workload = result.workload();
        String share = Double.isNaN(result.share())
                ? "bound"
                : String.format(Locale.ROOT, "%.0f%% of %s", 100 * result.share(), workload.bound());
        if (json) {
            System.out.printf(
                    Locale.ROOT,
                    "{\"name\":\"%s\",\"threads\":%d,\"unit\":\"%s\",\"median\":%.2f,\"best\":%.2f,\"wall_median\":%.2f,"
                            + "\"share\":%s,\"bound\":\"%s\",\"load_before\":%.2f,\"load_after\":%.2f}%n",
                    workload.name(),
                    workload.threads(),
                    workload.unit(),
                    result.median(),
                    result.best(),
                    result.wallMedian(),
                    Double.isNaN(result.share()) ? "null" : String.format(Locale.ROOT, "%.3f", result.share()),
                    workload.bound(),
                    loadBefore,
                    loadAfter);
        } else {
            System.out.printf(
                    Locale.ROOT,
                    "%-34s %d threads  median %7.2f  best %7.2f  wall %7.2f %-8s %s  (load %.1f -> %.1f)%n",
                    workload.name(),
                    workload.threads(),
                    result.median(),
                    result.best(),
                    result.wallMedian(),
                    workload.unit(),
                    share,
                    loadBefore,
                    loadAfter);
        }
    }

    private void addBounds() {
        MemorySegment memory = random(DType.BF16, 1, STREAM_BYTES / 2).memory();
        workloads.add(
                new Workload("memory read", threads, STREAM_BYTES, "GB/s", "", () -> Bounds.read(memory, threads)));
        int iterations = 1_000_000;
        workloads.add(new Workload(
                "multiply-add",
                threads,
                Bounds.operations(iterations, threads),
                "GFLOP/s",
                "",
                () -> Bounds.multiplyAdd(iterations, threads)));
    }

    private void addProducts(String filter) {
        addStream("gemv bf16 896x4864", DType.BF16, 1, 896, 4864, filter);
        addStream("gemv bf16 4864x896", DType.BF16, 1, 4864, 896, filter);
        addStream("gemv f32 896x4864", DType.F32, 1, 896, 4864, filter);
        addStream("gemv f8 896x4864", DType.F8_E4M3, 1, 896, 4864, filter);
        addStream("batch 8 f8 896x4864", DType.F8_E4M3, 8, 896, 4864, filter);
        addStream("batch 8 bf16 896x4864", DType.BF16, 8, 896, 4864, filter);
        addStream("batch 32 bf16 896x4864", DType.BF16, 32, 896, 4864, filter);
        addProduct("gemm 512 bf16 896x4864", DType.BF16, 512, 896, 4864, filter);
        addProduct("gemm 512 bf16 4864x896", DType.BF16, 512, 4864, 896, filter);
        addProduct("gemm 512 f32 896x4864", DType.F32, 512, 896, 4864, filter);
        addProduct("gemm 512 bf16 2048x2048", DType.BF16, 512, 2048, 2048, filter);
        addProduct("gemm 32 bf16 896x4864 cached", DType.BF16, 32, 896, 4864, filter);
    }

    /** One matrix, again and again. */
    private void addProduct(String name, DType dtype, int rows, int in, int out, String filter) {
        if (!name.contains(filter)) {
            return;
        }
        Weight weight = Weight.of(random(dtype, out, in));
        Tensor x = random(DType.F32, rows, in);
        Tensor y = device.allocate(DType.F32, rows, out);
        workloads.add(new Workload(
                name,
                threads,
                2.0 * rows * in * out,
                "GFLOP/s",
                "multiply-add",
                () -> device.ops().linear(x, weight, y)));
    }

    /** As many different matrices as make {@link #STREAM_BYTES}, one after the other: weights come from memory. */
    private void addStream(String name, DType dtype, int rows, int in, int out, String filter) {
        if (!name.contains(filter)) {
            return;
        }
        long bytes = (long) in * out * dtype.bytes();
        int count = (int) (STREAM_BYTES / bytes);
        Tensor all = random(dtype, count * (long) out, in);
        List<Weight> weights = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            Tensor scales = dtype == DType.F8_E4M3 ? random(DType.F32, (out + 127) / 128, (in + 127) / 128) : null;
            weights.add(new Weight(all.rowRange((long) i * out, out), scales, null));
        }
        Tensor x = random(DType.F32, rows, in);
        Tensor y = device.allocate(DType.F32, rows, out);
        workloads.add(new Workload(name, threads, (double) bytes * count, "GB/s", "memory read", () -> {
            for (Weight weight : weights) {
                device.ops().linear(x, weight, y);
            }
        }));
        if (rows > 1) {
            workloads.add(new Workload(
                    name + " flops", threads, 2.0 * rows * in * out * count, "GFLOP/s", "multiply-add", () -> {
                        for (Weight weight : weights) {
                            device.ops().linear(x, weight, y);
                        }
                    }));
        }
    }

    /** Codes as quantised weights have them: the largest of a block of 128 x 128 normal values is 448. Towards zero. */
    private static byte f8(float value) {
        float magnitude = Math.min(448, Math.abs(value));
        int code = magnitude < 0x1p-6f
                ? (int) (magnitude * 512)
                : (Float.floatToRawIntBits(magnitude) >>> 20) - (120 << 3);
        return (byte) (code | (value < 0 ? 0x80 : 0));
    }

    /** Values in [-1, 1): a few thousand different ones, repeated. */
    private Tensor random(DType dtype, long rows, long columns) {
        Tensor tensor = device.allocate(dtype, rows, columns);
        int period = 4096;
        long elements = tensor.elements();
        for (long i = 0; i < Math.min(period, elements); i++) {
            float value = random.nextFloat() * 2 - 1;
            if (dtype == DType.F32) {
                tensor.memory().set(ValueLayout.JAVA_FLOAT, 4 * i, value);
            } else if (dtype == DType.F8_E4M3) {
                tensor.memory().set(ValueLayout.JAVA_BYTE, i, f8((float) (random.nextGaussian() * 448 / 4.2)));
            } else {
                tensor.memory().set(ValueLayout.JAVA_SHORT, 2 * i, (short) (Float.floatToRawIntBits(value) >>> 16));
            }
        }
        for (long done = period; done < elements; done *= 2) {
            long bytes = Math.min(done, elements - done) * dtype.bytes();
            MemorySegment.copy(tensor.memory(), 0, tensor.memory(), done * dtype.bytes(), bytes);
        }
        return tensor;
    }
}
