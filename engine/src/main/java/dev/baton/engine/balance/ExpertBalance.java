package dev.baton.engine.balance;

import dev.baton.model.config.ModelConfig;
import dev.baton.model.config.MoeConfig;
import dev.baton.tensor.parallel.PointToPoint;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** What the ranks of one replica share about their experts: the first placement, the options, the counts. */
public final class ExpertBalance {
    private final BalanceOptions options;
    private final PlacementPlanner planner;
    private final List<LayerLocation> initial;
    private final ExpertStatistics statistics;
    /** By rank: what experts travel through. */
    private final Map<Integer, PointToPoint> links;

    private ExpertBalance(
            BalanceOptions options,
            PlacementPlanner planner,
            List<LayerLocation> initial,
            ExpertStatistics statistics,
            Map<Integer, PointToPoint> links) {
        this.options = options;
        this.planner = planner;
        this.initial = initial;
        this.statistics = statistics;
        this.links = links;
    }

    /** Opens messages among some ranks, numbered in the replica; gives the ends of those that live here. */
    @FunctionalInterface
    public interface MessageOpener {
        /** @param depth open sends from one rank to another */
        Map<Integer, PointToPoint> open(List<Integer> ranks, int depth);
    }

    /**
     * Plans the placement of a replica; null for a model without experts.
     *
     * @param stages of the pipeline, each with layers and ranks of its own
     * @param stageRanks ranks of a stage
     * @param expertRanks size of the expert-parallel group
     * @param nodes over which that is spread
     * @param here ranks of this JVM
     * @param messages opens what experts travel through in a move
     * @throws dev.baton.engine.EngineException CONFIGURATION with the arithmetic when options and model do not fit
     */
    public static @Nullable ExpertBalance of(
            BalanceOptions options,
            ModelConfig config,
            int stages,
            int stageRanks,
            int expertRanks,
            int nodes,
            RanksHere here,
            MessageOpener messages) {
        MoeConfig moe = config.moe();
        if (moe == null) {
            if (!options.equals(BalanceOptions.NONE)) {
                throw BalanceOptions.invalid(config.architecture().className()
                        + " has no experts: leave out --enable-eplb, --init-expert-location and the other flags of expert"
                        + " placement and recording");
            }
            return null;
        }
        if (options.rebalances() && expertRanks < 2) {
            throw BalanceOptions.invalid("--enable-eplb moves experts between ranks and --ep-size is " + expertRanks
                    + ", so there is nowhere to move them; set --ep-size to at least 2");
        }
        PlacementPlanner planner = new PlacementPlanner(config, moe, options.redundant(), expertRanks, nodes);
        Map<Integer, PointToPoint> links = new HashMap<>();
        int columns = stageRanks / expertRanks;
        for (int stage = 0; options.rebalances() && stage < stages; stage++) {
            for (int column = 0; column < columns; column++) {
                int first = stage * stageRanks + column;
                List<Integer> ranks = IntStream.range(0, expertRanks)
                        .mapToObj(i -> first + i * columns)
                        .toList();
                // No rank sends another one more experts of a layer than it has slots.
                links.putAll(messages.open(ranks, planner.slots() / expertRanks));
            }
        }
        return new ExpertBalance(
                options,
                planner,
                planner.initial(options),
                new ExpertStatistics(config.layers(), moe.experts(), expertRanks, stages, stageRanks, here, options),
                links);
    }

    PointToPoint link(RankExperts.Place place) {
        return Objects.requireNonNull(links.get(place.rank()), () -> "rank " + place.rank() + " has no link");
    }

    /** Whether layers lie on several stages. */
    boolean isStaged() {
        return statistics.stages() > 1;
    }

    /** The options. */
    public BalanceOptions options() {
        return options;
    }

    /** Where the experts of a layer lie when the weights are loaded. */
    public LayerLocation initial(int layer) {
        return initial.get(layer);
    }

    /** Counts of the replica's passes. */
    public ExpertStatistics statistics() {
        return statistics;
    }

    PlacementPlanner planner() {
        return planner;
    }
}
