package dev.baton.engine.arch;

/** Qwen3: Llama's blocks with an RMSNorm over each query and key head (Qwen3 report, section 2). */
final class Qwen3 {
    static final ArchitectureSpec SPEC =
            ArchitectureSpec.grouped(WeightNames.HUGGING_FACE).withQueryKeyNorm();

    private Qwen3() {}
}
