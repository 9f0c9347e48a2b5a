package dev.baton.lab.experiment;

import dev.baton.lab.LabException;
import dev.baton.lab.control.ServerControl;
import dev.baton.lab.experiment.Experiment.Cell;
import dev.baton.lab.experiment.Experiment.Experts;
import dev.baton.lab.experiment.Experiment.Server;
import dev.baton.lab.experiment.Experiment.Stage;
import dev.baton.lab.launch.ServerProcess;
import dev.baton.lab.report.Summary;
import dev.baton.trace.expert.ExpertFile;
import dev.baton.trace.expert.Placement;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import tools.jackson.databind.JsonNode;

/**
 * Records where tokens go while batches are full, and places the experts of later cells by it: what the calls {@code
 * /start_expert_distribution_record} and {@code /dump_expert_distribution_record} and a restart with {@code
 * --init-expert-location} do by hand.
 */
final class ExpertSteps {
    private static final String FOLDER = "SGLANG_EXPERT_DISTRIBUTION_RECORDER_DIR";
    private static final Duration CALL = Duration.ofSeconds(60);
    private static final Duration POLL = Duration.ofMillis(50);

    private final Experts experts;
    private final Stage stage;
    private final Path folder;
    /** The last recording of each cell. */
    private final Map<String, Path> recordings = new HashMap<>();

    /**
     * @param stage whose servers record
     * @param folder recordings go here
     */
    ExpertSteps(Experts experts, Stage stage, Path folder) {
        this.experts = experts;
        this.stage = stage;
        this.folder = folder;
    }

    /**
     * A cell with what its recording servers need: a recorder, and the last recording that their experts are placed by.
     *
     * @throws LabException SERVER when that cell has recorded nothing
     */
    Cell prepared(Cell cell) {
        Map<String, Object> flags = new LinkedHashMap<>();
        flags.put("expert-distribution-recorder-mode", "stat");
        flags.put("expert-distribution-recorder-buffer-size", -1);
        if (cell.expertsFrom() != null) {
            Path recording = recordings.get(cell.expertsFrom());
            if (recording == null) {
                throw new LabException(
                        LabException.Code.SERVER,
                        cell.name() + " places its experts by what " + cell.expertsFrom()
                                + " records, and that recorded nothing: see the notes");
            }
            flags.put("init-expert-location", recording.toString());
        }
        List<Server> servers = cell.servers().stream()
                .map(server -> stage.isOf(server.role()) ? prepared(server, flags) : server)
                .toList();
        return new Cell(cell.name(), servers, cell.expertsFrom());
    }

    /** What the experiment says itself stands. */
    private Server prepared(Server server, Map<String, Object> flags) {
        Map<String, Object> all = new LinkedHashMap<>(flags);
        all.putAll(server.flags());
        Map<String, String> environment = new LinkedHashMap<>(server.environment());
        environment.putIfAbsent(FOLDER, folder.toString());
        return new Server(server.role(), server.replicas(), server.cores(), all, environment);
    }

    /**
     * Records passes of a server that is under load, dumps and reads them.
     *
     * @param name of the server in the summary
     * @param timeout for the passes
     * @throws LabException TIMEOUT when the server does not come that far, SERVER when it refuses
     */
    Summary.ExpertLoad record(ServerProcess server, String cell, String name, int repeat, Duration timeout) {
        try (ServerControl control = new ServerControl(server.url())) {
            Set<Path> before = files();
            control.post("/start_expert_distribution_record", "", CALL);
            awaitPasses(control, timeout);
            control.post("/stop_expert_distribution_record", "", CALL);
            control.post("/dump_expert_distribution_record", "", CALL);
            Set<Path> after = files();
            after.removeAll(before);
            if (after.isEmpty()) {
                throw new LabException(LabException.Code.SERVER, server.name() + " dumped no recording into " + folder);
            }
            Path recording = after.iterator().next();
            recordings.put(cell, recording);
            return load(name, repeat, recording);
        }
    }

    private static Summary.ExpertLoad load(String name, int repeat, Path recording) {
        int passes = ExpertFile.read(recording).steps();
        double[][] loads = recording.toString().endsWith(".json") ? ExpertFile.rankLoads(recording) : null;
        return loads == null
                ? new Summary.ExpertLoad(repeat, name, passes, null, new double[0])
                : new Summary.ExpertLoad(repeat, name, passes, Placement.balancedness(loads), rankLoads(loads));
    }

    /** Each rank's load over the mean rank's, in the layer where it has most. */
    private static double[] rankLoads(double[][] loads) {
        double[] ranks = new double[loads[0].length];
        for (double[] layer : loads) {
            double mean = Arrays.stream(layer).average().orElse(0);
            for (int rank = 0; rank < ranks.length && mean > 0; rank++) {
                ranks[rank] = Math.max(ranks[rank], layer[rank] / mean);
            }
        }
        return ranks;
    }

    private void awaitPasses(ServerControl control, Duration timeout) {
        long end = System.nanoTime() + timeout.toNanos();
        long first = passes(control);
        while (passes(control) < first + experts.passes()) {
            if (System.nanoTime() > end) {
                throw new LabException(
                        LabException.Code.TIMEOUT,
                        "fewer than " + experts.passes() + " passes within " + timeout.toSeconds()
                                + " s of recording experts: are output_tokens of the saturation too few, or is experts.passes"
                                + " too many?");
            }
            try {
                Thread.sleep(POLL);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new LabException(LabException.Code.INTERRUPTED, "interrupted while experts were recorded", e);
            }
        }
    }

    private static long passes(ServerControl control) {
        long most = -1;
        for (JsonNode state : control.serverInfo(CALL).path("internal_states")) {
            most = Math.max(most, state.path("forward_ct").asLong(-1));
        }
        if (most < 0) {
            throw new LabException(
                    LabException.Code.SERVER,
                    control.base()
                            + "/get_server_info does not count forward passes (forward_ct), so it cannot be said when"
                            + " enough are recorded");
        }
        return most;
    }

    private Set<Path> files() {
        if (!Files.isDirectory(folder)) {
            return new TreeSet<>();
        }
        try (Stream<Path> files = Files.list(folder)) {
            return files.filter(f -> f.getFileName().toString().startsWith("expert_distribution_recorder_"))
                    .collect(Collectors.toCollection(TreeSet::new));
        } catch (IOException e) {
            throw new LabException(LabException.Code.IO, "cannot list " + folder + ": " + e.getMessage(), e);
        }
    }
}
