package dev.baton.lab.experiment;

import dev.baton.lab.LabException;
import dev.baton.lab.client.ServingBenchmark;
import dev.baton.lab.client.ServingBenchmarkConfig;
import dev.baton.lab.control.SaturatedProfile;
import dev.baton.lab.control.ServerControl;
import dev.baton.lab.experiment.Experiment.Saturation;
import dev.baton.lab.experiment.Experiment.Stage;
import dev.baton.lab.launch.Deployment;
import dev.baton.lab.launch.ServerProcess;
import dev.baton.lab.report.Summary;
import dev.baton.protocol.log.DecodeLine;
import java.io.IOException;
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

/** Fills the batches of a cell's servers, profiles some steps of them, and counts where their tokens went. */
final class FullBatch {
    private static final Duration CALL = Duration.ofSeconds(30);

    private final Saturation saturation;
    private final @Nullable ExpertSteps experts;
    private final String cell;
    private final int repeat;
    private final RunFolder folder;
    private final Consumer<String> progress;
    private final List<String> notes = new ArrayList<>();

    /**
     * What full batches showed.
     *
     * @param ranks steps of each rank of each server
     * @param experts empty when nothing is counted
     * @param notes what could not be measured, with the reason
     */
    record Found(List<Summary.RankSteps> ranks, List<Summary.ExpertLoad> experts, List<String> notes) {
        static final Found NOTHING = new Found(List.of(), List.of(), List.of());
    }

    /** @param experts null counts nothing */
    FullBatch(
            Saturation saturation,
            @Nullable ExpertSteps experts,
            String cell,
            int repeat,
            RunFolder folder,
            Consumer<String> progress) {
        this.saturation = saturation;
        this.experts = experts;
        this.cell = cell;
        this.repeat = repeat;
        this.folder = folder;
        this.progress = progress;
    }

    /** @param measured how the cell's front is reached, and the seed */
    Found run(Deployment deployment, ServingBenchmarkConfig measured) throws InterruptedException {
        Map<String, ServerProcess> servers = new LinkedHashMap<>();
        deployment
                .servers(saturation.stage())
                .forEach(server -> servers.put(cell + "-r" + repeat + "-" + shortName(server), server));
        progress.accept("saturating to " + saturation.perRank() + " a rank");
        List<Summary.RankSteps> ranks = new ArrayList<>();
        List<Summary.ExpertLoad> loads = new ArrayList<>();
        Thread load = loader(measured, servers.values());
        try {
            profile(servers, load, ranks);
            for (ServerProcess server : servers.values()) {
                if (experts != null) {
                    progress.accept("recording experts of " + shortName(server));
                    Duration timeout = Duration.ofMillis((long) (1000 * saturation.timeoutSeconds()));
                    loads.add(experts.record(server, cell, shortName(server), repeat, timeout));
                }
            }
        } catch (LabException e) {
            if (e.code() == LabException.Code.INTERRUPTED) {
                throw e;
            }
            note((ranks.isEmpty() ? "no step times, " : "experts were not counted, ") + e.getMessage());
        }
        endLoad(deployment.front(), load);
        return new Found(ranks, loads, notes);
    }

    private void profile(Map<String, ServerProcess> servers, Thread load, List<Summary.RankSteps> ranks) {
        Map<String, URI> urls = new LinkedHashMap<>();
        servers.forEach((label, server) -> urls.put(label, server.url()));
        Stage stage = saturation.stage();
        SaturatedProfile.Outcome outcome = new SaturatedProfile(saturation, trace -> StepTimes.isSteady(trace, stage))
                .run(urls, folder.traces(), load::start);
        if (!outcome.steady()) {
            note("after " + outcome.windows()
                    + " profile windows a step still took twice as long as the median one: the machine was not quiet, or the"
                    + " server not warm; its tokens/s are not those of a steady state");
        }
        outcome.traces().forEach((label, traces) -> ranks.addAll(steps(servers.get(label), traces)));
    }

    private List<Summary.RankSteps> steps(ServerProcess server, List<Path> traces) {
        Double logged = saturation.stage() == Stage.DECODE ? loggedThroughput(server.log()) : null;
        List<Summary.RankSteps> ranks = new ArrayList<>();
        for (Path trace : traces) {
            Summary.RankSteps steps = StepTimes.of(repeat, shortName(server), trace, saturation.stage(), logged);
            if (steps == null) {
                note(trace.getFileName() + " holds no "
                        + saturation.stage().name().toLowerCase(java.util.Locale.ROOT)
                        + " step, so it gives no tokens/s");
            } else {
                ranks.add(steps);
            }
        }
        return ranks;
    }

    private void endLoad(URI frontUrl, Thread load) throws InterruptedException {
        try (ServerControl front = new ServerControl(frontUrl)) {
            front.abortAll(CALL);
        } catch (LabException e) {
            note("the filling requests were not aborted, " + e.getMessage());
        }
        if (load.getState() != Thread.State.NEW) {
            load.join(CALL);
        }
    }

    private void note(String text) {
        notes.add(cell + " repeat " + repeat + ": " + text);
    }

    /** The server's name without its cell. */
    private static String shortName(ServerProcess server) {
        return server.name().substring(server.name().indexOf('/') + 1);
    }

    /** Sends long requests, as many for each rank as the experiment says. */
    private Thread loader(ServingBenchmarkConfig measured, Iterable<ServerProcess> servers) {
        int ranks = 0;
        for (ServerProcess server : servers) {
            try (ServerControl control = new ServerControl(server.url())) {
                ranks += control.serverInfo(CALL).path("dp_size").asInt(1);
            }
        }
        Map<String, Object> keys = new LinkedHashMap<>();
        keys.put("dataset_name", "random-ids");
        keys.put("random_input_len", saturation.inputTokens());
        keys.put("random_output_len", saturation.outputTokens());
        keys.put("random_range_ratio", 1.0);
        keys.put("num_prompts", saturation.requestsPerRank() * ranks);
        keys.put("request_rate", "inf");
        keys.put("max_concurrency", null);
        keys.put("warmup_requests", 0);
        keys.put("seed", measured.seed() + 2_000_003);
        keys.put("flush_cache", false);
        ServingBenchmarkConfig config = measured.with(keys);
        return Thread.ofPlatform().daemon().name("baton-saturating-load").unstarted(() -> {
            try {
                ServingBenchmark.run(config, CellRun.SILENT);
            } catch (LabException e) {
                System.getLogger(FullBatch.class.getName())
                        .log(System.Logger.Level.DEBUG, "filling load ended: " + e.getMessage());
            }
        });
    }

    /** The middle "gen throughput" that the server logged with a full batch; null when no such line stands. */
    private @Nullable Double loggedThroughput(Path log) {
        try {
            double[] logged = Files.readAllLines(log).stream()
                    .map(DecodeLine::parse)
                    .flatMap(java.util.Optional::stream)
                    .filter(line -> line.runningRequests() == saturation.perRank())
                    .mapToDouble(DecodeLine::generationThroughput)
                    .toArray();
            return logged.length == 0 ? null : Summary.Spread.of(logged).median();
        } catch (IOException e) {
            return null;
        }
    }
}
