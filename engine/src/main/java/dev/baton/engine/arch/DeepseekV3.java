package dev.baton.engine.arch;

/** DeepSeek-V3 and R1: latent attention, the first layers dense, then shared and routed experts. */
final class DeepseekV3 {
    static final ArchitectureSpec SPEC =
            new ArchitectureSpec(ArchitectureSpec.AttentionKind.LATENT, false, WeightNames.HUGGING_FACE);

    private DeepseekV3() {}
}
