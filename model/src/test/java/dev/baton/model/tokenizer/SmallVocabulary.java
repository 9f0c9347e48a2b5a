package dev.baton.model.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** A small byte-level BPE, learned here from generated text, as a tokenizer.json whose parts a test can choose. */
final class SmallVocabulary {
    private static final JsonMapper JSON = new JsonMapper();

    static final String GPT2 = """
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}""";
    static final String GPT2_PREFIX_SPACE = GPT2.replace("\"add_prefix_space\": false", "\"add_prefix_space\": true");
    static final String LLAMA3 = sequence(split(
            "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
                    + "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"));
    static final String QWEN = sequence(
            split("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
                    + "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"));
    static final String DEEPSEEK_V3 = sequence(
            split("\\p{N}{1,3}"),
            split("[一-龥぀-ゟ゠-ヿ]+"),
            split("[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
                    + "| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"));
    static final String DEEPSEEK_LLM = sequence(
            split("[\\r\\n]"),
            split("\\s?\\p{L}+"),
            split("\\s?\\p{P}+"),
            split("[一-龥ࠀ-一가-퟿]+"),
            "{\"type\": \"Digits\", \"individual_digits\": true}");
    static final String O200K = sequence(split(
            "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
                    + "|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
                    + "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"));

    private final Map<String, Integer> vocab = new LinkedHashMap<>();
    private final List<String[]> merges = new ArrayList<>();

    private SmallVocabulary() {}

    private static String split(String regex) {
        return "{\"type\": \"Split\", \"pattern\": {\"Regex\": " + JSON.writeValueAsString(regex)
                + "}, \"behavior\": \"Isolated\", \"invert\": false}";
    }

    private static String sequence(String... stages) {
        return "{\"type\": \"Sequence\", \"pretokenizers\": [" + String.join(", ", stages)
                + ", {\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, \"use_regex\": false}]}";
    }

    /** Learns {@code count} merges from {@code text}, words cut at spaces. */
    static SmallVocabulary learn(String text, int count) {
        SmallVocabulary result = new SmallVocabulary();
        for (int b = 0; b < 256; b++) {
            result.vocab.put(String.valueOf(ByteAlphabet.ofByte(b)), b);
        }
        List<List<String>> words = new ArrayList<>();
        for (String word : text.split("(?= )")) {
            List<String> symbols = new ArrayList<>();
            for (byte b : word.getBytes(StandardCharsets.UTF_8)) {
                symbols.add(String.valueOf(ByteAlphabet.ofByte(b & 0xFF)));
            }
            words.add(symbols);
        }
        for (int i = 0; i < count; i++) {
            Map<String, Integer> pairs = new HashMap<>();
            words.forEach(word -> {
                for (int at = 0; at + 1 < word.size(); at++) {
                    pairs.merge(word.get(at) + " " + word.get(at + 1), 1, Integer::sum);
                }
            });
            String best = pairs.entrySet().stream()
                    .max(Map.Entry.<String, Integer>comparingByValue().thenComparing(Map.Entry.comparingByKey()))
                    .map(Map.Entry::getKey)
                    .orElse(null);
            if (best == null) {
                break;
            }
            String[] pair = best.split(" ");
            result.merges.add(pair);
            result.vocab.putIfAbsent(pair[0] + pair[1], result.vocab.size());
            words.forEach(word -> join(word, pair));
        }
        return result;
    }

    private static void join(List<String> word, String[] pair) {
        for (int at = 0; at + 1 < word.size(); at++) {
            if (word.get(at).equals(pair[0]) && word.get(at + 1).equals(pair[1])) {
                word.set(at, pair[0] + pair[1]);
                word.remove(at + 1);
            }
        }
    }

    int size() {
        return vocab.size();
    }

    /** tokenizer.json; added tokens get the ids after the vocabulary. */
    ObjectNode json(String preTokenizer, String normalizer, boolean mergesAsArrays, boolean ignoreMerges) {
        ObjectNode root = JSON.createObjectNode();
        root.put("version", "1.0");
        ArrayNode added = root.putArray("added_tokens");
        root.set("normalizer", JSON.readTree(normalizer));
        root.set("pre_tokenizer", JSON.readTree(preTokenizer));
        root.putNull("post_processor");
        root.putObject("decoder")
                .put("type", "ByteLevel")
                .put("add_prefix_space", true)
                .put("trim_offsets", true)
                .put("use_regex", true);
        ObjectNode model = root.putObject("model").put("type", "BPE").put("ignore_merges", ignoreMerges);
        ObjectNode ids = model.putObject("vocab");
        vocab.forEach(ids::put);
        ArrayNode pairs = model.putArray("merges");
        for (String[] merge : merges) {
            if (mergesAsArrays) {
                pairs.addArray().add(merge[0]).add(merge[1]);
            } else {
                pairs.add(merge[0] + " " + merge[1]);
            }
        }
        add(added, "<|begin|>", true, "");
        add(added, "<|end|>", true, "");
        add(added, "<tool_call>", false, "");
        add(added, "<|pad", true, "lstrip rstrip");
        add(added, "<｜User｜>", true, "");
        add(added, "unit", false, "single_word");
        add(added, "Straße", false, "normalized");
        add(added, "<|end|><|end|>", false, "");
        add(added, "    ", false, "");
        return root;
    }

    private void add(ArrayNode added, String content, boolean special, String flags) {
        added.addObject()
                .put("id", vocab.size() + added.size() - 1)
                .put("content", content)
                .put("single_word", flags.contains("single_word"))
                .put("lstrip", flags.contains("lstrip"))
                .put("rstrip", flags.contains("rstrip"))
                .put("normalized", flags.contains("normalized"))
                .put("special", special);
    }
}
