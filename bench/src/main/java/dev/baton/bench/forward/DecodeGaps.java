package dev.baton.bench.forward;

import dev.baton.cuda.CudaDevice;
import dev.baton.cuda.CudaOptions;
import dev.baton.engine.forward.DirectRun;
import dev.baton.engine.parallel.LoadOptions;
import dev.baton.engine.parallel.ModelLoader;
import dev.baton.engine.parallel.RankGroup;
import dev.baton.model.DType;
import dev.baton.protocol.SamplingParams;
import dev.baton.tensor.DeviceActivity;
import dev.baton.tensor.DeviceSpan;
import dev.baton.tensor.DeviceSpan.Kind;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.stream.IntStream;

/**
 * How long a GPU stands still between two decode steps, by CUPTI's records: from the end of the last kernel of a step to the
 * beginning of the first of the next, and how much of that neither a kernel nor a copy runs; which kernels take the
 * time of a step and of the prompts; and what recording costs.
 *
 * <p>{@code DecodeGaps SHAPE_FOLDER BATCH [TEMPERATURE [PROMPT_TOKENS]]}
 */
public final class DecodeGaps {
    private static final int NEW_TOKENS = 66;
    /** Every step's first kernel. */
    private static final String FIRST = "begin_step";

    private DecodeGaps() {}

    public static void main(String[] arguments) {
        int batch = Integer.parseInt(arguments[1]);
        float temperature = arguments.length > 2 ? Float.parseFloat(arguments[2]) : 0;
        int promptTokens = arguments.length > 3 ? Integer.parseInt(arguments[3]) : 1024;
        int perSequence = promptTokens + NEW_TOKENS;
        LoadOptions options = LoadOptions.DEFAULT
                .with()
                .format(LoadOptions.Format.DUMMY)
                .cacheType(DType.BF16)
                .contextTokens(perSequence)
                .maxRunningRequests(batch)
                .maxStepTokens(16384)
                .maxTotalTokens(batch * perSequence)
                .memoryFraction(0.9)
                .logitRows(Math.max(64, batch))
                .build();
        try (RankGroup group = ModelLoader.load(
                Path.of(arguments[0]), options, (rank, ranks) -> CudaDevice.open(CudaOptions.of(rank, DType.BF16)))) {
            Random random = new Random(1);
            List<int[]> prompts = new ArrayList<>();
            for (int b = 0; b < batch; b++) {
                prompts.add(
                        random.ints(promptTokens, 0, group.config().vocabSize()).toArray());
            }
            SamplingParams params = SamplingParams.DEFAULT.toBuilder()
                    .maxNewTokens(NEW_TOKENS)
                    .temperature(temperature)
                    .topP(temperature > 0 ? 0.95f : 1)
                    .topK(temperature > 0 ? 50 : -1)
                    .build();
            DirectRun run = new DirectRun(group, group.maxStepTokens());
            DirectRun.Options how = new DirectRun.Options(Integer.MAX_VALUE, 0, params, 7, b -> null);
            run.generate(prompts, how);
            long plainNanos = timed(() -> run.generate(prompts, how));
            DeviceActivity activity =
                    Objects.requireNonNull(group.runner(0).device().activity());
            group.runBetweenSteps(rank -> activity.start()).join();
            long recordedNanos = timed(() -> run.generate(prompts, how));
            List<DeviceSpan> spans = new ArrayList<>();
            group.runBetweenSteps(rank -> spans.addAll(activity.stop())).join();
            report(batch, spans);
            reportKernels(spans);
            System.out.printf(
                    Locale.ROOT,
                    "prompt and %d steps took %.1f ms, recorded %.1f ms%n",
                    NEW_TOKENS - 1,
                    plainNanos / 1e6,
                    recordedNanos / 1e6);
        }
    }

    private static long timed(Runnable work) {
        long start = System.nanoTime();
        work.run();
        return System.nanoTime() - start;
    }

