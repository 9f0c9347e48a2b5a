package dev.baton.model;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.model.config.Architecture;
import dev.baton.model.config.ModelConfig;
import dev.baton.model.config.RopeScaling;
import dev.baton.model.safetensors.Checkpoint;
import dev.baton.model.template.TokenizerConfig;
import dev.baton.model.tokenizer.IncrementalDecoder;
import dev.baton.model.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The model in the repository, read the way the engine and the server read it. */
class NanoModelTest {
    private static Path folder = Path.of("");

    @BeforeAll
    static void find() {
        folder = Fixtures.ofProject("models/baton-nano");
    }

    @Test
    void configurationAndWeightsAgree() {
        ModelConfig config = ModelConfig.read(folder);
        assertThat(config.architecture()).isEqualTo(Architecture.DEEPSEEK_V3);
        assertThat(config.rope().scaling()).isInstanceOf(RopeScaling.Yarn.class);
        assertThat(config.generation().temperature()).isNull();
        long hidden = config.hiddenSize();
        try (Checkpoint weights = Checkpoint.open(folder)) {
            weights.get("model.embed_tokens.weight", DType.BF16, config.vocabSize(), hidden);
            weights.get("lm_head.weight", DType.BF16, config.vocabSize(), hidden);
            for (int layer = 0; layer < config.layers(); layer++) {
                String prefix = "model.layers." + layer + ".";
                weights.get(
                        prefix + "self_attn.o_proj.weight",
                        DType.BF16,
                        hidden,
                        (long) config.heads() * config.valueHeadDim());
                assertThat(weights.contains(prefix + "mlp.gate.weight")).isEqualTo(config.sparse(layer));
            }
        }
    }

    @Test
    void everyPromptOfTheEvaluationComesBackFromItsTokens() throws IOException {
        JsonMapper json = new JsonMapper();
        try (Tokenizer tokenizer = Tokenizer.load(folder)) {
            assertThat(tokenizer.description()).isEqualTo("byte-level BPE");
            assertThat(tokenizer.vocabSize()).isEqualTo(ModelConfig.read(folder).vocabSize());
            for (String line : Files.readAllLines(folder.resolve("eval.jsonl"))) {
                JsonNode prompted = json.readTree(line).get("prompt");
                if (prompted == null) {
                    // A conversation: its text is the template's.
                    continue;
                }
                String prompt = prompted.stringValue();
                int[] ids = tokenizer.encode(prompt, true);
                assertThat(ids[0]).isEqualTo(ModelConfig.read(folder).bosId());
                assertThat(tokenizer.decode(ids, true)).isEqualTo(prompt);
                IncrementalDecoder decoder = tokenizer.incrementalDecoder(true);
                StringBuilder text = new StringBuilder();
                for (int id : ids) {
                    decoder.append(id, text);
                }
                decoder.flush(text);
                assertThat(text.toString()).isEqualTo(prompt);
            }
        }
    }

    @Test
    void itsChatTemplateBecomesItsSpecialTokens() {
        TokenizerConfig config = TokenizerConfig.read(folder);
        String prompt = config.chatTemplate(false)
                .render(
                        List.of(
                                Map.of("role", "system", "content", "Be brief."),
                                Map.of("role", "user", "content", " Hi! ")),
                        null,
                        true,
                        config.specialTokens());
        assertThat(prompt).isEqualTo("<|begin_of_text|><|system|>Be brief.<|end|><|user|>Hi!<|end|><|assistant|>");
        try (Tokenizer tokenizer = Tokenizer.load(folder)) {
            int[] ids = tokenizer.encode(prompt, false);
            assertThat(ids).startsWith(1, 3).endsWith(2, 5);
            assertThat(tokenizer.decode(ids, true)).isEqualTo("Be brief.Hi!");
        }
    }
}
