package dev.baton.engine.arch;

/** DeepSeek-V2: latent attention, with or without a low rank of the queries (Lite); shared and routed experts. */
final class DeepseekV2 {
    static final ArchitectureSpec SPEC = ArchitectureSpec.latent(WeightNames.HUGGING_FACE);

    private DeepseekV2() {}
}
