package dev.baton.model.config;

import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/** Reads rope_theta + rope_scaling, or rope_parameters. */
final class RopeReader {
    private static final double DEFAULT_THETA = 10000;

    private RopeReader() {}

    static RopeConfig read(ConfigFields config, int rotaryDim, boolean interleaved, int maxPositions) {
        ConfigFields parameters = config.object("rope_parameters");
        ConfigFields scaling = parameters != null ? parameters : config.object("rope_scaling");
        ConfigFields thetaSource = parameters != null && parameters.find("rope_theta") != null ? parameters : config;
        double theta = thetaSource.positiveNumber("rope_theta", DEFAULT_THETA);
        return new RopeConfig(rotaryDim, theta, interleaved, scaling(scaling, maxPositions));
    }

    private static RopeScaling scaling(@Nullable ConfigFields fields, int maxPositions) {
        if (fields == null) {
            return new RopeScaling.None();
        }
        JsonNode partial = fields.find("partial_rotary_factor");
        if (partial != null && partial.asDouble() != 1) {
            throw fields.unsupported("partial_rotary_factor", partial, "1.0");
        }
        String key = fields.find("rope_type") != null ? "rope_type" : "type";
        String type = fields.string(key);
        return switch (type) {
            case null -> throw fields.missing("rope_type", "default, llama3 or yarn");
            case "default" -> new RopeScaling.None();
            case "llama3" -> llama3(fields);
            case "yarn" -> yarn(fields, maxPositions);
            default -> throw fields.unsupported(key, type, "default, llama3, yarn");
        };
    }

    private static RopeScaling.Llama3 llama3(ConfigFields fields) {
        double low = fields.number("low_freq_factor");
        double high = fields.number("high_freq_factor");
        if (!(high > low)) {
            throw fields.invalid("high_freq_factor", high, "more than low_freq_factor = " + low);
        }
        return new RopeScaling.Llama3(factor(fields), low, high, fields.positive("original_max_position_embeddings"));
    }

    private static RopeScaling.Yarn yarn(ConfigFields fields, int maxPositions) {
        int original = fields.positive("original_max_position_embeddings", maxPositions);
        double factor = fields.find("factor") == null && original < maxPositions
                ? (double) maxPositions / original
                : factor(fields);
        return new RopeScaling.Yarn(
                factor,
                original,
                fields.positiveNumber("beta_fast", 32),
                fields.positiveNumber("beta_slow", 1),
                nonZero(fields.optionalNumber("mscale")),
                nonZero(fields.optionalNumber("mscale_all_dim")),
                fields.optionalNumber("attention_factor"),
                fields.bool("truncate", true));
    }

    private static double factor(ConfigFields fields) {
        double factor = fields.number("factor");
        if (!(factor >= 1)) {
            throw fields.invalid("factor", factor, "at least 1");
        }
        return factor;
    }

    /** The reference treats a magnitude of 0 as absent. */
    private static @Nullable Double nonZero(@Nullable Double value) {
        return value == null || value == 0 ? null : value;
    }
}
