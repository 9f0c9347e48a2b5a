package dev.baton.engine.arch;

/** Qwen2 and 2.5: Llama's blocks; query, key and value projections have a bias, which the configuration says. */
final class Qwen2 {
    static final ArchitectureSpec SPEC = ArchitectureSpec.grouped(WeightNames.HUGGING_FACE);

    private Qwen2() {}
}
