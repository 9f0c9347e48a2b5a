package dev.baton.engine.record;

import dev.baton.engine.EngineException;
import dev.baton.engine.ProfileControl;
import dev.baton.engine.parallel.ParallelShape;
import dev.baton.engine.parallel.RankGroup;
import dev.baton.protocol.ProfileRequest;
import dev.baton.trace.RankCoordinates;
import dev.baton.trace.record.SpanRing;
import dev.baton.trace.write.KinetoWriter;
import dev.baton.trace.write.TraceHeader;
import dev.baton.trace.write.TraceMerger;
import java.lang.System.Logger;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.jspecify.annotations.Nullable;

/**
 * Profiles of one engine: one at a time, over every rank of every DP group. Files are written by a thread of their own,
 * so serving goes on while a trace is written (SGLang's stalls); a merged file is made when all ranks' files are there.
 */
public final class Profiler implements ProfileControl, AutoCloseable {
    private static final Logger LOG = System.getLogger(Profiler.class.getName());

    private final List<RankGroup> groups;
    private final String rehearsal;
    private final long anchorNanos = System.nanoTime();
    private final long epochNanos = epochNow();
    private final ExecutorService writer = Executors.newSingleThreadExecutor(
            Thread.ofPlatform().daemon().name("baton-trace-writer").factory());
    private final KinetoWriter kineto = new KinetoWriter();
    private @Nullable Running running;

    /** A profile that is in progress. */
    private static final class Running {
        final ProfileRequest request;
        final Path folder;
        final List<RankProfile> ranks = new ArrayList<>();
        final List<Path> files = new ArrayList<>();
        final CompletableFuture<Void> written = new CompletableFuture<>();
        int open;

        Running(ProfileRequest request, Path folder) {
            this.request = request;
            this.folder = folder;
        }
    }

    /** @param groups one entry a DP rank */
    public Profiler(List<RankGroup> groups) {
        this(groups, "");
    }

    /**
     * @param groups one entry a DP rank
     * @param rehearsal what of the times is modelled, to be said in every file; empty for nothing
     */
    public Profiler(List<RankGroup> groups, String rehearsal) {
        this.groups = List.copyOf(groups);
        this.rehearsal = rehearsal;
    }

    private static long epochNow() {
        Instant now = Instant.now();
        return now.getEpochSecond() * 1_000_000_000L + now.getNano();
    }

    @Override
    public CompletableFuture<Void> start(ProfileRequest request) {
        Running started;
        synchronized (this) {
            if (running != null) {
                return failed("Profiling is already in progress. Call /stop_profile first.");
            }
            Integer steps = request.numSteps();
            if (request.profileByStage() && steps == null) {
                return failed("profile_by_stage needs num_steps: without it there is no end to a stage");
            }
            if (steps != null && steps < 1) {
                return failed("num_steps must be at least 1, got " + steps);
            }
            started = new Running(request, folder(request));
            started.open = groups.stream().mapToInt(RankGroup::ranksHere).sum();
            running = started;
        }
        LOG.log(
                Logger.Level.INFO,
                "Profiling starts. Traces will be saved to: " + started.folder + " (with profile id: "
                        + request.profileId() + ")");
        List<CompletableFuture<Void>> all = new ArrayList<>();
        for (int dp = 0; dp < groups.size(); dp++) {
            int dpRank = dp;
            RankGroup group = groups.get(dp);
            all.add(group.setObservers(rank -> observer(started, group.replicaRank(rank), dpRank)));
        }
        return CompletableFuture.allOf(all.toArray(CompletableFuture[]::new)).whenComplete((done, fault) -> {
            if (fault != null) {
                forget(started);
            }
        });
    }

    /** @param replicaRank stage by stage, see {@link dev.baton.engine.parallel.ParallelShape} */
    private RankCoordinates coordinates(int replicaRank, int dp) {
        ParallelShape shape = groups.get(dp).shape();
        return new RankCoordinates(
                shape.tensorRankOf(replicaRank),
                shape.tensorParallel(),
                dp,
                groups.size(),
                shape.stageOf(replicaRank),
                shape.pipelineParallel(),
                shape.layout(replicaRank).experts().experts().rank(),
                shape.expertParallel(),
                shape.dataParallelAttention());
    }

    private RankProfile observer(Running profile, int replicaRank, int dp) {
        RankCoordinates coordinates = coordinates(replicaRank, dp);
        int[] ranks = new int[groups.get(dp).shape().replicaRanks()];
        for (int i = 0; i < ranks.length; i++) {
            ranks[i] = coordinates(i, dp).worldRank();
        }
        RankProfile rank =
                new RankProfile(coordinates, ranks, profile.request, (r, window) -> write(profile, r, window));
        synchronized (this) {
            profile.ranks.add(rank);
        }
        return rank;
    }

