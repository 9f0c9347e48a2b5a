package dev.baton.engine.arch;

/** DeepSeek-V3 and R1: V2's blocks; the gate is sigmoid with a correction bias, which the configuration says. */
final class DeepseekV3 {
    static final ArchitectureSpec SPEC = DeepseekV2.SPEC;

    private DeepseekV3() {}
}
