package dev.baton.bench.parallel;

import dev.baton.bench.Figures;
import dev.baton.engine.EngineInfo;
import dev.baton.engine.LocalEngine;
import dev.baton.engine.parallel.LoadOptions;
import dev.baton.engine.parallel.ModelLoader;
import dev.baton.engine.parallel.ParallelShape;
import dev.baton.engine.parallel.PipelineOptions;
import dev.baton.engine.parallel.RankGroup;
import dev.baton.engine.request.EngineRequest;
import dev.baton.engine.schedule.SchedulerConfig;
import dev.baton.model.DType;
import dev.baton.protocol.SamplingParams;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.cpu.CpuDevice;
import dev.baton.tensor.cpu.CpuOptions;
import dev.baton.tensor.parallel.LocalPointToPoint;
import dev.baton.tensor.parallel.PointToPoint;
import dev.baton.tensor.parallel.Transfer;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.concurrent.CompletableFuture;

/**
 * What a pipeline costs and gives on the cores of one machine: messages between two threads, then one model under load on
 * one stage and on two, in turn.
 *
 * <pre>
 * PipelineBench [MODEL_DIR] [REQUESTS] [TOKENS] [ROUNDS]
 * </pre>
 */
public final class PipelineBench {
    private static final int CONTEXT = 256;

    private PipelineBench() {}

    /** One way to place the model: threads are of one rank. */
    private record Placing(int tensorParallel, int stages, int threads, int batches, boolean synchronous) {}

    public static void main(String[] arguments) throws Exception {
        Path model = Path.of(arguments.length > 0 ? arguments[0] : "models/baton-nano");
        int requests = arguments.length > 1 ? Integer.parseInt(arguments[1]) : 32;
        int tokens = arguments.length > 2 ? Integer.parseInt(arguments[2]) : 48;
        int rounds = arguments.length > 3 ? Integer.parseInt(arguments[3]) : 5;
        messages();
        Map<String, Placing> placings = new LinkedHashMap<>();
        placings.put("1 stage, 1 core", new Placing(1, 1, 1, 1, false));
        placings.put("1 stage, 2 cores", new Placing(1, 1, 2, 1, false));
        placings.put("tp 2", new Placing(2, 1, 1, 1, false));
        placings.put("pp 2", new Placing(1, 2, 1, 2, false));
        placings.put("pp 2, depth 1", new Placing(1, 2, 1, 3, false));
        placings.put("pp 2, synchronous", new Placing(1, 2, 1, 2, true));
        Map<String, List<Double>> rates = new LinkedHashMap<>();
        try (ModelLoader loader = ModelLoader.open(model, LoadOptions.Format.SAFETENSORS, 1)) {
            for (int round = 0; round <= rounds; round++) {
                for (Map.Entry<String, Placing> entry : placings.entrySet()) {
                    double rate = serve(loader, entry.getValue(), requests, tokens);
                    if (round > 0) {
                        rates.computeIfAbsent(entry.getKey(), k -> new ArrayList<>())
                                .add(rate);
                    }
                }
            }
        }
        double one = Figures.median(Objects.requireNonNull(rates.get("1 stage, 1 core")));
        rates.forEach((name, all) -> System.out.printf(
                Locale.ROOT,
                "%-20s %7.0f tok/s (%.0f to %.0f), %.2f of one core%n",
                name,
                Figures.median(all),
                all.stream().min(Double::compare).orElseThrow(),
                all.stream().max(Double::compare).orElseThrow(),
                Figures.median(all) / one));
    }

