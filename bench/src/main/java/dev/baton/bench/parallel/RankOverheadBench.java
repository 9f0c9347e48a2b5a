package dev.baton.bench.parallel;

import dev.baton.bench.Figures;
import dev.baton.engine.EngineInfo;
import dev.baton.engine.LocalEngine;
import dev.baton.engine.arch.AllToAll;
import dev.baton.engine.arch.RankCommunicators;
import dev.baton.engine.parallel.CommunicatorSupplier;
import dev.baton.engine.parallel.LoadOptions;
import dev.baton.engine.parallel.ModelLoader;
import dev.baton.engine.parallel.ParallelShape;
import dev.baton.engine.parallel.RankGroup;
import dev.baton.engine.parallel.RankShare;
import dev.baton.engine.request.EngineRequest;
import dev.baton.engine.schedule.SchedulerConfig;
import dev.baton.engine.schedule.StepObserver;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.protocol.SamplingParams;
import dev.baton.tensor.cpu.CpuDevice;
import dev.baton.tensor.cpu.CpuOptions;
import dev.baton.tensor.parallel.Communicator;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.LongAdder;

/**
 * What many ranks on few cores cost a decode step beyond the model's arithmetic: a model that is next to nothing (eight
 * layers of width 64, sixteen experts) on one rank and on eight, in turn. Per step: wall time, CPU time of the process, of
 * the schedulers' threads, and of the ranks inside of collectives (copies, meetings, spinning; a rank that sleeps until
 * the others come costs none).
 *
 * <pre>
 * RankOverheadBench [RANKS] [ROUNDS] [SEQUENCES] [STEPS]
 * </pre>
 */
public final class RankOverheadBench {
    private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();
    private static final int CONTEXT = 1024;
    private static final int VOCABULARY = 256;
    private static final String MODEL = """
            {"architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", "dtype": "bfloat16",
             "attention_bias": false, "bos_token_id": 1, "eos_token_id": 2, "decoder_sparse_step": 1, "mlp_only_layers": [],
             "head_dim": 16, "hidden_act": "silu", "hidden_size": 64, "intermediate_size": 64,
             "max_position_embeddings": 1024, "moe_intermediate_size": 64, "norm_topk_prob": true,
             "num_attention_heads": %d, "num_key_value_heads": %d, "num_experts": 16, "num_experts_per_tok": 2,
             "num_hidden_layers": 8, "rms_norm_eps": 1e-06, "rope_theta": 10000.0, "tie_word_embeddings": false,
             "vocab_size": 256}
            """;

    private final int sequences;
    private final int steps;

    private RankOverheadBench(int sequences, int steps) {
        this.sequences = sequences;
        this.steps = steps;
    }

    /** Of one step, in microseconds; the count is of one rank. */
    private record StepCost(double wall, double process, double schedulers, double collectives, double calls) {}

    public static void main(String[] arguments) throws Exception {
        int ranks = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 8;
        int rounds = arguments.length > 1 ? Integer.parseInt(arguments[1]) : 5;
        int sequences = arguments.length > 2 ? Integer.parseInt(arguments[2]) : 16;
        int steps = arguments.length > 3 ? Integer.parseInt(arguments[3]) : 100;
        RankOverheadBench bench = new RankOverheadBench(sequences, steps);
        ParallelShape groups = ParallelShape.tensorParallel(ranks).withDataParallelAttention(ranks);
        Map<String, ParallelShape> layouts = new LinkedHashMap<>();
        layouts.put("1 rank", ParallelShape.SINGLE);
        layouts.put("tp", ParallelShape.tensorParallel(ranks));
        layouts.put("dp attention, ep", groups.withExpertParallel(ranks));
        layouts.put("dp attention, deepep", groups.withAllToAll(AllToAll.AUTO));
        Map<String, List<StepCost>> all = new LinkedHashMap<>();
        Path folder = Files.createTempDirectory("rank-overhead");
        try {
            Files.writeString(folder.resolve("config.json"), String.format(Locale.ROOT, MODEL, ranks, ranks));
            for (int round = 0; round <= rounds; round++) {
                for (Map.Entry<String, ParallelShape> layout : layouts.entrySet()) {
                    StepCost cost = bench.measure(folder, layout.getValue());
                    if (round > 0) {
                        all.computeIfAbsent(layout.getKey(), k -> new ArrayList<>())
                                .add(cost);
                    }
                }
            }
        } finally {
            deleteFolder(folder);
        }
        System.out.printf(
                Locale.ROOT,
                "%d ranks on %d cores, %d sequences, medians of %d rounds of %d decode steps, load average %.1f%n",
                ranks,
                Runtime.getRuntime().availableProcessors(),
                sequences,
                rounds,
                steps,
                ManagementFactory.getOperatingSystemMXBean().getSystemLoadAverage());
        System.out.printf(
                "%-22s %9s %9s %11s %12s %9s%n", "us a step", "wall", "CPU", "schedulers", "collectives", "calls");
        all.forEach((name, of) -> System.out.printf(
                Locale.ROOT,
                "%-22s %9.0f %9.0f %11.0f %12.0f %9.0f%n",
                name,
                Figures.median(of.stream().mapToDouble(StepCost::wall).toArray()),
                Figures.median(of.stream().mapToDouble(StepCost::process).toArray()),
                Figures.median(of.stream().mapToDouble(StepCost::schedulers).toArray()),
                Figures.median(of.stream().mapToDouble(StepCost::collectives).toArray()),
                Figures.median(of.stream().mapToDouble(StepCost::calls).toArray())));
    }

