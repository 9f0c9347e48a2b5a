package dev.baton.engine.arch;

import dev.baton.engine.EngineException;
import dev.baton.model.config.ModelConfig;

/** The architectures that can be served. */
public final class Architectures {
    private Architectures() {}

    /**
     * The blocks of a configuration's architecture.
     *
     * @throws EngineException CONFIGURATION when the architecture or a feature of it cannot be served
     */
    public static ArchitectureSpec of(ModelConfig config) {
        if (config.quantization() != null) {
            throw unsupported(
                    "the model's weights are block-scaled F8_E4M3 (quantization_config); F32, F16 and BF16 weights can be"
                            + " served");
        }
        return switch (config.architecture()) {
            case LLAMA -> Llama.SPEC;
            case QWEN2 -> Qwen2.SPEC;
            case DEEPSEEK_V3 -> DeepseekV3.SPEC;
            case QWEN3, QWEN3_MOE, MIXTRAL, DEEPSEEK_V2 ->
                throw unsupported("architecture " + config.architecture().className()
                        + " cannot be served yet; LlamaForCausalLM, Qwen2ForCausalLM and DeepseekV3ForCausalLM can");
        };
    }

    private static EngineException unsupported(String message) {
        return new EngineException(EngineException.Code.CONFIGURATION, message);
    }
}
