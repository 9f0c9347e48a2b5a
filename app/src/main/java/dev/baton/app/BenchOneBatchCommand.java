package dev.baton.app;

import dev.baton.engine.forward.DirectRun;
import dev.baton.engine.forward.RunnerOptions;
import dev.baton.engine.parallel.LoadOptions;
import dev.baton.engine.parallel.ModelLoader;
import dev.baton.engine.parallel.RankGroup;
import dev.baton.engine.schedule.ForwardMode;
import dev.baton.model.DType;
import dev.baton.model.config.ModelConfig;
import dev.baton.protocol.flag.ServerArgs;
import dev.baton.tensor.Device;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code baton bench one-batch}: whole batches on the ranks themselves, without scheduler and server. */
@Command(
        name = "one-batch",
        aliases = "one_batch",
        description =
                "Measures prefill and decode steps of whole batches on the device itself, without a server, beside what"
                        + " its memory and its arithmetic reach at best.",
        mixinStandardHelpOptions = true,
        showDefaultValues = true,
        sortOptions = false)
final class BenchOneBatchCommand implements Callable<Integer> {
    @Option(names = "--model-path", required = true, paramLabel = "DIR", description = "the model's folder")
    Path model = Path.of("");

    @Option(names = "--load-format", description = "auto, or dummy: weights of the shape without files")
    String loadFormat = "auto";

    @Option(names = "--device", description = "auto, cuda, cpu")
    String device = "auto";

    @Option(names = "--dtype", description = "of activations")
    String dtype = "auto";

    @Option(names = "--kv-cache-dtype", description = "of the cache")
    String cacheType = "auto";

    @Option(names = "--cpu-threads", description = "threads of a CPU device; 0: all processors")
    int threads;

    @Option(
            names = {"--tp-size", "--tp"},
            description = "tensor parallel ranks")
    int tensorParallel = 1;

    @Option(names = "--batch-size", arity = "1..*", description = "sequences of a batch")
    List<Integer> batchSizes = List.of(1);

    @Option(names = "--input-len", description = "prompt tokens")
    int inputTokens = 1024;

    @Option(names = "--output-len", description = "new tokens")
    int outputTokens = 64;

    @Option(names = "--chunked-prefill-size", description = "most prompt tokens of a step")
    int chunkTokens = 8192;

    @Option(names = "--repeats", description = "counted runs behind the one that warms up")
    int repeats = 2;

    @Option(names = "--json", description = "a JSON object a line")
    boolean json;

    @Override
    public Integer call() {
        LogLevels.apply("warning");
        ModelConfig config = ModelConfig.read(model);
        ServerArgs args = ServerArgs.parse(flags());
        Devices devices = Devices.of(args, config);
        LoadOptions load = options(devices);
        ReplicaRanks ranks = devices.of(0, load.shape(), load.pipeline().messages(), load.collectiveDeadline());
        Ceilings ceilings;
        String name;
        try (Device one = ranks.devices().open(0, 1)) {
            ceilings = Ceilings.measure(one);
            name = one.info().name();
        }
        print(
                "{\"what\": \"ceiling\", \"device\": \"%s\", \"copy_gb_s\": %.1f, \"bf16_tflop_s\": %.3f}%n",
                "%s: copy %.1f GB/s (read and written), BF16 product %.3f TFLOP/s%n",
                name,
                ceilings.copyBytesPerSecond() / 1e9,
                ceilings.operationsPerSecond() / 1e12);
        try (RankGroup group = ModelLoader.load(model, load, ranks.devices(), ranks.communicators())) {
            for (int batch : batchSizes) {
                measure(group, ForwardCost.of(config), ceilings, batch, devices.cacheType());
            }
        }
        return 0;
    }

    private List<String> flags() {
        List<String> flags = new ArrayList<>(List.of(
                "--model-path=" + model,
                "--load-format=" + loadFormat,
                "--device=" + device,
                "--dtype=" + dtype,
                "--kv-cache-dtype=" + cacheType,
                "--tp-size=" + tensorParallel));
        if (threads > 0) {
            flags.add("--cpu-threads=" + threads);
        }
        return flags;
    }

    private LoadOptions options(Devices devices) {
        int most = Collections.max(batchSizes);
        int perSequence = inputTokens + outputTokens;
        return LoadOptions.DEFAULT
                .with()
                .format(loadFormat.equals("dummy") ? LoadOptions.Format.DUMMY : LoadOptions.Format.SAFETENSORS)
                .tensorParallel(tensorParallel)
                .cacheType(devices.cacheType())
                .contextTokens(perSequence)
                .maxRunningRequests(most)
                .maxStepTokens(Math.max(chunkTokens, most))
                .maxTotalTokens(most * perSequence)
                .memoryFraction(0.9)
                .logitRows(Math.max(RunnerOptions.DEFAULT_LOGIT_ROWS, most))
                .build();
    }

    private void measure(RankGroup group, ForwardCost cost, Ceilings ceilings, int batch, DType cache) {
        Random random = new Random(1);
        List<int[]> prompts = new ArrayList<>();
        for (int b = 0; b < batch; b++) {
            prompts.add(random.ints(inputTokens, 0, group.config().vocabSize()).toArray());
        }
        List<Double> prefills = new ArrayList<>();
        List<Double> decodes = new ArrayList<>();
        for (int repeat = 0; repeat <= repeats; repeat++) {
            DirectRun.Outcome outcome = new DirectRun(group, group.maxStepTokens())
                    .generate(prompts, DirectRun.Options.greedy(outputTokens));
            if (repeat == 0) {
                continue;
            }
            double prefill = 0;
            for (DirectRun.TimedStep step : outcome.steps()) {
                double seconds = (step.result().endNanos() - step.result().startNanos()) * 1e-9;
                if (step.mode() == ForwardMode.EXTEND) {
                    prefill += seconds;
                } else {
                    decodes.add(seconds);
                }
            }
            prefills.add(prefill);
        }
        double prefill = median(prefills);
        double operations = cost.prefillOperations(batch, inputTokens);
        line(
                "prefill",
                "mfu",
                batch,
                (double) batch * inputTokens,
                prefill,
                operations / prefill / ceilings.operationsPerSecond() / tensorParallel);
        if (!decodes.isEmpty()) {
            double decode = median(decodes);
            double bytes = cost.decodeBytes(batch, inputTokens, cache.bytes());
            line(
                    "decode",
                    "mbu",
                    batch,
                    batch,
                    decode,
                    bytes / decode / ceilings.copyBytesPerSecond() / tensorParallel);
        }
    }

    private void line(String what, String share, int batch, double tokens, double seconds, double of) {
        print(
                "{\"what\": \"%s\", \"shape\": \"%s\", \"batch\": %d, \"context\": %d, \"ms\": %.4f,"
                        + " \"tok_s\": %.2f, \"%s\": %.4f}%n",
                "%-8s %s  batch %d  context %d  %.3f ms  %.1f tok/s  %s %.3f%n",
                what,
                model.getFileName(),
                batch,
                inputTokens,
                seconds * 1e3,
                tokens / seconds,
                share,
                of);
    }

    private void print(String asJson, String asText, Object... values) {
        System.out.printf(Locale.ROOT, json ? asJson : asText, values);
    }

    private static double median(List<Double> values) {
        double[] sorted =
                values.stream().mapToDouble(Double::doubleValue).sorted().toArray();
        return sorted[sorted.length / 2];
    }
}
