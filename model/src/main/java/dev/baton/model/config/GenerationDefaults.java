package dev.baton.model.config;

import org.jspecify.annotations.Nullable;

/** Sampling defaults of {@code generation_config.json}; null where the file says nothing. */
public record GenerationDefaults(
        @Nullable Double temperature,
        @Nullable Double topP,
        @Nullable Integer topK,
        @Nullable Double minP,
        @Nullable Double repetitionPenalty) {
    /** No defaults. */
    public static final GenerationDefaults NONE = new GenerationDefaults(null, null, null, null, null);
}