    private static void deleteFolder(Path folder) throws IOException {
        Files.delete(folder.resolve("config.json"));
        Files.delete(folder);
    }

    /** CPU time spent inside of a group's collectives by all its ranks. */
    private static final class CollectiveMeter {
        private final LongAdder nanos = new LongAdder();
        private final LongAdder calls = new LongAdder();

        Communicator around(Communicator communicator) {
            return (Communicator) Proxy.newProxyInstance(
                    Communicator.class.getClassLoader(), new Class<?>[] {Communicator.class}, (proxy, method, args) -> {
                        boolean counts = communicator.size() > 1 && method.getReturnType() == void.class;
                        long before = counts ? THREADS.getCurrentThreadCpuTime() : 0;
                        try {
                            return method.invoke(communicator, args);
                        } catch (InvocationTargetException e) {
                            throw e.getCause();
                        } finally {
                            if (counts) {
                                nanos.add(THREADS.getCurrentThreadCpuTime() - before);
                                calls.increment();
                            }
                        }
                    });
        }
    }

    /** Takes every counter at the first and the last step of a window, on the thread of one scheduler. */
    private final class Window implements StepObserver {
        private final CollectiveMeter collectives;
        private final CountDownLatch done;
        private final int ofGroup;
        private int seen;
        private long wall;
        private long process;
        private long scheduler;
        private long inside;
        private long calls;

        Window(CollectiveMeter collectives, CountDownLatch done, int ofGroup) {
            this.collectives = collectives;
            this.done = done;
            this.ofGroup = ofGroup;
        }

        @Override
        public void beforeStep(StepPlan plan) {
            if (plan.sequences() < ofGroup) {
                return;
            }
            seen++;
            int warm = steps / 2;
            if (seen == warm) {
                take(-1);
            } else if (seen == warm + steps) {
                take(1);
                done.countDown();
            }
        }

        private void take(int sign) {
            wall += sign * System.nanoTime();
            process += sign
                    * ProcessHandle.current()
                            .info()
                            .totalCpuDuration()
                            .orElseThrow()
                            .toNanos();
            scheduler += sign * THREADS.getCurrentThreadCpuTime();
            inside += sign * collectives.nanos.sum();
            calls += sign * collectives.calls.sum();
        }
    }

    private StepCost measure(Path folder, ParallelShape shape) throws Exception {
        LoadOptions options = LoadOptions.DEFAULT
                .with()
                .format(LoadOptions.Format.DUMMY)
                .shape(shape)
                .contextTokens(CONTEXT)
                .maxRunningRequests(sequences)
                .maxStepTokens(512)
                .maxTotalTokens(sequences * CONTEXT)
                .build();
        int schedulers = shape.attentionGroups();
        CollectiveMeter meter = new CollectiveMeter();
        CountDownLatch done = new CountDownLatch(schedulers);
        List<Window> windows = new ArrayList<>();
        for (int group = 0; group < schedulers; group++) {
            windows.add(new Window(meter, done, sequences / schedulers));
        }
        CommunicatorSupplier plain = CommunicatorSupplier.local(shape, Duration.ofSeconds(60));
        CommunicatorSupplier metered = (rank, device) -> plain.join(rank, device)
                .map(member -> new RankCommunicators.Member(meter.around(member.communicator()), member.ranks()));
        EngineInfo info = new EngineInfo("", "", "", VOCABULARY, CONTEXT, 0, 0, 0, 0, 1, schedulers, null, 0, 0);
        SchedulerConfig config =
                SchedulerConfig.DEFAULT.toBuilder().radixCache(false).build();
        try (ModelLoader loader = ModelLoader.open(folder, LoadOptions.Format.DUMMY, 1)) {
            List<RankGroup> groups = loader.startGroups(
                    options, (r, size) -> CpuDevice.open(CpuOptions.of(1)), metered, RankShare.WHOLE);
            try (LocalEngine engine = LocalEngine.builder(info, config, groups::get)
                    .dataParallel(schedulers)
                    .observers(group -> List.of(windows.get(group)))
                    .log(line -> {})
                    .build()) {
                SamplingParams sampling = SamplingParams.greedy(2 * steps).toBuilder()
                        .ignoreEos(true)
                        .build();
                for (int i = 0; i < sequences; i++) {
                    int[] prompt = {3 + i, 4, 5, 6};
                    engine.submit(EngineRequest.of("r" + i, prompt, sampling), output -> {});
                }
                done.await();
            }
        }
        Window first = windows.getFirst();
        double microseconds = 1e3 * steps;
        return new StepCost(
                first.wall / microseconds,
                first.process / microseconds,
                windows.stream().mapToLong(w -> w.scheduler).sum() / microseconds,
                first.inside / microseconds,
                (double) first.calls / steps / shape.replicaRanks());
    }
}
