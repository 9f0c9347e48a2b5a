package dev.baton.engine.grammar;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.baton.model.tokenizer.GgufVocabulary;
import dev.baton.model.tokenizer.Tokenizer;
import dev.baton.protocol.GrammarSpec.Kind;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import java.util.regex.Pattern;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.json.JsonMapper;

/** Grammars over the vocabularies of real models (byte-level and SentencePiece), where they are beside the checkout. */
class RealVocabularyGrammarTest {
    private static final Path FOLDER = shared().resolve("fixtures/vocab");

    /** {@code $BATON_SHARED}, or the folder beside the project. */
    private static Path shared() {
        String stated = System.getenv("BATON_SHARED");
        return stated != null
                ? Path.of(stated)
                : Path.of(System.getProperty("baton.root", ".."))
                        .toAbsolutePath()
                        .normalize()
                        .resolveSibling("shared");
    }

    @TempDir
    Path folder;

    @ParameterizedTest
    @ValueSource(strings = {"qwen2", "llama-bpe", "deepseek-llm", "llama-spm"})
    void answersOfRandomAllowedTokensMatchAndMasksAreExact(String name) throws Exception {
        Path file = FOLDER.resolve("ggml-vocab-" + name + ".gguf.gz");
        assumeTrue(Files.exists(file), () -> "no vocabulary at " + file);
        Files.write(folder.resolve("tokenizer.json"), GgufVocabulary.read(file).tokenizerJson());
        try (Tokenizer tokenizer = Tokenizer.load(folder)) {
            int size = tokenizer.vocabSize();
            GrammarVocabulary vocabulary = GrammarVocabulary.of(tokenizer, size, List.of(2));
            String schema = "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\",\"maxLength\":30},"
                    + "\"tags\":{\"type\":\"array\",\"items\":{\"enum\":[\"a\",\"bc\"]},\"maxItems\":3}},"
                    + "\"required\":[\"name\",\"tags\"]}";
            Grammar json = Walks.compile(vocabulary, Kind.JSON_SCHEMA, schema);
            Grammar regex = Walks.compile(vocabulary, Kind.REGEX, "[A-Z]\\w{2,9}, [^\\n\"]{0,40}!");
            Pattern pattern = Pattern.compile("[A-Z]\\w{2,9}, [^\\n\"]{0,40}!");
            Random random = new Random(name.hashCode());
            int ended = 0;
            for (int i = 0; i < 12; i++) {
                String document = walk(json, vocabulary, random);
                if (document != null) {
                    ended++;
                    var read = new JsonMapper().readTree(document);
                    assertThat(read.path("name")
                                    .asString()
                                    .codePointCount(
                                            0, read.path("name").asString().length()))
                            .isLessThanOrEqualTo(30);
                    assertThat(read.path("tags").isArray()).isTrue();
                }
                String text = walk(regex, vocabulary, random);
                if (text != null) {
                    ended++;
                    assertThat(text).matches(pattern);
                }
            }
            assertThat(ended).isGreaterThan(12);
        }
    }

    private static String walk(Grammar grammar, GrammarVocabulary vocabulary, Random random) {
        Matcher matcher = grammar.matcher();
        long[] mask = new long[vocabulary.maskWords()];
        Position position = grammar.start();
        var out = new java.io.ByteArrayOutputStream();
        for (int i = 0; i < 120; i++) {
            matcher.allowed(mask);
            BitSet allowed = BitSet.valueOf(mask);
            assertThat(allowed.isEmpty()).isFalse();
            for (int probe = 0; probe < 300; probe++) {
                int id = random.nextInt(vocabulary.size());
                boolean expected = vocabulary.isEnd(id)
                        ? position.ends
                        : !grammar.after(position, id).isDead();
                if (allowed.get(id) != expected) {
                    throw new AssertionError("token " + id + " is " + (expected ? "not " : "") + "allowed");
                }
            }
            int id = allowed.nextSetBit(random.nextInt(vocabulary.size()));
            id = id < 0 ? allowed.nextSetBit(0) : id;
            if (matcher.mayEnd()) {
                id = vocabulary.anyEnd();
            }
            assertThat(matcher.accept(id)).isTrue();
            if (vocabulary.isEnd(id)) {
                return Walks.utf8(out.toByteArray());
            }
            position = grammar.after(position, id);
            out.writeBytes(vocabulary.bytes(id));
        }
        return null;
    }
}
