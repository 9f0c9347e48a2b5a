package dev.baton.lab.experiment;

import dev.baton.lab.client.ServingBenchmark;
import dev.baton.lab.client.ServingBenchmarkConfig;
import dev.baton.lab.client.ServingResult;
import dev.baton.lab.evaluate.EvalPrompt;
import dev.baton.lab.evaluate.Evaluation;
import dev.baton.lab.evaluate.HttpAnswerer;
import dev.baton.lab.experiment.Experiment.Cell;
import dev.baton.lab.launch.Deployment;
import java.io.OutputStream;
import java.io.PrintStream;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** One repeat of one cell: launch, wait until ready, warm up, measure, ask, saturate and profile, stop. */
final class CellRun {
    /** The runner prints its own progress; the client's is not shown. */
    static final PrintStream SILENT = new PrintStream(OutputStream.nullOutputStream());

    private final Experiment experiment;
    private final Cell cell;
    private final int repeat;
    private final RunFolder folder;
    private final @Nullable ExpertSteps experts;
    private final Consumer<String> progress;

    CellRun(
            Experiment experiment,
            Cell cell,
            int repeat,
            RunFolder folder,
            @Nullable ExpertSteps experts,
            Consumer<String> progress) {
        this.experiment = experiment;
        this.cell = cell;
        this.repeat = repeat;
        this.folder = folder;
        this.experts = experts;
        this.progress = progress;
    }

    /**
     * What one repeat found.
     *
     * @param answers null when no questions are asked
     * @param full what full batches showed
     */
    record Found(ServingResult result, Evaluation.@Nullable Report answers, FullBatch.Found full) {}

    Found run(Path root) throws InterruptedException {
        Cell deployed = experts == null ? cell : experts.prepared(cell);
        String prefix = cell.name() + "-r" + repeat;
        try (Deployment deployment = Deployment.start(
                experiment,
                deployed,
                root,
                folder.logs(),
                prefix,
                line -> folder.append(folder.path().resolve("commands.log"), line))) {
            progress.accept("starting");
            deployment.awaitReady(Duration.ofMillis((long) (experiment.readyTimeoutSeconds() * 1000)));
            progress.accept("warming up");
            warmUp(deployment.front());
            progress.accept("measuring");
            ServingResult result = ServingBenchmark.run(measured(deployment.front()), SILENT);
            folder.append(folder.results(cell.name()), result.recordLine());
            Evaluation.Report answers = ask(deployment.front());
            FullBatch.Found full = FullBatch.Found.NOTHING;
            if (experiment.saturation() != null) {
                full = new FullBatch(experiment.saturation(), experts, cell.name(), repeat, folder, progress)
                        .run(deployment, measured(deployment.front()));
            }
            progress.accept("stopping");
            return new Found(result, answers, full);
        }
    }

    private ServingBenchmarkConfig measured(URI front) {
        Map<String, Object> keys = new LinkedHashMap<>();
        keys.put("base_url", front.toString());
        keys.put("cell", cell.name());
        keys.put("tag", cell.name());
        keys.put("tokenizer", experiment.model().toString());
        keys.put("pd_separated", cell.servers().size() > 1);
        keys.put("disable_tqdm", true);
        keys.put("flush_cache", true);
        keys.put("warmup_pause_seconds", 0);
        return experiment.workload().with(keys);
    }

    /** The workload's own shape with another seed, so that the measured prompts are not in the prefix cache. */
    private void warmUp(URI front) {
        if (experiment.warmup() > 0) {
            ServingBenchmark.run(
                    measured(front)
                            .with("num_prompts", experiment.warmup())
                            .with("seed", experiment.workload().seed() + 1_000_003),
                    SILENT);
        }
    }

    private Evaluation.@Nullable Report ask(URI front) throws InterruptedException {
        Experiment.Evaluation evaluation = experiment.evaluation();
        if (evaluation == null) {
            return null;
        }
        progress.accept("asking " + evaluation.prompts() + " questions");
        List<EvalPrompt> prompts = EvalPrompt.spread(EvalPrompt.read(evaluation.file()), evaluation.prompts());
        try (HttpAnswerer answerer = new HttpAnswerer(front)) {
            return Evaluation.run(prompts, answerer, 8, asked -> {});
        }
    }
}
