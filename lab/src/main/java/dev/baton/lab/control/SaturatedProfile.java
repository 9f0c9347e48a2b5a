package dev.baton.lab.control;

import dev.baton.lab.LabException;
import dev.baton.lab.experiment.Experiment;
import dev.baton.lab.experiment.Experiment.Saturation;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Predicate;
import java.util.stream.Stream;

/**
 * A profile of full batches: the servers sleep at the head of each step until every rank runs its cap of requests,
 * then the sleep ends and the next steps are recorded. The state decides, not a wait of so many seconds.
 */
public final class SaturatedProfile {
    private static final Duration CALL = Duration.ofSeconds(30);
    private static final Duration POLL = Duration.ofMillis(50);

    /** Windows taken beyond the first while steps are not steady (a young JVM compiles its kernels meanwhile). */
    private static final int RETAKES = 3;

    private final Saturation saturation;
    private final Predicate<Path> isSteady;

    /**
     * @param isSteady whether a rank's trace holds steps of about one length; a window without is taken again, up to three
     *     times
     */
    public SaturatedProfile(Saturation saturation, Predicate<Path> isSteady) {
        this.saturation = saturation;
        this.isSteady = isSteady;
    }

    /**
     * What was seen.
     *
     * @param requests that each rank of each server ran, or had waiting, when the sleep ended
     * @param seconds from the first request until then
     * @param traces the files of each server's profile, by the server's prefix
     * @param windows windows taken; all but the last are deleted
     * @param steady whether the last one's steps were
     */
    public record Outcome(
            Map<String, Map<Integer, Integer>> requests,
            double seconds,
            Map<String, List<Path>> traces,
            int windows,
            boolean steady) {}

    /**
     * Slows the servers down, lets {@code load} send its requests, waits for the cap, releases and profiles.
     *
     * @param servers those to profile; the key is the first part of its trace files' names
     * @param load starts the filling requests and returns at once
     * @throws LabException TIMEOUT with what each rank had when the cap was not reached
     */
    public Outcome run(Map<String, URI> servers, Path traceFolder, Runnable load) {
        List<ServerControl> controls =
                servers.values().stream().map(ServerControl::new).toList();
        try {
            controls.forEach(c -> c.slowDown(saturation.forwardSleepSeconds(), CALL));
            long start = System.nanoTime();
            load.run();
            Map<String, Map<Integer, Integer>> running = awaitCap(controls, start);
            double seconds = (System.nanoTime() - start) / 1e9;
            startProfiles(servers, controls, traceFolder);
            controls.forEach(c -> c.slowDown(0, CALL));
            Map<String, List<Path>> traces = awaitTraces(servers, traceFolder);
            boolean steady = areSteady(traces);
            int windows = 1;
            for (; !steady && windows <= RETAKES; windows++) {
                delete(traces);
                startProfiles(servers, controls, traceFolder);
                traces = awaitTraces(servers, traceFolder);
                steady = areSteady(traces);
            }
            return new Outcome(running, seconds, traces, windows, steady);
        } finally {
            for (ServerControl control : controls) {
                try {
                    control.slowDown(0, CALL);
                } catch (LabException e) {
                    // The server is gone; the caller has its own error to tell.
                }
                control.close();
            }
        }
    }

    private void startProfiles(Map<String, URI> servers, List<ServerControl> controls, Path traceFolder) {
        int next = 0;
        for (String prefix : servers.keySet()) {
            controls.get(next++).startProfile(profileFields(traceFolder, prefix), CALL);
        }
    }

    private static Map<String, List<Path>> awaitTraces(Map<String, URI> servers, Path traceFolder) {
        Map<String, List<Path>> traces = new LinkedHashMap<>();
        for (String prefix : servers.keySet()) {
            traces.put(prefix, awaitTraces(traceFolder, prefix));
        }
        return traces;
    }

