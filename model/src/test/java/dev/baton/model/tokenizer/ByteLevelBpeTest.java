package dev.baton.model.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** The own encoder against the Hugging Face library. */
class ByteLevelBpeTest {
    private static final JsonMapper JSON = new JsonMapper();
    private static final SmallVocabulary VOCABULARY = SmallVocabulary.learn(RandomText.next(new Random(5), 6000), 900);

    private static final Map<String, String> PRE_TOKENIZERS = Map.of(
            "gpt2", SmallVocabulary.GPT2,
            "gpt2-prefix-space", SmallVocabulary.GPT2_PREFIX_SPACE,
            "llama3", SmallVocabulary.LLAMA3,
            "qwen", SmallVocabulary.QWEN,
            "deepseek-v3", SmallVocabulary.DEEPSEEK_V3,
            "deepseek-llm", SmallVocabulary.DEEPSEEK_LLM,
            "o200k", SmallVocabulary.O200K);

    private static ByteLevelBpe own(ObjectNode json) {
        return ByteLevelBpe.of(json, null, "tokenizer.json");
    }

    private static LibraryTokenizer library(ObjectNode json) {
        return LibraryTokenizer.of(JSON.writeValueAsBytes(json), json, null, "the oracle", "tokenizer.json");
    }

    private static void assertSame(Tokenizer own, Tokenizer library, String text, boolean special) {
        int[] expected = library.encode(text, special);
        int[] actual = own.encode(text, special);
        if (!Arrays.equals(actual, expected)) {
            assertThat(actual).as("%s", escaped(text)).containsExactly(expected);
        }
    }

    private static String escaped(String text) {
        StringBuilder out = new StringBuilder();
        text.chars().forEach(c -> out.append(c >= 32 && c < 127 ? String.valueOf((char) c) : "\\u%04X".formatted(c)));
        return out.toString();
    }

    @ParameterizedTest
    @ValueSource(strings = {"gpt2", "gpt2-prefix-space", "llama3", "qwen", "deepseek-v3", "deepseek-llm", "o200k"})
    void encodesAndDecodesLikeTheLibrary(String preTokenizer) {
        for (String normalizer : new String[] {"null", "{\"type\": \"NFC\"}"}) {
            ObjectNode json = VOCABULARY.json(
                    PRE_TOKENIZERS.getOrDefault(preTokenizer, ""), normalizer, normalizer.equals("null"), false);
            try (LibraryTokenizer library = library(json);
                    ByteLevelBpe own = own(json)) {
                Random random = new Random(preTokenizer.hashCode());
                for (int i = 0; i < 1000; i++) {
                    // Lone surrogates cannot be handed to the library: it gets what they become.
                    String text =
                            RandomText.next(random, 1 + random.nextInt(25)).replaceAll("\\p{Cs}", "\uFFFD");
                    assertSame(own, library, text, false);
                    int[] ids = own.encode(text, false);
                    assertThat(own.decode(ids, false)).isEqualTo(library.decode(ids, false));
                    assertThat(own.decode(ids, true)).isEqualTo(library.decode(ids, true));
                }
            }
        }
    }

    @Test
    void longTextsAndLongWordsEncodeLikeTheLibrary() {
        ObjectNode json = VOCABULARY.json(SmallVocabulary.LLAMA3, "null", true, false);
        try (LibraryTokenizer library = library(json);
                ByteLevelBpe own = own(json)) {
            Random random = new Random(3);
            assertSame(own, library, RandomText.next(random, 20000).replaceAll("\\p{Cs}", "\uFFFD"), false);
            StringBuilder word = new StringBuilder();
            for (int i = 0; i < 5000; i++) {
                word.append("abetorinst".charAt(random.nextInt(10)));
            }
            assertSame(own, library, word.toString(), false);
            assertSame(own, library, "a".repeat(3001), false);
            assertSame(own, library, " ".repeat(3000) + "x" + "\n".repeat(777), false);
        }
    }