    private static void report(int batch, List<DeviceSpan> all) {
        List<DeviceSpan> spans = all.stream()
                .filter(span -> !span.kind().isCall())
                .sorted(Comparator.comparingLong(DeviceSpan::startNanos))
                .toList();
        List<Double> betweenKernels = new ArrayList<>();
        List<Double> idle = new ArrayList<>();
        List<Double> steps = new ArrayList<>();
        long lastKernel = Long.MIN_VALUE;
        long lastFirst = Long.MIN_VALUE;
        long busyUntil = Long.MIN_VALUE;
        long idleNanos = 0;
        for (DeviceSpan span : spans) {
            if (span.startNanos() > busyUntil) {
                idleNanos += busyUntil == Long.MIN_VALUE ? 0 : span.startNanos() - busyUntil;
            }
            busyUntil = Math.max(busyUntil, span.endNanos());
            if (span.kind() != Kind.KERNEL) {
                continue;
            }
            if (span.name().equals(FIRST) && lastFirst != Long.MIN_VALUE) {
                betweenKernels.add((span.startNanos() - lastKernel) / 1e3);
                idle.add(idleNanos / 1e3);
                steps.add((span.startNanos() - lastFirst) / 1e6);
            }
            if (span.name().equals(FIRST)) {
                lastFirst = span.startNanos();
            }
            lastKernel = Math.max(lastKernel, span.endNanos());
            idleNanos = 0;
        }
        // The first steps are the prompts'.
        int decodes = Math.min(NEW_TOKENS - 2, steps.size());
        System.out.printf(
                Locale.ROOT,
                "batch %d: %d decode steps of %.3f ms; between kernels of two steps %.1f us (p90 %.1f), neither kernel nor"
                        + " copy %.1f us (p90 %.1f)%n",
                batch,
                decodes,
                quantile(steps, decodes, 0.5),
                quantile(betweenKernels, decodes, 0.5),
                quantile(betweenKernels, decodes, 0.9),
                quantile(idle, decodes, 0.5),
                quantile(idle, decodes, 0.9));
    }

    private static void reportKernels(List<DeviceSpan> all) {
        List<DeviceSpan> kernels = all.stream()
                .filter(span -> span.kind() == Kind.KERNEL)
                .sorted(Comparator.comparingLong(DeviceSpan::endNanos))
                .toList();
        List<Integer> firsts = IntStream.range(0, kernels.size())
                .filter(i -> kernels.get(i).name().equals(FIRST))
                .boxed()
                .toList();
        int steps = Math.min(NEW_TOKENS - 2, firsts.size() - 1);
        int decode = firsts.get(firsts.size() - 1 - steps);
        reportKernels("prompts", kernels.subList(0, decode), 1);
        reportKernels("decode step", kernels.subList(decode - 1, firsts.getLast()), steps);
    }

    /**
     * The time of all but the first by kernel. Kernels begin while the one before still runs and wait inside, so a kernel counts
     * from the end of what ended last before it: the sums are the whole.
     */
    private static void reportKernels(String what, List<DeviceSpan> kernels, int times) {
        record Sum(int calls, long nanos) {}
        Map<String, Sum> sums = new LinkedHashMap<>();
        for (int i = 1; i < kernels.size(); i++) {
            DeviceSpan kernel = kernels.get(i);
            String name = "%s %s".formatted(kernel.name(), Arrays.toString(kernel.grid()));
            long nanos = kernel.endNanos() - kernels.get(i - 1).endNanos();
            sums.merge(name, new Sum(1, nanos), (a, b) -> new Sum(a.calls + b.calls, a.nanos + b.nanos));
        }
        sums.entrySet().stream()
                .sorted(Comparator.comparingLong(entry -> -entry.getValue().nanos))
                .forEach(entry -> System.out.printf(
                        Locale.ROOT,
                        "%s: %9.1f us, %5.1f times %7.2f us  %s%n",
                        what,
                        entry.getValue().nanos / 1e3 / times,
                        (double) entry.getValue().calls / times,
                        entry.getValue().nanos / 1e3 / entry.getValue().calls,
                        entry.getKey()));
    }

    private static double quantile(List<Double> values, int last, double share) {
        double[] sorted = values.subList(values.size() - last, values.size()).stream()
                .mapToDouble(Double::doubleValue)
                .sorted()
                .toArray();
        return sorted.length == 0 ? Double.NaN : sorted[(int) Math.min(sorted.length - 1, share * sorted.length)];
    }
}
