package dev.baton.engine.arch;

/** Llama 2 and 3: grouped-query attention, gated MLP (Llama 3 report, section 3.2). */
final class Llama {
    static final ArchitectureSpec SPEC = ArchitectureSpec.grouped(WeightNames.HUGGING_FACE);

    private Llama() {}
}
