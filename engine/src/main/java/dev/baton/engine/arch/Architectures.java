package dev.baton.engine.arch;

import dev.baton.engine.EngineException;
import dev.baton.model.config.ModelConfig;
import dev.baton.model.config.Quantization;

/** The architectures that can be served. */
public final class Architectures {
    private Architectures() {}

    /**
     * The blocks of a configuration's architecture.
     *
     * @throws EngineException CONFIGURATION when the architecture or a feature of it cannot be served
     */
    public static ArchitectureSpec of(ModelConfig config) {
        Quantization quantization = config.quantization();
        if (quantization != null && !quantization.equals(Quantization.DEEPSEEK)) {
            throw new EngineException(
                    EngineException.Code.CONFIGURATION,
                    "quantization_config.weight_block_size is [" + quantization.blockRows() + ", "
                            + quantization.blockColumns() + "]; blocks of [128, 128] can be served");
        }
        return switch (config.architecture()) {
            case LLAMA -> Llama.SPEC;
            case QWEN2 -> Qwen2.SPEC;
            case QWEN3 -> Qwen3.SPEC;
            case QWEN3_MOE -> Qwen3Moe.SPEC;
            case MIXTRAL -> Mixtral.SPEC;
            case DEEPSEEK_V2 -> DeepseekV2.SPEC;
            case DEEPSEEK_V3 -> DeepseekV3.SPEC;
        };
    }
}
