package dev.baton.model.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.baton.model.DType;
import dev.baton.model.Fixtures;
import dev.baton.model.ModelException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

class ModelConfigTest {
    private static final JsonMapper JSON = new JsonMapper();

    private static final String LLAMA_31_8B = """
            {"architectures": ["LlamaForCausalLM"], "attention_bias": false, "bos_token_id": 128000,
             "eos_token_id": [128001, 128008, 128009], "hidden_act": "silu", "hidden_size": 4096,
             "intermediate_size": 14336, "max_position_embeddings": 131072, "mlp_bias": false, "model_type": "llama",
             "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8, "rms_norm_eps": 1e-05,
             "rope_scaling": {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
               "original_max_position_embeddings": 8192, "rope_type": "llama3"},
             "rope_theta": 500000.0, "tie_word_embeddings": false, "torch_dtype": "bfloat16", "vocab_size": 128256}""";

    private static final String QWEN2 = """
            {"architectures": ["Qwen2ForCausalLM"], "bos_token_id": 151643, "eos_token_id": 151645,
             "hidden_act": "silu", "hidden_size": 896, "intermediate_size": 4864, "max_position_embeddings": 32768,
             "max_window_layers": 21, "num_attention_heads": 14, "num_hidden_layers": 24, "num_key_value_heads": 2,
             "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "sliding_window": 32768, "tie_word_embeddings": true,
             "torch_dtype": "bfloat16", "use_sliding_window": false, "vocab_size": 151936}""";

    private static final String DEEPSEEK_V3 = """
            {"architectures": ["DeepseekV3ForCausalLM"], "attention_bias": false, "bos_token_id": 0, "eos_token_id": 1,
             "first_k_dense_replace": 3, "hidden_act": "silu", "hidden_size": 7168, "intermediate_size": 18432,
             "kv_lora_rank": 512, "max_position_embeddings": 163840, "moe_intermediate_size": 2048,
             "moe_layer_freq": 1, "n_group": 8, "n_routed_experts": 256, "n_shared_experts": 1, "norm_topk_prob": true,
             "num_attention_heads": 128, "num_experts_per_tok": 8, "num_hidden_layers": 61, "num_key_value_heads": 128,
             "q_lora_rank": 1536, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
             "quantization_config": {"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8",
               "weight_block_size": [128, 128]},
             "rms_norm_eps": 1e-06,
             "rope_scaling": {"beta_fast": 32, "beta_slow": 1, "factor": 40, "mscale": 1.0, "mscale_all_dim": 1.0,
               "original_max_position_embeddings": 4096, "type": "yarn"},
             "rope_theta": 10000, "routed_scaling_factor": 2.5, "scoring_func": "sigmoid",
             "tie_word_embeddings": false, "topk_group": 4, "topk_method": "noaux_tc", "torch_dtype": "bfloat16",
             "v_head_dim": 128, "vocab_size": 129280}""";

    private static ModelConfig of(String json) {
        return ModelConfig.of(JSON.readTree(json), null, "config.json");
    }

    private static ModelConfig changed(String json, String pointer, String value) {
        return ModelConfig.of(edited(json, pointer, value), null, "config.json");
    }

    /** {@code value} as JSON at {@code a} or {@code a/b}; "absent" removes the field. */
    private static ObjectNode edited(String json, String pointer, String value) {
        ObjectNode root = (ObjectNode) JSON.readTree(json);
        String[] path = pointer.split("/");
        ObjectNode at = path.length == 1 ? root : (ObjectNode) root.get(path[0]);
        String field = path[path.length - 1];
        if (value.equals("absent")) {
            at.remove(field);
        } else {
            at.set(field, JSON.readTree(value));
        }
        return root;
    }

    @Test
    void readsLlama31WithTheOlderKeys() {
        ModelConfig config = of(LLAMA_31_8B);
        assertThat(config.architecture()).isEqualTo(Architecture.LLAMA);
        assertThat(config.headDim()).isEqualTo(128);
        assertThat(config.kvHeads()).isEqualTo(8);
        assertThat(config.dtype()).isEqualTo(DType.BF16);
        assertThat(config.eosIds()).containsExactly(128001, 128008, 128009);
        assertThat(config.bosId()).isEqualTo(128000);
        assertThat(config.rope()).isEqualTo(new RopeConfig(128, 500000, false, new RopeScaling.Llama3(8, 1, 4, 8192)));
        assertThat(config.qkvBias()).isFalse();
        assertThat(config.attentionScale()).isCloseTo((float) (1 / Math.sqrt(128)), within(1e-7f));
        assertThat(config.moe()).isNull();
        assertThat(config.mla()).isNull();
        assertThat(config.sparse(0)).isFalse();
    }

