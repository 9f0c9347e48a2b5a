package dev.baton.engine.balance;

import dev.baton.model.config.ModelConfig;
import dev.baton.model.config.MoeConfig;
import dev.baton.trace.expert.ExpertCounts;
import dev.baton.trace.expert.InitialLocation;
import dev.baton.trace.expert.Placement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/** Makes placements of a model's experts and checks those that come from outside. */
final class PlacementPlanner {
    private final ModelConfig config;
    private final MoeConfig moe;
    private final int slots;
    private final int ranks;
    private final int nodes;

    /** @throws dev.baton.engine.EngineException CONFIGURATION when the slots do not divide over the ranks */
    PlacementPlanner(ModelConfig config, MoeConfig moe, int redundant, int ranks, int nodes) {
        this.config = config;
        this.moe = moe;
        this.slots = moe.experts() + redundant;
        this.ranks = ranks;
        this.nodes = ranks % nodes == 0 ? nodes : 1;
        if (slots % ranks != 0) {
            int fitting = (ranks - moe.experts() % ranks) % ranks;
            throw BalanceOptions.invalid("--ep-num-redundant-experts " + redundant + ": " + moe.experts() + " + "
                    + redundant + " = " + slots + " slots do not divide over --ep-size " + ranks + ": " + slots + " = "
                    + slots / ranks + " * " + ranks + " + " + slots % ranks + "; choose " + fitting
                    + " or that plus a multiple of " + ranks);
        }
    }

    int slots() {
        return slots;
    }

    /** Where every layer's experts lie at first; dense layers have a trivial entry that nobody reads. */
    List<LayerLocation> initial(BalanceOptions options) {
        return locations(
                switch (options.location()) {
                    case InitialLocation.Trivial trivial ->
                        Placement.trivial(config.layers(), moe.experts(), slots, ranks)
                                .physicalToLogical();
                    case InitialLocation.Map map -> checked(map);
                    case InitialLocation.Counts counts ->
                        planned(options, checked(counts.counts()).counts());
                });
    }

    /** [layer][slot] as the algorithm places by these counts. */
    int[][] planned(BalanceOptions options, double[][] counts) {
        return options.algorithm()
                .place(counts, slots, moe.groups() > 1 ? moe.groups() : 0, nodes, ranks)
                .physicalToLogical();
    }

    private List<LayerLocation> locations(int[][] maps) {
        int[] trivial = IntStream.range(0, slots).map(i -> i % moe.experts()).toArray();
        List<LayerLocation> layers = new ArrayList<>();
        for (int layer = 0; layer < config.layers(); layer++) {
            layers.add(new LayerLocation(config.sparse(layer) ? maps[layer] : trivial, moe.experts(), ranks, nodes));
        }
        return layers;
    }

    private int[][] checked(InitialLocation.Map map) {
        int[][] rows = map.physicalToLogical();
        String source = "--init-expert-location " + map.source() + ": physical_to_logical_map";
        if (rows.length != config.layers()) {
            throw BalanceOptions.invalid(source + " has " + rows.length + " layers, the model has " + config.layers()
                    + " (dense layers have rows too)");
        }
        for (int layer = 0; layer < rows.length; layer++) {
            int[] row = rows[layer];
            if (row.length != slots) {
                throw BalanceOptions.invalid(source + " has " + row.length + " slots, the server has " + moe.experts()
                        + " experts + " + (slots - moe.experts()) + " redundant = " + slots
                        + "; set --ep-num-redundant-experts " + Math.max(0, row.length - moe.experts())
                        + " or use a logical_count, which fits any number of slots");
            }
            if (!config.sparse(layer)) {
                continue;
            }
            boolean[] held = new boolean[moe.experts()];
            for (int expert : row) {
                if (expert < 0 || expert >= held.length) {
                    throw BalanceOptions.invalid(source + " names expert " + expert + " in layer " + layer
                            + ", the model has 0 to " + (held.length - 1));
                }
                held[expert] = true;
            }
            for (int expert = 0; expert < held.length; expert++) {
                if (!held[expert]) {
                    throw BalanceOptions.invalid(
                            source + " has no slot for expert " + expert + " in layer " + layer + "; each needs one");
                }
            }
        }
        return rows;
    }

    private ExpertCounts checked(ExpertCounts counts) {
        String source = "--init-expert-location " + counts.source() + ": logical_count";
        if (counts.counts().length != config.layers() || counts.experts() != moe.experts()) {
            throw BalanceOptions.invalid(source + " is of " + counts.counts().length + " layers x " + counts.experts()
                    + " experts, the model has " + config.layers() + " (dense layers have rows too) x "
                    + moe.experts());
        }
        if (Arrays.stream(counts.counts()).flatMapToDouble(Arrays::stream).anyMatch(c -> !(c >= 0))) {
            throw BalanceOptions.invalid(source + " has counts below 0: the recording is damaged");
        }
        if (counts.moeLayers().length == 0) {
            throw BalanceOptions.invalid(source + " is zero everywhere: nothing was recorded, so nothing can be planned"
                    + " from it; record under traffic, or use --init-expert-location trivial");
        }
        return counts;
    }
}