    @Test
    void ignoreMergesTakesWholeWordsOfTheVocabulary() {
        ObjectNode json = VOCABULARY.json(SmallVocabulary.LLAMA3, "null", true, true);
        // A token that no merge yields.
        int whole = VOCABULARY.size();
        ((ObjectNode) json.path("model").path("vocab")).put("zqzq", whole);
        try (LibraryTokenizer library = library(json);
                ByteLevelBpe own = own(json)) {
            assertThat(own.encode("zqzq", false)).containsExactly(whole);
            Random random = new Random(11);
            for (int i = 0; i < 500; i++) {
                assertSame(own, library, RandomText.next(random, 10).replaceAll("\\p{Cs}", "\uFFFD"), false);
            }
        }
    }

    @Test
    void everyAssignedCharacterIsCutLikeTheLibraryCutsIt() {
        ObjectNode json = VOCABULARY.json(SmallVocabulary.DEEPSEEK_V3, "null", true, false);
        try (LibraryTokenizer library = library(json);
                ByteLevelBpe own = own(json)) {
            StringBuilder text = new StringBuilder();
            for (int c = 1; c < 0x20000; c++) {
                if (Character.isDefined(c) && !(c >= 0xD800 && c <= 0xDFFF)) {
                    text.append("a ")
                            .appendCodePoint(c)
                            .append("b1")
                            .appendCodePoint(c)
                            .append('!');
                }
                if (text.length() > 4000) {
                    assertSame(own, library, text.toString(), false);
                    text.setLength(0);
                }
            }
        }
    }

    @Test
    void templateProcessingPutsItsTokensAround() {
        ObjectNode json = VOCABULARY.json(SmallVocabulary.GPT2, "null", true, false);
        int begin = own(json).idOf("<|begin|>");
        int end = own(json).idOf("<|end|>");
        json.set("post_processor", JSON.readTree("""
                {"type": "Sequence", "processors": [{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false},
                 {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<|begin|>", "type_id": 0}},
                  {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "<|end|>", "type_id": 0}}],
                  "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                  "special_tokens": {"<|begin|>": {"id": "<|begin|>", "ids": [%d], "tokens": ["<|begin|>"]},
                   "<|end|>": {"id": "<|end|>", "ids": [%d], "tokens": ["<|end|>"]}}}]}""".formatted(begin, end)));
        try (LibraryTokenizer library = library(json);
                ByteLevelBpe own = own(json)) {
            assertSame(own, library, "hello", true);
            assertSame(own, library, "hello", false);
            assertSame(own, library, "", true);
            assertThat(own.encode("x", true)).startsWith(begin).endsWith(end);
        }
    }

    @Test
    void loneSurrogatesBecomeReplacementCharacters() {
        try (ByteLevelBpe own = own(VOCABULARY.json(SmallVocabulary.GPT2, "null", true, false))) {
            assertThat(own.encode("x\uD83Dy", false)).isEqualTo(own.encode("x\uFFFDy", false));
            assertThat(own.encode("\uDE42", false)).isEqualTo(own.encode("\uFFFD", false));
        }
    }

    @Test
    void tokensAreFoundByTextAndDescribed() {
        try (ByteLevelBpe own = own(VOCABULARY.json(SmallVocabulary.GPT2, "null", true, false))) {
            int end = own.idOf("<|end|>");
            assertThat(own.isSpecial(end)).isTrue();
            assertThat(own.tokenText(end)).isEqualTo("<|end|>");
            assertThat(new String(own.tokenBytes(end), java.nio.charset.StandardCharsets.UTF_8))
                    .isEqualTo("<|end|>");
            assertThat(own.isSpecial(own.idOf("<tool_call>"))).isFalse();
            assertThat(own.tokenBytes(own.idOf("Ġ"))).containsExactly(' ');
            assertThat(own.tokenBytes(1 << 20)).isEmpty();
            assertThat(own.tokenBytes(-1)).isEmpty();
            assertThat(own.idOf("no such token")).isEqualTo(-1);
            assertThat(own.decode(new int[] {1 << 20, own.idOf("a")}, false)).isEqualTo("a");
            assertThat(own.vocabSize()).isBetween(VOCABULARY.size() + 1, VOCABULARY.size() + 9);
        }
    }
}
