package dev.baton.model.config;

import java.util.Arrays;
import java.util.Optional;
import java.util.stream.Collectors;

/** The architectures whose configuration can be read; the names are those of {@code config.json}. */
public enum Architecture {
    LLAMA("LlamaForCausalLM", "llama"),
    QWEN2("Qwen2ForCausalLM", "qwen2"),
    QWEN3("Qwen3ForCausalLM", "qwen3"),
    QWEN3_MOE("Qwen3MoeForCausalLM", "qwen3_moe"),
    MIXTRAL("MixtralForCausalLM", "mixtral"),
    DEEPSEEK_V2("DeepseekV2ForCausalLM", "deepseek_v2"),
    DEEPSEEK_V3("DeepseekV3ForCausalLM", "deepseek_v3");

    private final String className;
    private final String modelType;

    Architecture(String className, String modelType) {
        this.className = className;
        this.modelType = modelType;
    }

    /** The entry of {@code architectures}. */
    public String className() {
        return className;
    }

    /** The value of {@code model_type}. */
    public String modelType() {
        return modelType;
    }

    /** Multi-head latent attention. */
    public boolean latentAttention() {
        return this == DEEPSEEK_V2 || this == DEEPSEEK_V3;
    }

    static Optional<Architecture> ofClassName(String name) {
        return Arrays.stream(values()).filter(a -> a.className.equals(name)).findFirst();
    }

    static Optional<Architecture> ofModelType(String name) {
        return Arrays.stream(values()).filter(a -> a.modelType.equals(name)).findFirst();
    }

    static String supported() {
        return Arrays.stream(values()).map(Architecture::className).collect(Collectors.joining(", "));
    }
}
