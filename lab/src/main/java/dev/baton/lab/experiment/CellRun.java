package dev.baton.lab.experiment;

import dev.baton.lab.LabException;
import dev.baton.lab.client.ServingBenchmark;
import dev.baton.lab.client.ServingBenchmarkConfig;
import dev.baton.lab.client.ServingResult;
import dev.baton.lab.control.SaturatedProfile;
import dev.baton.lab.control.ServerControl;
import dev.baton.lab.evaluate.EvalPrompt;
import dev.baton.lab.evaluate.Evaluation;
import dev.baton.lab.evaluate.HttpAnswerer;
import dev.baton.lab.experiment.Experiment.Cell;
import dev.baton.lab.experiment.Experiment.Saturation;
import dev.baton.lab.launch.Deployment;
import dev.baton.lab.launch.ServerProcess;
import dev.baton.lab.report.Summary;
import dev.baton.protocol.log.DecodeLine;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** One repeat of one cell: launch, wait until ready, warm up, measure, ask, saturate and profile, stop. */
final class CellRun {
    /** The runner prints its own progress; the client's is not shown. */
    private static final PrintStream SILENT = new PrintStream(OutputStream.nullOutputStream());

    private final Experiment experiment;
    private final Cell cell;
    private final int repeat;
    private final RunFolder folder;
    private final Consumer<String> progress;

    CellRun(Experiment experiment, Cell cell, int repeat, RunFolder folder, Consumer<String> progress) {
        this.experiment = experiment;
        this.cell = cell;
        this.repeat = repeat;
        this.folder = folder;
        this.progress = progress;
    }

    /**
     * What one repeat found.
     *
     * @param answers null when no questions are asked
     * @param ranks empty when nothing is profiled
     * @param notes what could not be measured, with the reason
     */
    record Found(
            ServingResult result,
            Evaluation.@Nullable Report answers,
            List<Summary.RankSteps> ranks,
            List<String> notes) {}

    Found run(Path root) throws InterruptedException {
        List<String> notes = new ArrayList<>();
        String prefix = cell.name() + "-r" + repeat;
        try (Deployment deployment = Deployment.start(
                experiment,
                cell,
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
            List<Summary.RankSteps> ranks = profile(deployment, prefix, notes);
            progress.accept("stopping");
            return new Found(result, answers, ranks, notes);
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

    private List<Summary.RankSteps> profile(Deployment deployment, String prefix, List<String> notes)
            throws InterruptedException {
        Saturation saturation = experiment.saturation();
        if (saturation == null) {
            return List.of();
        }
        progress.accept("saturating to " + saturation.runningPerRank() + " a rank");
        Map<String, ServerProcess> decoders = new LinkedHashMap<>();
        deployment.decoders().forEach(d -> decoders.put(prefix + "-" + shortName(d), d));
        Map<String, URI> urls = new LinkedHashMap<>();
        decoders.forEach((label, server) -> urls.put(label, server.url()));
        Thread load = loader(deployment.front(), saturation, decoders.size());
        List<Summary.RankSteps> ranks = new ArrayList<>();
        try {
            SaturatedProfile.Outcome outcome =
                    new SaturatedProfile(saturation, StepTimes::isSteady).run(urls, folder.traces(), load::start);
            if (!outcome.steady()) {
                notes.add(where() + "after " + outcome.windows()
                        + " profile windows a step still took twice as long as the median one: the machine was not"
                        + " quiet, or the server not warm; its tokens/s are not those of a steady state");
            }
            outcome.traces()
                    .forEach((label, traces) -> ranks.addAll(steps(decoders.get(label), traces, saturation, notes)));
        } catch (LabException e) {
            if (e.code() == LabException.Code.INTERRUPTED) {
                throw e;
            }
            notes.add(where() + "no step times, " + e.getMessage());
        }
        endLoad(deployment.front(), load, notes);
        return ranks;
    }

    private List<Summary.RankSteps> steps(
            ServerProcess server, List<Path> traces, Saturation saturation, List<String> notes) {
        Double logged = loggedThroughput(server.log(), saturation.runningPerRank());
        List<Summary.RankSteps> ranks = new ArrayList<>();
        for (Path trace : traces) {
            Summary.RankSteps steps = StepTimes.of(repeat, shortName(server), trace, logged);
            if (steps == null) {
                notes.add(where() + trace.getFileName() + " holds no decode step, so it gives no tokens/s");
            } else {
                ranks.add(steps);
            }
        }
        return ranks;
    }

    private void endLoad(URI frontUrl, Thread load, List<String> notes) throws InterruptedException {
        try (ServerControl front = new ServerControl(frontUrl)) {
            front.abortAll(Duration.ofSeconds(30));
        } catch (LabException e) {
            notes.add(where() + "the filling requests were not aborted, " + e.getMessage());
        }
        if (load.getState() != Thread.State.NEW) {
            load.join(Duration.ofSeconds(30));
        }
    }

    private String where() {
        return cell.name() + " repeat " + repeat + ": ";
    }

    /** The server's name without its cell. */
    private static String shortName(ServerProcess server) {
        return server.name().substring(server.name().indexOf('/') + 1);
    }

    /** Sends just as many long requests as fill every rank, so that no prefill falls into the profile. */
    private Thread loader(URI front, Saturation saturation, int servers) {
        int ranks = Integer.parseInt(experiment
                .flags()
                .getOrDefault("dp-size", experiment.flags().getOrDefault("dp_size", 1))
                .toString());
        Map<String, Object> keys = new LinkedHashMap<>();
        keys.put("dataset_name", "random-ids");
        keys.put("random_input_len", saturation.inputTokens());
        keys.put("random_output_len", saturation.outputTokens());
        keys.put("random_range_ratio", 1.0);
        keys.put("num_prompts", saturation.runningPerRank() * ranks * servers);
        keys.put("request_rate", "inf");
        keys.put("max_concurrency", null);
        keys.put("warmup_requests", 0);
        keys.put("seed", experiment.workload().seed() + 2_000_003);
        keys.put("flush_cache", false);
        ServingBenchmarkConfig config = measured(front).with(keys);
        return Thread.ofPlatform().daemon().name("baton-saturating-load").unstarted(() -> {
            try {
                ServingBenchmark.run(config, SILENT);
            } catch (LabException e) {
                System.getLogger(CellRun.class.getName())
                        .log(System.Logger.Level.DEBUG, "filling load ended: " + e.getMessage());
            }
        });
    }

    /** The middle "gen throughput" that the server logged with a full batch; null when no such line stands. */
    private static @Nullable Double loggedThroughput(Path log, int running) {
        try {
            double[] logged = Files.readAllLines(log).stream()
                    .map(DecodeLine::parse)
                    .flatMap(java.util.Optional::stream)
                    .filter(line -> line.runningRequests() == running)
                    .mapToDouble(DecodeLine::generationThroughput)
                    .toArray();
            return logged.length == 0 ? null : Summary.Spread.of(logged).median();
        } catch (IOException e) {
            return null;
        }
    }
}
