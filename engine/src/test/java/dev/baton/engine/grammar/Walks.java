package dev.baton.engine.grammar;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.engine.EngineException;
import dev.baton.protocol.GrammarSpec;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** "Models" that pick any token that is allowed, over vocabularies made for tests. */
final class Walks {
    private static final String[] FRAGMENTS = {
        "{\"", "\":", "\": ", "\",", "\", \"", "\"}", "}", "},{", "]]", "[[", "[\"", "\"]", "{}", "[]", "null", "true",
                "false",
        "},\n", "\n  ", "\n    ", "\\\"", "\\u00", "0.", "12", "-1", "1e", "a", "ab", "abc", "name", "\"name\"", " the",
                "é", "日本",
        "😀", "\"😀", "\"\"", "}}", "}}}", "]}", "]}]", "::", ", ", ": "
    };

    private Walks() {}

    /** Every byte, some text that JSON and English hold, parts of characters, and random pieces; then two end tokens. */
    static GrammarVocabulary vocabulary(int size, long seed) {
        Random random = new Random(seed);
        Set<String> taken = new HashSet<>();
        List<byte[]> tokens = new ArrayList<>();
        for (int b = 0; b < 256; b++) {
            tokens.add(new byte[] {(byte) b});
        }
        for (String fragment : FRAGMENTS) {
            byte[] bytes = fragment.getBytes(StandardCharsets.UTF_8);
            if (bytes.length > 1 && taken.add(fragment)) {
                tokens.add(bytes);
                tokens.add(java.util.Arrays.copyOf(bytes, bytes.length - 1));
            }
        }
        String alphabet = "aaabcdexyz0123456789 \"\\{}[]:,.-_+/\n\tBé日";
        while (tokens.size() < size - 2) {
            StringBuilder text = new StringBuilder();
            for (int i = 0, n = 2 + random.nextInt(5); i < n; i++) {
                text.append(alphabet.charAt(random.nextInt(alphabet.length())));
            }
            if (taken.add(text.toString())) {
                tokens.add(text.toString().getBytes(StandardCharsets.UTF_8));
            }
        }
        int first = tokens.size();
        return GrammarVocabulary.of(size, id -> id < first ? tokens.get(id) : new byte[0], List.of(first, first + 1));
    }

    static Grammar compile(GrammarVocabulary vocabulary, GrammarSpec.Kind kind, String text) {
        try (GrammarCompiler compiler = new GrammarCompiler(() -> vocabulary)) {
            return compiler.compile(new GrammarSpec(kind, text));
        }
    }

    /**
     * A text of random allowed tokens; the mask of each step is held against every token of the vocabulary, now and then.
     *
     * @return null when {@code most} tokens did not end it
     */
    static @Nullable String walk(
            Grammar grammar, GrammarVocabulary vocabulary, Random random, int most, boolean check) {
        Matcher matcher = grammar.matcher();
        long[] mask = new long[vocabulary.maskWords()];
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        Position position = grammar.start();
        for (int i = 0; i < most; i++) {
            matcher.allowed(mask);
            List<Integer> allowed = new ArrayList<>();
            for (int id = 0; id < vocabulary.size(); id++) {
                if ((mask[id >> 6] >>> id & 1) != 0) {
                    allowed.add(id);
                }
            }
            assertThat(allowed).as("a way on after %s", out).isNotEmpty();
            if (check && random.nextInt(4) == 0) {
                assertMask(grammar, vocabulary, position, mask);
            }
            // A model that wants to come to an end, so that most walks do.
            boolean end = matcher.mayEnd() && random.nextInt(3) == 0;
            int id = end ? vocabulary.anyEnd() : pick(allowed, vocabulary, random, i > most / 3);
            assertThat(matcher.accept(id)).isTrue();
            if (vocabulary.isEnd(id)) {
                return utf8(out.toByteArray());
            }
            position = grammar.after(position, id);
            out.writeBytes(vocabulary.bytes(id));
        }
        return null;
    }

    private static int pick(List<Integer> allowed, GrammarVocabulary vocabulary, Random random, boolean hurry) {
        if (hurry) {
            for (int tries = 0; tries < 2; tries++) {
                int id = allowed.get(random.nextInt(allowed.size()));
                byte[] bytes = vocabulary.bytes(id);
                if (bytes.length == 0 || "}]\"".indexOf(bytes[0]) >= 0) {
                    return id;
                }
            }
            for (int id : allowed) {
                byte[] bytes = vocabulary.bytes(id);
                if (bytes.length == 0 || bytes.length == 1 && "}]\"".indexOf(bytes[0]) >= 0) {
                    return id;
                }
            }
        }
        return allowed.get(random.nextInt(allowed.size()));
    }

    private static void assertMask(Grammar grammar, GrammarVocabulary vocabulary, Position position, long[] mask) {
        for (int id = 0; id < vocabulary.size(); id++) {
            boolean expected = vocabulary.isEnd(id)
                    ? position.ends
                    : !grammar.after(position, id).isDead();
            if ((mask[id >> 6] >>> id & 1) != 0 != expected) {
                throw new AssertionError("token " + id + " '" + new String(vocabulary.bytes(id), StandardCharsets.UTF_8)
                        + "' should " + (expected ? "" : "not ") + "be allowed");
            }
        }
    }

    /** Strictly decoded: half a character is an error. */
    static String utf8(byte[] bytes) {
        try {
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(bytes))
                    .toString();
        } catch (CharacterCodingException e) {
            throw new AssertionError("not UTF-8: " + new String(bytes, StandardCharsets.UTF_8), e);
        }
    }

    /** Whether the grammar takes the text as a whole. */
    static boolean accepts(Grammar grammar, String text) {
        Position position = grammar.start();
        for (byte b : text.getBytes(StandardCharsets.UTF_8)) {
            position = position.next(grammar.program, grammar.program.classOf[b & 0xFF]);
        }
        return position.ends;
    }

    /** The message of the refusal. */
    static String refusal(GrammarSpec.Kind kind, String text) {
        try {
            compile(vocabulary(400, 1), kind, text);
        } catch (EngineException e) {
            assertThat(e.code()).isEqualTo(EngineException.Code.INVALID_REQUEST);
            return String.valueOf(e.getMessage());
        }
        throw new AssertionError("compiled: " + text);
    }
}
