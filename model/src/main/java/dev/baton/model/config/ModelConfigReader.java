package dev.baton.model.config;

import dev.baton.model.DType;
import dev.baton.model.ModelException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Reads and checks config.json and generation_config.json. */
final class ModelConfigReader {
    private static final JsonMapper JSON = new JsonMapper();

    private final ConfigFields config;
    private final Architecture architecture;

    private ModelConfigReader(ConfigFields config) {
        this.config = config;
        this.architecture = architecture(config);
    }

    static ModelConfig read(Path folder) {
        if (!Files.isDirectory(folder)) {
            throw new ModelException(
                    ModelException.Code.NOT_FOUND,
                    "model path " + folder + " is not a folder; it must hold config.json, tokenizer.json and"
                            + " *.safetensors");
        }
        Path file = folder.resolve("config.json");
        JsonNode config = parse(file);
        if (config == null) {
            throw new ModelException(ModelException.Code.NOT_FOUND, "model folder " + folder + " has no config.json");
        }
        JsonNode generation = parse(folder.resolve("generation_config.json"));
        return of(config, generation, file.toString());
    }

    static ModelConfig of(JsonNode config, @Nullable JsonNode generation, String origin) {
        if (!config.isObject()) {
            throw new ModelException(ModelException.Code.INVALID_CONFIG, origin + " must be a JSON object");
        }
        ConfigFields generationFields =
                generation == null ? null : new ConfigFields(generation, origin + " (generation_config.json)", "");
        return new ModelConfigReader(new ConfigFields(config, origin, "")).resolve(generationFields);
    }

    private static @Nullable JsonNode parse(Path file) {
        if (!Files.exists(file)) {
            return null;
        }
        try {
            return JSON.readTree(Files.readAllBytes(file));
        } catch (JacksonException e) {
            throw new ModelException(
                    ModelException.Code.INVALID_CONFIG, file + " is not valid JSON: " + e.getOriginalMessage(), e);
        } catch (IOException e) {
            throw new ModelException(ModelException.Code.NOT_FOUND, "cannot read " + file + ": " + e.getMessage(), e);
        }
    }

    private static Architecture architecture(ConfigFields config) {
        JsonNode names = config.find("architectures");
        if (names != null) {
            if (!names.isArray() || names.isEmpty() || !names.get(0).isString()) {
                throw config.mistyped("architectures", names, "a list of class names");
            }
            String name = names.get(0).stringValue();
            return Architecture.ofClassName(name)
                    .orElseThrow(() -> config.unsupported("architectures", name, Architecture.supported()));
        }
        String type = config.string("model_type");
        if (type == null) {
            throw config.missing("architectures", "a list of class names, one of " + Architecture.supported());
        }
        return Architecture.ofModelType(type)
                .orElseThrow(() -> config.unsupported("model_type", type, Architecture.supported()));
    }

    private ModelConfig resolve(@Nullable ConfigFields generation) {
        int layers = config.positive("num_hidden_layers");
        refuseUnsupported();
        MlaConfig mla = architecture.latentAttention() ? mla() : null;
        int hiddenSize = config.positive("hidden_size");
        int heads = config.positive("num_attention_heads");
        int kvHeads = config.positive("num_key_value_heads", heads);
        if (heads % kvHeads != 0) {
            throw config.invalid("num_key_value_heads", kvHeads, "a divisor of num_attention_heads = " + heads);
        }
        int headDim = mla != null ? mla.qkHeadDim() : headDim(hiddenSize, heads);
        int maxPositions = config.positive("max_position_embeddings");
        int rotaryDim = mla != null ? mla.qkRopeHeadDim() : headDim;
        if (rotaryDim % 2 != 0) {
            throw config.invalid(mla != null ? "qk_rope_head_dim" : "head_dim", rotaryDim, "even");
        }
        boolean interleaved = mla != null && config.bool("rope_interleave", true);
        boolean bias = architecture == Architecture.QWEN2 || config.bool("attention_bias", false);
        int vocabSize = config.positive("vocab_size");
        return new ModelConfig(
                architecture,
                hiddenSize,
                config.positive("intermediate_size"),
                layers,
                heads,
                kvHeads,
                headDim,
                vocabSize,
                config.positiveNumber("rms_norm_eps", 1e-6),
                RopeReader.read(config, rotaryDim, interleaved, maxPositions),
                maxPositions,
                config.bool("tie_word_embeddings", false),
                bias,
                bias && architecture != Architecture.QWEN2,
                dtype(),
                bosId(vocabSize),
                eosIds(generation, vocabSize),
                mla,
                new MoeReader(config, architecture, layers).read(),
                quantization(),
                generation == null ? GenerationDefaults.NONE : defaults(generation));
    }