    @Test
    void readsQwen2WithBiasesAndASlidingWindowThatIsSwitchedOff() {
        ModelConfig config = of(QWEN2);
        assertThat(config.qkvBias()).isTrue();
        assertThat(config.outputBias()).isFalse();
        assertThat(config.tiedEmbeddings()).isTrue();
        assertThat(config.headDim()).isEqualTo(64);
        assertThat(config.rope().scaling()).isEqualTo(new RopeScaling.None());
    }

    @Test
    void readsDeepSeekV3WithItsAttentionScale() {
        ModelConfig config = of(DEEPSEEK_V3);
        assertThat(config.mla()).isEqualTo(new MlaConfig(1536, 512, 128, 64, 128));
        assertThat(config.headDim()).isEqualTo(192);
        assertThat(config.valueHeadDim()).isEqualTo(128);
        assertThat(config.attentionScale()).isCloseTo(0.1352338f, within(1e-7f));
        assertThat(config.rope().interleaved()).isTrue();
        assertThat(config.rope().rotaryDim()).isEqualTo(64);
        assertThat(config.quantization()).isEqualTo(new Quantization(128, 128));
        MoeConfig moe = Objects.requireNonNull(config.moe());
        assertThat(moe.denseLayers()).isEqualTo(Set.of(0, 1, 2));
        assertThat(moe.groups()).isEqualTo(8);
        assertThat(moe.keptGroups()).isEqualTo(4);
        assertThat(moe.groupScore()).isEqualTo(MoeConfig.GroupScore.TOP_TWO_SUM);
        assertThat(moe.scoring()).isEqualTo(MoeConfig.Scoring.SIGMOID);
        assertThat(moe.routedScale()).isEqualTo(2.5);
        assertThat(config.sparse(2)).isFalse();
        assertThat(config.sparse(3)).isTrue();
    }

    @Test
    void bothGenerationsOfKeysMeanTheSame() {
        ObjectNode newer = (ObjectNode) JSON.readTree(LLAMA_31_8B);
        ObjectNode rope = (ObjectNode) newer.remove("rope_scaling");
        rope.set("rope_theta", newer.remove("rope_theta"));
        newer.set("rope_parameters", rope);
        newer.set("dtype", newer.remove("torch_dtype"));
        assertThat(ModelConfig.of(newer, null, "config.json")).isEqualTo(of(LLAMA_31_8B));
    }

    @Test
    void generationConfigExtendsTheEndTokensAndGivesSamplingDefaults() {
        ModelConfig config = ModelConfig.of(JSON.readTree(QWEN2), JSON.readTree("""
                        {"eos_token_id": [151645, 151643], "temperature": 0.7, "top_p": 0.8, "top_k": 20,
                         "repetition_penalty": 1.1}"""), "config.json");
        assertThat(config.eosIds()).containsExactly(151645, 151643);
        assertThat(config.generation()).isEqualTo(new GenerationDefaults(0.7, 0.8, 20, null, 1.1));
    }

