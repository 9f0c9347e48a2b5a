package dev.baton.model.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** The own encoder against the Hugging Face library, over vocabularies learned here. */
class SentencePieceBpeTest {
    private static final JsonMapper JSON = new JsonMapper();
    private static final String TRAINING = RandomText.next(new Random(5), 4000).replaceAll("\\p{Cs}", "?");

    private static final Map<String, String> FRONTS =
            Map.of("llama2", """
            {"normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"},
             {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}, "pre_tokenizer": null}""", "replace", """
            {"normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}, "pre_tokenizer": null}""", "first", """
            {"normalizer": null, "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first",
             "split": false}}""", "always", """
            {"normalizer": null, "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always",
             "split": false}}""", "never", """
            {"normalizer": null, "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never",
             "split": false}}""");

    /** @param across merges may join a word to the one behind it */
    private static ObjectNode json(String front, boolean across, boolean strips) {
        ObjectNode root = (ObjectNode) JSON.readTree(FRONTS.get(front));
        Map<String, Integer> vocab = new LinkedHashMap<>();
        List.of("<unk>", "<s>", "</s>").forEach(token -> vocab.put(token, vocab.size()));
        for (int b = 0; b < 256; b++) {
            vocab.put(String.format("<0x%02X>", b), vocab.size());
        }
        String text = TRAINING.replace(' ', '▁');
        List<List<String>> words = new ArrayList<>();
        for (String word : across ? new String[] {text} : text.split("(?<=[^▁])(?=▁)")) {
            List<String> symbols = new ArrayList<>();
            word.codePoints().limit(12_000).mapToObj(Character::toString).forEach(symbols::add);
            words.add(symbols);
        }
        // Rare characters stay out of the vocabulary: they are written in bytes.
        Map<String, Integer> characters = new HashMap<>();
        words.forEach(word -> word.forEach(c -> characters.merge(c, 1, Integer::sum)));
        characters.entrySet().stream()
                .filter(entry -> entry.getValue() > 40)
                .map(Map.Entry::getKey)
                .sorted()
                .forEach(c -> vocab.put(c, vocab.size()));
        ObjectNode model = root.putObject("model").put("type", "BPE").put("unk_token", "<unk>");
        model.put("fuse_unk", true).put("byte_fallback", true).put("ignore_merges", false);
        ArrayNode merges = model.putArray("merges");
        for (int i = 0; i < 150; i++) {
            merge(words, vocab, merges);
        }
        ObjectNode ids = model.putObject("vocab");
        vocab.forEach(ids::put);
        ArrayNode added = root.putArray("added_tokens");
        for (String token : List.of("<unk>", "<s>", "</s>", "<|im_end|>", "[INST]")) {
            added.addObject()
                    .put("id", vocab.getOrDefault(token, vocab.size() + added.size() - 4))
                    .put("content", token)
                    .put("single_word", false)
                    .put("lstrip", false)
                    .put("rstrip", token.equals("</s>"))
                    .put("normalized", false)
                    .put("special", true);
        }
        root.set("decoder", JSON.readTree("""
                {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                 {"type": "ByteFallback"}, {"type": "Fuse"}STRIP]}""".replace(
                "STRIP", strips ? ", {\"type\": \"Strip\", \"content\": \" \", \"start\": 1, \"stop\": 0}" : "")));
        root.putNull("post_processor");
        return root;
    }