    private int headDim(int hiddenSize, int heads) {
        if (config.find("head_dim") != null) {
            return config.positive("head_dim");
        }
        if (hiddenSize % heads != 0) {
            throw config.invalid("num_attention_heads", heads, "a divisor of hidden_size = " + hiddenSize);
        }
        return hiddenSize / heads;
    }

    private MlaConfig mla() {
        if (config.bool("attention_bias", false)) {
            throw config.unsupported("attention_bias", true, "false with latent attention");
        }
        return new MlaConfig(
                config.find("q_lora_rank") == null ? 0 : config.positive("q_lora_rank"),
                config.positive("kv_lora_rank"),
                config.positive("qk_nope_head_dim"),
                config.positive("qk_rope_head_dim"),
                config.positive("v_head_dim"));
    }

    private void refuseUnsupported() {
        String activation = config.string("hidden_act");
        if (activation != null && !activation.equals("silu") && !activation.equals("swish")) {
            throw config.unsupported("hidden_act", activation, "silu");
        }
        if (config.bool("mlp_bias", false)) {
            throw config.unsupported("mlp_bias", true, "false");
        }
        if (architecture == Architecture.QWEN2 && !config.bool("attention_bias", true)) {
            throw config.unsupported("attention_bias", false, "true with " + architecture.className());
        }
        double partial = config.number("partial_rotary_factor", 1);
        if (partial != 1) {
            throw config.unsupported("partial_rotary_factor", partial, "1.0");
        }
        // Qwen's files state a window that use_sliding_window turns off; Mixtral's have no such switch.
        boolean switchedOff = !config.bool("use_sliding_window", architecture == Architecture.MIXTRAL);
        if (config.bool("use_sliding_window", false) || (config.find("sliding_window") != null && !switchedOff)) {
            throw config.unsupported(
                    "sliding_window", String.valueOf(config.find("sliding_window")), "no sliding window (null)");
        }
        JsonNode kinds = config.find("layer_types");
        if (kinds != null) {
            for (JsonNode kind : kinds) {
                if (!kind.isString() || !kind.stringValue().equals("full_attention")) {
                    throw config.unsupported("layer_types", kind, "full_attention in every layer");
                }
            }
        }
    }

    private DType dtype() {
        String name = config.find("dtype") != null ? "dtype" : "torch_dtype";
        String value = config.string(name);
        return switch (value) {
            case null -> throw config.missing("dtype", "bfloat16, float16 or float32");
            case "bfloat16" -> DType.BF16;
            case "float16" -> DType.F16;
            case "float32" -> DType.F32;
            default -> throw config.unsupported(name, value, "bfloat16, float16, float32");
        };
    }

    private @Nullable Quantization quantization() {
        ConfigFields fields = config.object("quantization_config");
        if (fields == null) {
            return null;
        }
        String method = fields.string("quant_method");
        if (!"fp8".equals(method)) {
            throw fields.unsupported("quant_method", String.valueOf(method), "fp8 with weight_block_size");
        }
        String format = fields.string("fmt");
        if (format != null && !format.equals("e4m3")) {
            throw fields.unsupported("fmt", format, "e4m3");
        }
        String activations = fields.string("activation_scheme");
        if (activations != null && !activations.equals("dynamic")) {
            throw fields.unsupported("activation_scheme", activations, "dynamic");
        }
        List<Integer> block = fields.integers("weight_block_size");
        if (block.size() != 2 || block.get(0) <= 0 || block.get(1) <= 0) {
            throw fields.unsupported("weight_block_size", block, "two positive integers such as [128, 128]");
        }
        return new Quantization(block.get(0), block.get(1));
    }

    private int bosId(int vocabSize) {
        List<Integer> ids = config.integers("bos_token_id");
        return ids.isEmpty() ? -1 : checkedId("bos_token_id", ids.getFirst(), vocabSize);
    }

    private List<Integer> eosIds(@Nullable ConfigFields generation, int vocabSize) {
        Set<Integer> ids = new LinkedHashSet<>(config.integers("eos_token_id"));
        if (generation != null) {
            ids.addAll(generation.integers("eos_token_id"));
        }
        for (int id : ids) {
            checkedId("eos_token_id", id, vocabSize);
        }
        return List.copyOf(ids);
    }

    private int checkedId(String name, int id, int vocabSize) {
        if (id < 0 || id >= vocabSize) {
            throw config.invalid(name, id, "from 0 to vocab_size - 1 = " + (vocabSize - 1));
        }
        return id;
    }

    private static GenerationDefaults defaults(ConfigFields generation) {
        return new GenerationDefaults(
                generation.optionalNumber("temperature"),
                generation.optionalNumber("top_p"),
                generation.optionalInteger("top_k"),
                generation.optionalNumber("min_p"),
                generation.optionalNumber("repetition_penalty"));
    }
}
