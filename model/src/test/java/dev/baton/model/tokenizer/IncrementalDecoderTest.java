package dev.baton.model.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.Random;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

class IncrementalDecoderTest {
    private static final JsonMapper JSON = new JsonMapper();

    private static void assertStreamsLikeTheWhole(Tokenizer streaming, Tokenizer whole, int[] ids) {
        for (boolean skipSpecial : new boolean[] {false, true}) {
            IncrementalDecoder decoder = streaming.incrementalDecoder(skipSpecial);
            StringBuilder joined = new StringBuilder();
            for (int id : ids) {
                String part = decoder.append(id);
                // Half a surrogate pair would be half a UTF-8 sequence.
                if (!part.isEmpty()) {
                    assertThat(Character.isLowSurrogate(part.charAt(0))).isFalse();
                    assertThat(Character.isHighSurrogate(part.charAt(part.length() - 1)))
                            .isFalse();
                }
                joined.append(part);
            }
            joined.append(decoder.flush());
            assertThat(joined.toString()).isEqualTo(whole.decode(ids, skipSpecial));
        }
    }

    @Test
    void randomIdsStreamToTheLibrarysWholeDecode() {
        Random random = new Random(1);
        SmallVocabulary vocabulary = SmallVocabulary.learn(RandomText.next(random, 4000), 400);
        ObjectNode json = vocabulary.json(SmallVocabulary.GPT2, "null", true, false);
        try (ByteLevelBpe own = ByteLevelBpe.of(json, null, "tokenizer.json");
                LibraryTokenizer library =
                        LibraryTokenizer.of(JSON.writeValueAsBytes(json), json, null, "the oracle", "tokenizer.json")) {
            for (int round = 0; round < 4000; round++) {
                int[] ids = new int[random.nextInt(30)];
                for (int i = 0; i < ids.length; i++) {
                    // Half of the ids are single bytes: sequences that break at every place.
                    ids[i] = random.nextBoolean() ? 128 + random.nextInt(128) : random.nextInt(own.vocabSize());
                }
                assertStreamsLikeTheWhole(own, library, ids);
                assertStreamsLikeTheWhole(library, library, ids);
            }
        }
    }

    @Test
    void realTextStreamsWithoutReplacementCharacters() {
        Random random = new Random(2);
        SmallVocabulary vocabulary = SmallVocabulary.learn(RandomText.next(random, 2000), 100);
        try (ByteLevelBpe own =
                ByteLevelBpe.of(vocabulary.json(SmallVocabulary.GPT2, "null", true, false), null, "tokenizer.json")) {
            String text = "Grüße, 世界! 👩‍👩‍👧 e\u0301 🦙";
            IncrementalDecoder decoder = own.incrementalDecoder(true);
            StringBuilder joined = new StringBuilder();
            for (int id : own.encode(text, false)) {
                joined.append(decoder.append(id));
                assertThat(joined.toString()).doesNotContain("\uFFFD");
                assertThat(text).startsWith(joined.toString());
            }
            assertThat(decoder.flush()).isEmpty();
            assertThat(joined.toString()).isEqualTo(text);
        }
    }

    @Test
    void flushEndsAnUnfinishedSequenceOnceAndMakesTheDecoderNew() {
        SmallVocabulary vocabulary = SmallVocabulary.learn("a", 0);
        try (ByteLevelBpe own =
                ByteLevelBpe.of(vocabulary.json(SmallVocabulary.GPT2, "null", true, false), null, "tokenizer.json")) {
            IncrementalDecoder decoder = own.incrementalDecoder(false);
            byte[] llama = "🦙".getBytes(StandardCharsets.UTF_8);
            for (int i = 0; i < 3; i++) {
                assertThat(decoder.append(llama[i] & 0xFF)).isEmpty();
            }
            assertThat(decoder.flush()).isEqualTo("\uFFFD");
            assertThat(decoder.flush()).isEmpty();
            StringBuilder text = new StringBuilder();
            for (byte b : llama) {
                decoder.append(b & 0xFF, text);
            }
            assertThat(text.toString()).isEqualTo("🦙");
        }
    }
}
