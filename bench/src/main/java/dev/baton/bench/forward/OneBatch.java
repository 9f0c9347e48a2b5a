package dev.baton.bench.forward;

import dev.baton.bench.Figures;
import dev.baton.cuda.CudaDevice;
import dev.baton.cuda.CudaOptions;
import dev.baton.engine.forward.DirectRun;
import dev.baton.engine.forward.RunnerOptions;
import dev.baton.engine.parallel.DeviceSupplier;
import dev.baton.engine.parallel.LoadOptions;
import dev.baton.engine.parallel.ModelLoader;
import dev.baton.engine.parallel.RankGroup;
import dev.baton.engine.schedule.ForwardMode;
import dev.baton.model.DType;
import dev.baton.tensor.cpu.CpuDevice;
import dev.baton.tensor.cpu.CpuKernels;
import dev.baton.tensor.cpu.CpuOptions;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Random;

/**
 * Prefills a batch of random prompts and decodes it, directly on the ranks, and prints tokens a second from the median
 * step. Beside the wall clock it tells the process's CPU time: on a machine with other load only that one means
 * something.
 *
 * <pre>
 * OneBatch --model-path DIR [--load-format dummy] [--batch-size 1] [--input-len 512] [--output-len 32] [--threads 2]
 *     [--tp-size 1] [--kernels vector] [--kv-cache-dtype f32] [--chunk-size 2048] [--repeats 3] [--json]
 *     [--operators] [--device cpu|cuda] [--dtype bf16]
 * </pre>
 */
public final class OneBatch {
    private OneBatch() {}

    /** What the command line says. */
    private record Settings(
            Path model,
            LoadOptions.Format format,
            int batchSize,
            int inputTokens,
            int outputTokens,
            int threads,
            int tensorParallel,
            CpuKernels kernels,
            DType cacheType,
            int chunkTokens,
            int repeats,
            boolean json,
            boolean operators,
            boolean cuda,
            DType activations) {
        static Settings parse(String[] arguments) {
            Arguments a = new Arguments(arguments);
            return new Settings(
                    Path.of(a.text("--model-path", "models/shapes/qwen2.5-0.5b")),
                    LoadOptions.Format.valueOf(a.text("--load-format", "dummy").toUpperCase(Locale.ROOT)),
                    a.number("--batch-size", 1),
                    a.number("--input-len", 512),
                    a.number("--output-len", 32),
                    a.number("--threads", 2),
                    a.number("--tp-size", 1),
                    CpuKernels.of(a.text("--kernels", "vector")),
                    DType.valueOf(a.text("--kv-cache-dtype", "f32").toUpperCase(Locale.ROOT)),
                    a.number("--chunk-size", 2048),
                    a.number("--repeats", 3),
                    a.flag("--json"),
                    a.flag("--operators"),
                    a.text("--device", "cpu").equals("cuda"),
                    DType.valueOf(a.text("--dtype", "bf16").toUpperCase(Locale.ROOT)));
        }
    }

    /** Options by name; every one that is given must be asked for. */
    private record Arguments(String[] all) {
        String text(String name, String otherwise) {
            int at = Arrays.asList(all).indexOf(name);
            return at < 0 ? otherwise : all[at + 1];
        }

        int number(String name, int otherwise) {
            return Integer.parseInt(text(name, Integer.toString(otherwise)));
        }

        boolean flag(String name) {
            return Arrays.asList(all).contains(name);
        }
    }

    public static void main(String[] arguments) {
        Settings settings = Settings.parse(arguments);
        int perSequence = settings.inputTokens() + settings.outputTokens();
        LoadOptions options = LoadOptions.DEFAULT
                .with()
                .format(settings.format())
                .tensorParallel(settings.tensorParallel())
                .cacheType(settings.cacheType())
                .contextTokens(perSequence)
                .maxRunningRequests(settings.batchSize())
                .maxStepTokens(Math.max(settings.chunkTokens(), settings.batchSize()))
                .maxTotalTokens(settings.batchSize() * perSequence)
                .memoryFraction(0.9)
                .logitRows(Math.max(RunnerOptions.DEFAULT_LOGIT_ROWS, settings.batchSize()))
                .build();
        DeviceSupplier devices = settings.cuda()
                ? (rank, ranks) -> CudaDevice.open(CudaOptions.of(rank, settings.activations()))
                : (rank, ranks) -> CpuDevice.open(
                        CpuOptions.of(Math.max(1, settings.threads() / ranks)).withKernels(settings.kernels()));
        try (RankGroup group = ModelLoader.load(settings.model(), options, devices)) {
            new Run(settings, group).all();
        }
    }

