package dev.baton.model.config;

import dev.baton.model.config.MoeConfig.GroupScore;
import dev.baton.model.config.MoeConfig.Scoring;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Reads the mixture-of-experts fields, whose names and defaults differ between the families. */
final class MoeReader {
    private final ConfigFields config;
    private final Architecture architecture;
    private final int layers;

    MoeReader(ConfigFields config, Architecture architecture, int layers) {
        this.config = config;
        this.architecture = architecture;
        this.layers = layers;
    }

    /** Null when the model has no expert layers. */
    @Nullable
    MoeConfig read() {
        MoeConfig moe = switch (architecture) {
            case LLAMA, QWEN2, QWEN3 -> null;
            case QWEN3_MOE -> qwen3();
            case MIXTRAL -> mixtral();
            case DEEPSEEK_V2, DEEPSEEK_V3 -> deepseek();
        };
        if (moe == null || moe.denseLayers().size() == layers) {
            return null;
        }
        if (moe.experts() % moe.groups() != 0) {
            throw config.invalid("n_group", moe.groups(), "a divisor of the " + moe.experts() + " experts");
        }
        if (moe.keptGroups() > moe.groups()) {
            throw config.invalid("topk_group", moe.keptGroups(), "at most n_group = " + moe.groups());
        }
        int eligible = moe.experts() / moe.groups() * moe.keptGroups();
        if (moe.topK() > eligible) {
            throw config.invalid("num_experts_per_tok", moe.topK(), "at most the " + eligible + " eligible experts");
        }
        if (moe.groupScore() == GroupScore.TOP_TWO_SUM && moe.groups() > 1 && moe.experts() / moe.groups() < 2) {
            throw config.invalid("n_group", moe.groups(), "such that a group has at least two experts");
        }
        return moe;
    }

    private MoeConfig qwen3() {
        int step = config.positive("decoder_sparse_step", 1);
        Set<Integer> dense = new HashSet<>(config.integers("mlp_only_layers"));
        dense.removeIf(layer -> layer < 0 || layer >= layers);
        for (int layer = 0; layer < layers; layer++) {
            if ((layer + 1) % step != 0) {
                dense.add(layer);
            }
        }
        int experts = config.find("num_experts") != null
                ? config.positive("num_experts")
                : config.positive("num_local_experts");
        return new MoeConfig(
                experts,
                0,
                config.positive("num_experts_per_tok"),
                1,
                1,
                GroupScore.MAX,
                false,
                config.positive("moe_intermediate_size"),
                dense,
                Scoring.SOFTMAX,
                config.bool("norm_topk_prob", false),
                1);
    }

    private MoeConfig mixtral() {
        return new MoeConfig(
                config.positive("num_local_experts"),
                0,
                config.positive("num_experts_per_tok"),
                1,
                1,
                GroupScore.MAX,
                false,
                config.positive("intermediate_size"),
                Set.of(),
                Scoring.SOFTMAX,
                true,
                1);
    }

    private @Nullable MoeConfig deepseek() {
        if (config.find("n_routed_experts") == null) {
            return null;
        }
        boolean v3 = architecture == Architecture.DEEPSEEK_V3;
        String method = config.string("topk_method");
        if (method == null) {
            method = v3 ? "noaux_tc" : "greedy";
        }
        if (!List.of("noaux_tc", "group_limited_greedy", "greedy").contains(method)) {
            throw config.unsupported("topk_method", method, "noaux_tc, group_limited_greedy, greedy");
        }
        boolean grouped = !method.equals("greedy");
        boolean bias = method.equals("noaux_tc");
        int shared = config.integer("n_shared_experts", 0);
        if (shared < 0) {
            throw config.invalid("n_shared_experts", shared, "0 or more");
        }
        return new MoeConfig(
                config.positive("n_routed_experts"),
                shared,
                config.positive("num_experts_per_tok"),
                grouped ? config.positive("n_group", 1) : 1,
                grouped ? config.positive("topk_group", 1) : 1,
                bias ? GroupScore.TOP_TWO_SUM : GroupScore.MAX,
                bias,
                config.positive("moe_intermediate_size"),
                denseDeepseekLayers(),
                scoring(v3),
                config.bool("norm_topk_prob", v3),
                config.number("routed_scaling_factor", 1));
    }

    private Set<Integer> denseDeepseekLayers() {
        int first = config.integer("first_k_dense_replace", 0);
        int frequency = config.positive("moe_layer_freq", 1);
        Set<Integer> dense = new HashSet<>();
        for (int layer = 0; layer < layers; layer++) {
            if (layer < first || layer % frequency != 0) {
                dense.add(layer);
            }
        }
        return dense;
    }

    private Scoring scoring(boolean v3) {
        String name = config.string("scoring_func");
        return switch (name) {
            case null -> v3 ? Scoring.SIGMOID : Scoring.SOFTMAX;
            case "sigmoid" -> Scoring.SIGMOID;
            case "softmax" -> Scoring.SOFTMAX;
            default -> throw config.unsupported("scoring_func", name, "sigmoid, softmax");
        };
    }
}