    /** Tokens a second of all requests at once. */
    private static double serve(ModelLoader loader, Placing placing, int requests, int tokens) {
        LoadOptions options = LoadOptions.DEFAULT
                .with()
                .shape(ParallelShape.tensorParallel(placing.tensorParallel).withPipelineParallel(placing.stages))
                .pipeline(new PipelineOptions(List.of(), Math.max(2, placing.batches), placing.synchronous))
                .contextTokens(CONTEXT)
                .maxRunningRequests(requests)
                .maxStepTokens(2048)
                .maxTotalTokens(requests * CONTEXT)
                .build();
        int vocabulary = loader.config().vocabSize();
        SchedulerConfig config = SchedulerConfig.DEFAULT.toBuilder()
                .microBatches(placing.batches)
                .radixCache(false)
                .build();
        EngineInfo info = new EngineInfo("", "", "", vocabulary, CONTEXT, 0, 0, 0, 0, 1, 1, null, 0, 0);
        RankGroup group = loader.start(options, (r, size) -> CpuDevice.open(CpuOptions.of(placing.threads)));
        SamplingParams sampling =
                SamplingParams.greedy(tokens).toBuilder().ignoreEos(true).build();
        try (LocalEngine engine =
                LocalEngine.builder(info, config, rank -> group).log(line -> {}).build()) {
            List<CompletableFuture<Void>> ends = new ArrayList<>();
            Random random = new Random(1);
            long start = System.nanoTime();
            for (int r = 0; r < requests; r++) {
                int[] prompt = random.ints(16, 3, vocabulary).toArray();
                CompletableFuture<Void> end = new CompletableFuture<>();
                ends.add(end);
                engine.submit(EngineRequest.of("r" + r, prompt, sampling), output -> {
                    if (output.isLast()) {
                        end.complete(null);
                    }
                });
            }
            CompletableFuture.allOf(ends.toArray(CompletableFuture[]::new)).join();
            return requests * (double) tokens * 1e9 / (System.nanoTime() - start);
        }
    }

    /** Ids there and back, and streams of a prefill chunk beside a plain copy. */
    private static void messages() throws Exception {
        try (Arena arena = Arena.ofShared()) {
            List<PointToPoint> pair = LocalPointToPoint.group(2, 2, Duration.ofSeconds(20));
            int trips = 20_000;
            Thread echo = Thread.ofPlatform().start(() -> {
                Tensor ids = Tensor.dense(arena.allocate(4 * 64, 64), DType.I32, 64);
                for (int i = 0; i < trips; i++) {
                    pair.get(1).receive(0, List.of(ids)).await();
                    pair.get(1).send(0, List.of(ids)).await();
                }
            });
            Tensor ids = Tensor.dense(arena.allocate(4 * 64, 64), DType.I32, 64);
            Tensor back = Tensor.dense(arena.allocate(4 * 64, 64), DType.I32, 64);
            long[] nanos = new long[trips];
            for (int i = 0; i < trips; i++) {
                long start = System.nanoTime();
                Transfer receive = pair.get(0).receive(1, List.of(back));
                pair.get(0).send(1, List.of(ids)).await();
                receive.await();
                nanos[i] = (System.nanoTime() - start) / 2;
            }
            echo.join();
            long[] late = Arrays.copyOfRange(nanos, trips / 2, trips);
            Arrays.sort(late);
            System.out.printf(
                    Locale.ROOT,
                    "64 ids one way: %.2f us median, %.2f us p99%n",
                    late[late.length / 2] / 1e3,
                    late[late.length * 99 / 100] / 1e3);
            streams(arena, pair);
        }
    }

    private static void streams(Arena arena, List<PointToPoint> pair) {
        Tensor from = Tensor.dense(arena.allocate(2048L * 1024 * 4, 64), DType.F32, 2048, 1024);
        Tensor to = Tensor.dense(arena.allocate(2048L * 1024 * 4, 64), DType.F32, 2048, 1024);
        long bytes = from.elements() * 4;
        double[] moved = new double[60];
        double[] copied = new double[60];
        for (int i = 0; i < moved.length; i++) {
            pair.get(1).receive(0, List.of(to));
            long start = System.nanoTime();
            pair.get(0).send(1, List.of(from)).await();
            moved[i] = (double) bytes / (System.nanoTime() - start);
            start = System.nanoTime();
            MemorySegment.copy(from.memory(), 0, to.memory(), 0, bytes);
            copied[i] = (double) bytes / (System.nanoTime() - start);
        }
        Arrays.sort(moved);
        Arrays.sort(copied);
        System.out.printf(
                Locale.ROOT,
                "8 MiB stream: %.1f GB/s, a plain copy %.1f GB/s (medians)%n",
                moved[moved.length / 2],
                copied[copied.length / 2]);
    }
}