    /** The repeats and their sums. */
    private static final class Run {
        private final Settings settings;
        private final RankGroup group;
        private final List<Double> prefillSeconds = new ArrayList<>();
        private final List<Double> prefillCpuSeconds = new ArrayList<>();
        private final List<Double> decodeSeconds = new ArrayList<>();
        private final List<Double> decodeCpuSeconds = new ArrayList<>();

        Run(Settings settings, RankGroup group) {
            this.settings = settings;
            this.group = group;
        }

        void all() {
            Random random = new Random(1);
            int vocabulary = group.config().vocabSize();
            List<int[]> prompts = new ArrayList<>();
            for (int b = 0; b < settings.batchSize(); b++) {
                prompts.add(random.ints(settings.inputTokens(), 0, vocabulary).toArray());
            }
            // The first run warms the compiler up and is not counted.
            for (int repeat = 0; repeat <= settings.repeats(); repeat++) {
                OperatorTimes times = settings.operators() && repeat == settings.repeats() ? new OperatorTimes() : null;
                if (times != null) {
                    group.setObservers(rank -> rank == 0 ? times.observer() : OperatorTimes.none())
                            .join();
                }
                once(prompts, repeat > 0);
                if (times != null) {
                    times.print(System.out);
                }
            }
            print();
        }

        private void once(List<int[]> prompts, boolean counted) {
            CpuMeter meter = new CpuMeter();
            DirectRun.Outcome outcome = new DirectRun(group, group.maxStepTokens(), meter::step)
                    .generate(prompts, DirectRun.Options.greedy(settings.outputTokens()));
            if (!counted) {
                return;
            }
            double prefill = 0;
            double prefillCpu = 0;
            for (int i = 0; i < outcome.steps().size(); i++) {
                DirectRun.TimedStep step = outcome.steps().get(i);
                double seconds = (step.result().endNanos() - step.result().startNanos()) * 1e-9;
                if (step.mode() == ForwardMode.EXTEND) {
                    prefill += seconds;
                    prefillCpu += meter.seconds(i);
                } else {
                    decodeSeconds.add(seconds);
                    decodeCpuSeconds.add(meter.seconds(i));
                }
            }
            prefillSeconds.add(prefill);
            prefillCpuSeconds.add(prefillCpu);
        }

        private void print() {
            int promptTokens = settings.batchSize() * settings.inputTokens();
            double load = ManagementFactory.getOperatingSystemMXBean().getSystemLoadAverage();
            // CPU time of all threads, spread over the threads: what the wall clock shows on an idle machine.
            double prefillCpu = promptTokens * settings.threads() / Figures.median(prefillCpuSeconds);
            double decodeCpu = settings.batchSize() * settings.threads() / Figures.median(decodeCpuSeconds);
            String format = settings.json()
                    ? "{\"model\": \"%s\", \"batch_size\": %d, \"input_len\": %d, \"output_len\": %d, \"threads\": %d,"
                            + " \"tp_size\": %d, \"prefill_tokens_per_s\": %.2f, \"prefill_tokens_per_s_cpu\": %.2f,"
                            + " \"decode_tokens_per_s\": %.2f, \"decode_tokens_per_s_cpu\": %.2f, \"weight_bytes\": %d,"
                            + " \"load_average\": %.2f}%n"
                    : "%s: batch %d, input %d, output %d, %d threads, tp %d%n"
                            + "  prefill %9.2f tok/s  (%9.2f by CPU time)%n"
                            + "  decode  %9.2f tok/s  (%9.2f by CPU time), median step%n"
                            + "  weights %d bytes a rank, load average %.2f%n";
            System.out.printf(
                    Locale.ROOT,
                    format,
                    settings.model(),
                    settings.batchSize(),
                    settings.inputTokens(),
                    settings.outputTokens(),
                    settings.threads(),
                    settings.tensorParallel(),
                    promptTokens / Figures.median(prefillSeconds),
                    prefillCpu,
                    settings.batchSize() / Figures.median(decodeSeconds),
                    decodeCpu,
                    group.weightBytes(),
                    load);
        }
    }
}
