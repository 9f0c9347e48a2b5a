package dev.baton.model.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.model.Fixtures;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The published vocabularies of fixtures/vocab with the ids that the models' own tokenizers gave. */
class RealVocabularyTest {
    @ParameterizedTest
    @ValueSource(strings = {"llama-bpe", "qwen2", "deepseek-llm", "llama-spm"})
    void givesThePublishedIdsAndAgreesWithTheLibrary(String name) throws IOException {
        Path folder = Fixtures.shared("vocab");
        byte[] json = GgufVocabulary.read(folder.resolve("ggml-vocab-" + name + ".gguf.gz"))
                .tokenizerJson();
        JsonNode root = new JsonMapper().readTree(json);
        try (Tokenizer tokenizer = TokenizerLoader.of(json, null, name);
                LibraryTokenizer library = LibraryTokenizer.of(json, root, null, "the oracle", name)) {
            String inputs = Files.readString(folder.resolve("ggml-vocab-" + name + ".gguf.inp"));
            // Every text ends with the separator.
            String[] texts = inputs.substring(0, inputs.lastIndexOf("\n__ggml_vocab_test__\n"))
                    .split("\n__ggml_vocab_test__\n", -1);
            List<String> expected = Files.readAllLines(folder.resolve("ggml-vocab-" + name + ".gguf.out"));
            assertThat(texts).hasSize(expected.size());
            for (int i = 0; i < texts.length; i++) {
                int[] ids = Arrays.stream(expected.get(i).trim().split(" +"))
                        .filter(id -> !id.isEmpty())
                        .mapToInt(Integer::parseInt)
                        .toArray();
                assertThat(tokenizer.encode(texts[i], false)).as("text %d", i).containsExactly(ids);
            }
            Random random = new Random(name.hashCode());
            for (int i = 0; i < 300; i++) {
                String text = RandomText.next(random, 30).replaceAll("\\p{Cs}", "\uFFFD");
                int[] ids = tokenizer.encode(text, false);
                assertThat(ids).containsExactly(library.encode(text, false));
                assertThat(tokenizer.decode(ids, false)).isEqualTo(library.decode(ids, false));
                IncrementalDecoder decoder = tokenizer.incrementalDecoder(false);
                StringBuilder joined = new StringBuilder();
                for (int id : ids) {
                    decoder.append(id, joined);
                }
                decoder.flush(joined);
                assertThat(joined.toString()).isEqualTo(library.decode(ids, false));
            }
        }
    }
}