    @Test
    void qwen3MoeKeepsItsDenseLayersAndItsOwnHeadSize() {
        ModelConfig config = of("""
                {"architectures": ["Qwen3MoeForCausalLM"], "hidden_size": 2048, "intermediate_size": 6144,
                 "num_hidden_layers": 6, "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128,
                 "vocab_size": 151936, "max_position_embeddings": 40960, "rope_theta": 1e6, "torch_dtype": "bfloat16",
                 "num_experts": 128, "num_experts_per_tok": 8, "moe_intermediate_size": 768, "norm_topk_prob": true,
                 "decoder_sparse_step": 2, "mlp_only_layers": [3]}""");
        assertThat(config.headDim()).isEqualTo(128);
        assertThat(Objects.requireNonNull(config.moe()).denseLayers()).isEqualTo(Set.of(0, 2, 3, 4));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "architectures|[\"GPT2LMHeadModel\"]|architectures|GPT2LMHeadModel|LlamaForCausalLM",
                "rope_scaling/rope_type|\"longrope\"|rope_scaling.rope_type|longrope|default, llama3, yarn",
                "hidden_act|\"gelu\"|hidden_act|gelu|silu",
                "layer_types|[\"sliding_attention\"]|layer_types|sliding_attention|full_attention",
                "quantization_config|{\"quant_method\":\"awq\"}|quantization_config.quant_method|awq|fp8",
                "partial_rotary_factor|0.5|partial_rotary_factor|0.5|1.0",
                "mlp_bias|true|mlp_bias|true|false",
                "torch_dtype|\"int8\"|torch_dtype|int8|bfloat16",
            })
    void refusesWhatIsNotSupportedByNameValueAndRemedy(
            String pointer, String value, String field, String shown, String supported) {
        assertThatThrownBy(() -> changed(LLAMA_31_8B, pointer, value))
                .isInstanceOfSatisfying(
                        ModelException.class, e -> assertThat(e.code()).isEqualTo(ModelException.Code.UNSUPPORTED))
                .hasMessageContainingAll(field, shown, supported);
    }

    @Test
    void refusesASlidingWindowInUse() {
        assertThatThrownBy(() -> changed(QWEN2, "use_sliding_window", "true"))
                .hasMessageContainingAll("sliding_window", "32768", "no sliding window");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "hidden_size|absent|hidden_size|missing",
                "hidden_size|\"4096\"|hidden_size|\"4096\"",
                "hidden_size|-1|hidden_size|-1",
                "vocab_size|99999999999|vocab_size|99999999999",
                "num_hidden_layers|1.5|num_hidden_layers|1.5",
                "num_key_value_heads|7|num_key_value_heads|divisor",
                "torch_dtype|absent|dtype|missing",
                "eos_token_id|\"end\"|eos_token_id|integer",
                "eos_token_id|200000|eos_token_id|200000",
                "rms_norm_eps|0|rms_norm_eps|0.0",
                "rope_theta|-3|rope_theta|-3",
                "rope_scaling/factor|absent|rope_scaling.factor|missing",
                "rope_scaling/factor|0.5|rope_scaling.factor|0.5",
                "rope_scaling|[]|rope_scaling|object",
                "tie_word_embeddings|1|tie_word_embeddings|true or false",
            })
    void refusesMissingAndMistypedFieldsByName(String pointer, String value, String field, String shown) {
        assertThatThrownBy(() -> changed(LLAMA_31_8B, pointer, value))
                .isInstanceOfSatisfying(
                        ModelException.class, e -> assertThat(e.code()).isEqualTo(ModelException.Code.INVALID_CONFIG))
                .hasMessageContainingAll("config.json", "\"" + field + "\"", shown);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "kv_lora_rank|absent|kv_lora_rank",
                "n_group|7|n_group",
                "topk_group|9|topk_group",
                "num_experts_per_tok|200|num_experts_per_tok",
                "topk_method|\"magic\"|topk_method",
                "scoring_func|\"tanh\"|scoring_func",
                "attention_bias|true|attention_bias",
            })
    void refusesImpossibleExpertLayouts(String pointer, String value, String field) {
        assertThatThrownBy(() -> changed(DEEPSEEK_V3, pointer, value))
                .isInstanceOf(ModelException.class)
                .hasMessageContaining("\"" + field + "\"");
    }

    @Test
    void namesAMissingFolderAMissingFileAndMalformedJson(@TempDir Path folder) throws IOException {
        assertThatThrownBy(() -> ModelConfig.read(folder.resolve("nowhere")))
                .isInstanceOfSatisfying(
                        ModelException.class, e -> assertThat(e.code()).isEqualTo(ModelException.Code.NOT_FOUND))
                .hasMessageContaining("nowhere");
        assertThatThrownBy(() -> ModelConfig.read(folder)).hasMessageContaining("has no config.json");
        Files.writeString(folder.resolve("config.json"), "{\"hidden_size\": ");
        assertThatThrownBy(() -> ModelConfig.read(folder)).hasMessageContaining("not valid JSON");
    }

    @Test
    void readsEveryGoldenCheckpoint() {
        Path golden = Fixtures.shared("golden");
        for (String name : List.of(
                "deepseek-v2-lite",
                "deepseek-v3",
                "deepseek-v3-fp8",
                "llama-gqa-llama3rope",
                "llama-mha-tied",
                "mixtral",
                "qwen2-bias-tied",
                "qwen3-moe",
                "qwen3-qknorm")) {
            ModelConfig config = ModelConfig.read(golden.resolve(name));
            assertThat(config.vocabSize()).as(name).isEqualTo(512);
            assertThat(config.eosIds()).as(name).containsExactly(2);
            assertThat(config.mla() != null).as(name).isEqualTo(name.startsWith("deepseek"));
            assertThat(config.moe() != null)
                    .as(name)
                    .isEqualTo(name.startsWith("deepseek") || name.equals("mixtral") || name.equals("qwen3-moe"));
        }
    }
}
