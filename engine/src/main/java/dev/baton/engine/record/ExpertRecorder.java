package dev.baton.engine.record;

import dev.baton.engine.EngineException;
import dev.baton.engine.ExpertControl;
import dev.baton.engine.balance.BalanceOptions;
import dev.baton.engine.balance.ExpertStatistics;
import dev.baton.engine.balance.RankExperts;
import dev.baton.engine.parallel.RankGroup;
import dev.baton.trace.expert.ExpertWriter;
import java.lang.System.Logger;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.function.LongFunction;

/**
 * Records the experts' loads of all replicas and writes them as JSON: {@code expert_distribution_recorder_EPOCH.json}, or
 * one file a rank. Recording begins and ends between two passes, between the same two on every rank; files are written by
 * a thread of their own.
 */
public final class ExpertRecorder implements ExpertControl {
    private static final Logger LOG = System.getLogger(ExpertRecorder.class.getName());
    private static final String DEFAULT_FOLDER = "/tmp";

    /** One of each replica. */
    private final List<RankGroup> groups;

    private final BalanceOptions options;
    private final Path folder;
    private final OtherRanks others;
    private final Executor writer =
            task -> Thread.ofVirtual().name("baton-expert-writer").start(task);
    /** Recordings begun. */
    private long number;

    private ExpertRecorder(List<RankGroup> groups, BalanceOptions options, Path folder, OtherRanks others) {
        this.others = others;
        this.groups = groups;
        this.options = options;
        this.folder = folder;
    }

    /**
     * The recorder of an engine, or {@link ExpertControl#NONE} where nothing counts.
     *
     * @param groups every group of every replica
     */
    public static ExpertControl of(List<RankGroup> groups) {
        return of(groups, OtherRanks.NONE);
    }

    /**
     * As {@link #of(List)}.
     *
     * @param others ranks of the replica that live in other JVMs
     */
    public static ExpertControl of(List<RankGroup> groups, OtherRanks others) {
        RankExperts first = groups.getFirst().runner(0).balance();
        if (first == null || first.balance().options().effectiveRecorder() == null) {
            return NONE;
        }
        String named = System.getenv("SGLANG_EXPERT_DISTRIBUTION_RECORDER_DIR");
        return new ExpertRecorder(
                groups.stream().filter(group -> group.firstRank() == 0).toList(),
                first.balance().options(),
                Path.of(named == null || named.isEmpty() ? DEFAULT_FOLDER : named)
                        .toAbsolutePath(),
                others);
    }

    /** Ranks in other JVMs, whose counts come here. */
    public interface OtherRanks {
        /** There are none. */
        OtherRanks NONE = new OtherRanks() {};

        /** They record passes under a number from here on; 0 for not. */
        default CompletableFuture<Void> record(long number) {
            return CompletableFuture.completedFuture(null);
        }

        /** Completes when every pass so far has come. */
        default CompletableFuture<Void> settle() {
            return CompletableFuture.completedFuture(null);
        }

        /** Runs an action between the same two steps everywhere. */
        default void inOrder(Runnable action) {
            action.run();
        }
    }

    @Override
    public synchronized CompletableFuture<Void> start() {
        number++;
        LOG.log(Logger.Level.INFO, "Resetting ExpertDistributionRecorder...");
        groups.forEach(group -> statistics(group).begin(number));
        return onAll(number);
    }

    @Override
    public CompletableFuture<Void> stop() {
        return onAll(0);
    }

    private CompletableFuture<Void> onAll(long recording) {
        List<CompletableFuture<Void>> both = new ArrayList<>();
        others.inOrder(() -> {
            both.add(others.record(recording));
            both.add(all(group -> group.runOnReplica(rank ->
                    Objects.requireNonNull(group.replicaRunner(rank).balance()).record(recording))));
        });
        return CompletableFuture.allOf(both.toArray(CompletableFuture[]::new));
    }

    private interface OnGroup {
        CompletableFuture<Void> apply(RankGroup group);
    }

    private CompletableFuture<Void> all(OnGroup call) {
        return CompletableFuture.allOf(groups.stream().map(call::apply).toArray(CompletableFuture[]::new));
    }

    @Override
    public CompletableFuture<Void> dump() {
        // Every pass so far has been handed over when each rank has come to this.
        List<CompletableFuture<Void>> both = new ArrayList<>();
        others.inOrder(() -> {
            both.add(others.settle());
            both.add(all(group -> group.runOnReplica(rank -> {})));
        });
        return CompletableFuture.allOf(both.toArray(CompletableFuture[]::new)).thenRunAsync(this::write, writer);
    }

    private void write() {
        List<ExpertStatistics.Recording> taken =
                groups.stream().map(group -> statistics(group).take()).toList();
        if (taken.stream().allMatch(recording -> recording.size() == 0)) {
            throw new EngineException(
                    EngineException.Code.INVALID_REQUEST,
                    "Nothing was recorded: call /start_expert_distribution_record, send requests, then dump.");
        }
        Instant now = Instant.now();
        String epoch = String.format(Locale.ROOT, "%d.%06d", now.getEpochSecond(), now.getNano() / 1000);
        LongFunction<Path> file = rank ->
                folder.resolve("expert_distribution_recorder_" + epoch + (rank < 0 ? "" : "_" + rank) + ".json");
        if (taken.getFirst().ofRanks().stream().allMatch(List::isEmpty)) {
            counts(file.apply(-1), taken);
            return;
        }
        int rank = 0;
        for (ExpertStatistics.Recording recording : taken) {
            for (List<ExpertWriter.Pass> passes : recording.ofRanks()) {
                Path path = file.apply(rank);
                ExpertWriter.passes(path, rank++, passes, recording.physicalToLogical());
                LOG.log(Logger.Level.INFO, "Write expert distribution to " + path);
            }
        }
    }

    private void counts(Path path, List<ExpertStatistics.Recording> taken) {
        List<int[][]> passes = new ArrayList<>();
        double utilisation = 0;
        double[][] loads = taken.getFirst().rankLoads();
        for (ExpertStatistics.Recording recording : taken) {
            passes.addAll(recording.passes());
            if (recording != taken.getFirst()) {
                add(recording.rankLoads(), loads);
            }
            utilisation += recording.size() == 0 ? 0 : recording.utilisation() * recording.size();
        }
        ExpertWriter.counts(path, passes, loads, options.metrics() ? utilisation / passes.size() : null);
        LOG.log(Logger.Level.INFO, "Write expert distribution to " + path);
    }

    /** Replicas place their experts alike, so that their ranks of one number are one. */
    private static void add(double[][] more, double[][] loads) {
        for (int layer = 0; layer < loads.length; layer++) {
            for (int rank = 0; rank < loads[layer].length; rank++) {
                loads[layer][rank] += more[layer][rank];
            }
        }
    }

    @Override
    public List<Double> balancedness() {
        return options.metrics()
                ? groups.stream()
                        .map(group -> statistics(group).balancedness(1))
                        .toList()
                : List.of();
    }

    private static ExpertStatistics statistics(RankGroup group) {
        return Objects.requireNonNull(group.runner(0).balance()).balance().statistics();
    }
}