    private boolean areSteady(Map<String, List<Path>> traces) {
        return traces.values().stream().flatMap(List::stream).allMatch(isSteady);
    }

    private static void delete(Map<String, List<Path>> traces) {
        try {
            for (List<Path> files : traces.values()) {
                for (Path file : files) {
                    Files.delete(file);
                }
            }
        } catch (IOException e) {
            throw new LabException(LabException.Code.IO, "cannot delete a trace: " + e.getMessage(), e);
        }
    }

    private Map<String, Object> profileFields(Path traceFolder, String prefix) {
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("output_dir", traceFolder.toAbsolutePath().toString());
        fields.put("num_steps", saturation.steps());
        fields.put("profile_prefix", prefix);
        fields.put("activities", List.of("CPU", "GPU"));
        return fields;
    }

    private Map<String, Map<Integer, Integer>> awaitCap(List<ServerControl> controls, long start) {
        long end = start + (long) (saturation.timeoutSeconds() * 1e9);
        boolean decode = saturation.stage() == Experiment.Stage.DECODE;
        String gauge = decode ? "sglang:num_running_reqs" : "sglang:num_queue_reqs";
        while (true) {
            Map<String, Map<Integer, Integer>> running = new LinkedHashMap<>();
            boolean full = true;
            for (ServerControl control : controls) {
                Map<Integer, Integer> ranks = new TreeMap<>();
                new Metrics(control.metrics(CALL))
                        .byRank(gauge)
                        .forEach((rank, value) -> ranks.put(rank, value.intValue()));
                running.put(control.base().toString(), ranks);
                full &= !ranks.isEmpty() && ranks.values().stream().allMatch(n -> n >= saturation.perRank());
            }
            if (full) {
                return running;
            }
            if (System.nanoTime() > end) {
                throw new LabException(
                        LabException.Code.TIMEOUT,
                        "not saturated within " + saturation.timeoutSeconds() + " s: every rank should "
                                + (decode ? "run " : "have waiting ") + saturation.perRank()
                                + " requests, there are " + running
                                + (decode
                                        ? "; is --max-running-requests or the KV pool smaller?"
                                        : "; is requests_per_rank larger?"));
            }
            pause();
        }
    }

    /** A rank's file appears whole, in one move; all of them are there when their number stays the same for a while. */
    private static List<Path> awaitTraces(Path folder, String prefix) {
        long end = System.nanoTime() + Duration.ofSeconds(60).toNanos();
        Map<Path, Long> sizes = new HashMap<>();
        long stableSince = System.nanoTime();
        while (System.nanoTime() < end) {
            Map<Path, Long> now = traces(folder, prefix);
            if (!now.equals(sizes)) {
                sizes = now;
                stableSince = System.nanoTime();
            } else if (!now.isEmpty()
                    && System.nanoTime() - stableSince > Duration.ofSeconds(1).toNanos()) {
                List<Path> files = new ArrayList<>(now.keySet());
                files.sort(null);
                return files;
            }
            pause();
        }
        throw new LabException(
                LabException.Code.TIMEOUT,
                "the profile's traces " + prefix + "* did not appear in " + folder + " within 60 s");
    }

    private static Map<Path, Long> traces(Path folder, String prefix) {
        Map<Path, Long> sizes = new HashMap<>();
        if (!Files.isDirectory(folder)) {
            return sizes;
        }
        try (Stream<Path> files = Files.list(folder)) {
            for (Path file : files.toList()) {
                String name = file.getFileName().toString();
                if (name.startsWith(prefix + "-") && name.endsWith(".trace.json.gz")) {
                    sizes.put(file, Files.size(file));
                }
            }
        } catch (IOException e) {
            throw new LabException(LabException.Code.IO, "cannot list " + folder + ": " + e.getMessage(), e);
        }
        return sizes;
    }

    private static void pause() {
        try {
            Thread.sleep(POLL);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new LabException(LabException.Code.INTERRUPTED, "interrupted while waiting", e);
        }
    }
}