    private static Path folder(ProfileRequest request) {
        String named = request.outputDir();
        if (named == null) {
            named = System.getenv().getOrDefault("SGLANG_TORCH_PROFILER_DIR", "/tmp");
        }
        return Path.of(named.startsWith("~/") ? System.getProperty("user.home") + named.substring(1) : named)
                .toAbsolutePath();
    }

    /** On the rank's thread: takes what the window holds; the file is written later. */
    private void write(Running profile, RankProfile rank, RankProfile.Window window) {
        SpanRing.Drained drained = window.ring().drain();
        String prefix = profile.request.profilePrefix();
        Path file = profile.folder.resolve(
                rank.coordinates().fileName(profile.request.profileId(), prefix == null ? "" : prefix, window.stage()));
        boolean last = rank.isDone();
        writer.execute(() -> {
            try {
                kineto.write(file, header(rank), drained);
                synchronized (this) {
                    profile.files.add(file);
                }
            } catch (RuntimeException e) {
                LOG.log(Logger.Level.ERROR, "The trace " + file + " was not written: " + e.getMessage());
                profile.written.completeExceptionally(e);
            } finally {
                if (last) {
                    rankDone(profile);
                }
            }
        });
    }

    private TraceHeader header(RankProfile rank) {
        RankCoordinates c = rank.coordinates();
        String name = "baton::scheduler" + (c.dpSize() > 1 ? "_DP" + c.dp() : "")
                + (c.ppSize() > 1 ? "_PP" + c.pp() : "") + "_TP" + c.tp();
        return new TraceHeader(
                c,
                name,
                ProcessHandle.current().pid(),
                rank.threadNames(),
                rank.recordsShapes(),
                hostName(),
                epochNanos,
                anchorNanos,
                rehearsal);
    }

    private static String hostName() {
        try {
            return InetAddress.getLocalHost().getHostName();
        } catch (UnknownHostException e) {
            return "unknown";
        }
    }

    /** On the writer's thread. */
    private void rankDone(Running profile) {
        synchronized (this) {
            profile.open--;
            if (profile.open > 0) {
                return;
            }
        }
        String merged = profile.request.mergeProfiles() ? merge(profile) : "";
        forget(profile);
        groups.forEach(g -> g.setObservers(null));
        LOG.log(Logger.Level.INFO, "Profiling done. Traces are saved to: " + profile.folder + merged);
        profile.written.complete(null);
    }

    private String merge(Running profile) {
        List<Path> files = new ArrayList<>(profile.files);
        files.sort(Comparator.comparing(Path::toString));
        Path target = profile.folder.resolve("merged-" + profile.request.profileId() + ".trace.json.gz");
        try {
            long events = new TraceMerger().merge(files, target);
            return " Merged trace: " + target + " (Events: " + events + ", Files: " + files.size() + ")";
        } catch (RuntimeException e) {
            LOG.log(Logger.Level.ERROR, "Failed to merge profiles: " + e.getMessage());
            return " Merge failed: " + e.getMessage();
        }
    }

    private synchronized void forget(Running profile) {
        if (running == profile) {
            running = null;
        }
    }

    @Override
    public CompletableFuture<Void> stop() {
        Running profile;
        List<RankProfile> ranks;
        synchronized (this) {
            profile = running;
            if (profile == null) {
                return failed("Profiling is not in progress. Call /start_profile first.");
            }
            ranks = List.copyOf(profile.ranks);
        }
        LOG.log(Logger.Level.INFO, "Stop profiling...");
        for (int dp = 0; dp < groups.size(); dp++) {
            int dpRank = dp;
            // The removal runs on each rank's thread between two steps: there its windows can be closed.
            RankGroup group = groups.get(dp);
            group.setObservers(rank -> {
                ranks.stream()
                        .filter(r -> r.coordinates().equals(coordinates(group.replicaRank(rank), dpRank)))
                        .forEach(RankProfile::close);
                return null;
            });
        }
        return profile.written;
    }

    private static CompletableFuture<Void> failed(String message) {
        return CompletableFuture.failedFuture(new EngineException(EngineException.Code.INVALID_REQUEST, message));
    }

    /** No more files are begun; those that are being written are finished. */
    @Override
    public void close() {
        writer.shutdown();
    }
}