    private static void merge(List<List<String>> words, Map<String, Integer> vocab, ArrayNode merges) {
        Map<List<String>, Integer> pairs = new HashMap<>();
        for (List<String> word : words) {
            for (int at = 0; at + 1 < word.size(); at++) {
                if (vocab.containsKey(word.get(at)) && vocab.containsKey(word.get(at + 1))) {
                    pairs.merge(List.of(word.get(at), word.get(at + 1)), 1, Integer::sum);
                }
            }
        }
        List<String> best = pairs.entrySet().stream()
                .max(Map.Entry.<List<String>, Integer>comparingByValue()
                        .thenComparing(entry -> String.join(" ", entry.getKey())))
                .orElseThrow()
                .getKey();
        merges.addArray().add(best.getFirst()).add(best.getLast());
        String both = best.getFirst() + best.getLast();
        vocab.putIfAbsent(both, vocab.size());
        for (List<String> word : words) {
            List<String> joined = new ArrayList<>(word.size());
            for (int at = 0; at < word.size(); at++) {
                boolean found = at + 1 < word.size()
                        && word.get(at).equals(best.getFirst())
                        && word.get(at + 1).equals(best.getLast());
                joined.add(found ? both : word.get(at));
                at += found ? 1 : 0;
            }
            word.clear();
            word.addAll(joined);
        }
    }

    @ParameterizedTest
    @CsvSource({
        "llama2,false",
        "llama2,true",
        "replace,false",
        "first,false",
        "first,true",
        "always,false",
        "never,true"
    })
    void encodesAndDecodesLikeTheLibrary(String front, boolean across) {
        ObjectNode json = json(front, across, front.equals("llama2"));
        try (Tokenizer own = TokenizerLoader.of(JSON.writeValueAsBytes(json), null, "tokenizer.json");
                LibraryTokenizer library =
                        LibraryTokenizer.of(JSON.writeValueAsBytes(json), json, null, "the oracle", "tokenizer.json")) {
            assertThat(own.description()).isEqualTo("SentencePiece BPE");
            Random random = new Random(front.hashCode());
            for (int i = 0; i < 400; i++) {
                String text = RandomText.next(random, random.nextInt(40)).replaceAll("\\p{Cs}", "\uFFFD");
                text = switch (random.nextInt(6)) {
                    case 0 -> "[INST] " + text + "</s>  " + text;
                    case 1 -> text + "<|im_end|>" + text + "<s>";
                    case 2 -> " ▁" + text + "<0x41><unk>x";
                    default -> text;
                };
                int[] ids = own.encode(text, false);
                assertThat(ids).as(text).isEqualTo(library.encode(text, false));
                assertThat(own.decode(ids, true)).isEqualTo(library.decode(ids, true));
                int[] any = random.ints(random.nextInt(20), 0, own.vocabSize()).toArray();
                assertThat(own.decode(any, false)).as(Arrays.toString(any)).isEqualTo(library.decode(any, false));
            }
            // Longer than any word that is remembered, and than what is merged by scanning.
            String longest = TRAINING + TRAINING;
            String unbroken = "ab".repeat(3000) + " ".repeat(300) + "x";
            assertThat(own.encode(longest, false)).isEqualTo(library.encode(longest, false));
            assertThat(own.encode(unbroken, false)).isEqualTo(library.encode(unbroken, false));
        }
    }

    @Test
    void whatWouldBeEncodedOtherwiseIsRefusedWithTheReason() {
        ObjectNode normalised = json("llama2", false, true);
        ((ObjectNode) normalised.path("added_tokens").get(3)).put("normalized", true);
        assertThatThrownBy(() -> SentencePieceBpe.of(normalised, null, "t")).hasMessageContaining("<|im_end|>");
        ObjectNode split = json("first", false, true);
        ((ObjectNode) split.path("pre_tokenizer")).put("split", true);
        assertThatThrownBy(() -> SentencePieceBpe.of(split, null, "t")).hasMessageContaining("Metaspace");
        ObjectNode lower = json("replace", false, true);
        lower.set("normalizer", JSON.readTree("{\"type\": \"Lowercase\"}"));
        assertThatThrownBy(() -> SentencePieceBpe.of(lower, null, "t")).hasMessageContaining("Lowercase");
        ObjectNode incomplete = json("llama2", false, true);
        ((ObjectNode) incomplete.path("model").path("vocab")).remove("<0x7F>");
        assertThatThrownBy(() -> SentencePieceBpe.of(incomplete, null, "t")).hasMessageContaining("byte 127");
    }
}
