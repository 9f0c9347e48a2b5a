package dev.baton.model.tokenizer;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/**
 * Cuts a text into the words that BPE works on: the {@code pre_tokenizer} of tokenizer.json as a chain of stages, each
 * cutting the pieces of the one before, with ByteLevel at the end.
 */
final class PreTokenizer {
    /** GPT-2's pattern, which ByteLevel applies unless told not to. */
    private static final String BYTE_LEVEL =
            "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

    /** Takes a word: {@code text[from, to)}. */
    interface Words {
        void word(String text, int from, int to);
    }

    /**
     * One cut.
     *
     * @param keepMatches whether matches are words
     * @param keepGaps whether what lies between matches are words
     */
    private record Stage(Pattern pattern, boolean keepMatches, boolean keepGaps) {}

    private final List<Stage> stages = new ArrayList<>();
    private boolean prefixSpace;
    private boolean byteLevel;

    private PreTokenizer() {}

    /** Reads the chain; {@link UnsupportedTokenizerException} where this class would not cut as the library does. */
    static PreTokenizer of(@Nullable JsonNode json) {
        PreTokenizer preTokenizer = new PreTokenizer();
        if (json != null && !json.isNull()) {
            preTokenizer.add(json);
        }
        if (!preTokenizer.byteLevel) {
            throw new UnsupportedTokenizerException("pre_tokenizer is not ByteLevel");
        }
        return preTokenizer;
    }

    private void add(JsonNode json) {
        if (byteLevel) {
            throw new UnsupportedTokenizerException("pre_tokenizer has stages after ByteLevel");
        }
        String type = json.path("type").asString("");
        switch (type) {
            case "Sequence" -> json.path("pretokenizers").forEach(this::add);
            case "ByteLevel" -> {
                prefixSpace = json.path("add_prefix_space").asBoolean(true);
                if (prefixSpace && !stages.isEmpty()) {
                    throw new UnsupportedTokenizerException("add_prefix_space after other pre_tokenizer stages");
                }
                if (json.path("use_regex").asBoolean(true)) {
                    stages.add(new Stage(OnigurumaRegex.compile(BYTE_LEVEL), true, true));
                }
                byteLevel = true;
            }
            case "Digits" -> {
                String digit = json.path("individual_digits").asBoolean(false) ? "\\p{N}" : "\\p{N}+";
                stages.add(new Stage(Pattern.compile(digit), true, true));
            }
            case "Split" -> stages.add(split(json));
            default -> throw new UnsupportedTokenizerException("pre_tokenizer " + type);
        }
    }

    private static Stage split(JsonNode json) {
        JsonNode pattern = json.path("pattern");
        Pattern compiled;
        if (pattern.has("Regex")) {
            compiled = OnigurumaRegex.compile(pattern.get("Regex").asString());
        } else if (pattern.has("String")) {
            compiled = Pattern.compile(Pattern.quote(pattern.get("String").asString()));
        } else {
            throw new UnsupportedTokenizerException("Split pattern " + pattern);
        }
        boolean invert = json.path("invert").asBoolean(false);
        String behavior = json.path("behavior").asString("");
        return switch (behavior) {
            case "Isolated" -> new Stage(compiled, true, true);
            case "Removed" -> new Stage(compiled, invert, !invert);
            default -> throw new UnsupportedTokenizerException("Split behavior " + behavior);
        };
    }

    /** Cuts {@code text[from, to)}; lookahead sees nothing beyond. */
    void split(String text, int from, int to, Words words) {
        if (from == to) {
            return;
        }
        if (prefixSpace && text.charAt(from) != ' ') {
            String spaced = " " + text.substring(from, to);
            run(0, spaced, 0, spaced.length(), words);
        } else {
            run(0, text, from, to, words);
        }
    }

    private void run(int index, String text, int from, int to, Words words) {
        if (from >= to) {
            return;
        }
        if (index == stages.size()) {
            words.word(text, from, to);
            return;
        }
        Stage stage = stages.get(index);
        Matcher matcher = stage.pattern.matcher(text);
        matcher.region(from, to);
        int done = from;
        while (matcher.find()) {
            if (stage.keepGaps) {
                run(index + 1, text, done, matcher.start(), words);
            }
            if (stage.keepMatches) {
                run(index + 1, text, matcher.start(), matcher.end(), words);
            }
            done = matcher.end();
        }
        if (stage.keepGaps) {
            run(index + 1, text, done, to, words);
        }
    }
}
