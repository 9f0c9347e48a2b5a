package dev.baton.engine.arch;

/** Mixtral: Llama's attention, experts in every layer, under names of their own (Jiang et al. 2024, section 2). */
final class Mixtral {
    static final ArchitectureSpec SPEC = ArchitectureSpec.grouped(
            WeightNames.HUGGING_FACE.withExperts("block_sparse_moe.", new WeightNames.Projections("w1", "w3", "w2")));

    private Mixtral() {}
}
