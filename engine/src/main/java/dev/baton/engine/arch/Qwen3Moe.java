package dev.baton.engine.arch;

/** Qwen3 with experts: Qwen3's attention; the configuration says which layers have experts. */
final class Qwen3Moe {
    static final ArchitectureSpec SPEC = Qwen3.SPEC;

    private Qwen3Moe() {}
}
