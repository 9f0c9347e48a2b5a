package dev.baton.model.tokenizer;

import dev.baton.model.ModelException;
import dev.baton.model.tokenizer.AddedTokens.AddedToken;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.JsonNode;

/** The tokens of a tokenizer.json by id: their text, the bytes they decode to and whether they are special. */
final class TokenTable {
    private static final byte[] NO_BYTES = {};

    /** How a vocabulary writes bytes. */
    enum Writing {
        /** GPT-2's alphabet. */
        BYTE_LEVEL,
        /** SentencePiece: U+2581 for a space, {@code <0x0A>} for a byte. */
        SENTENCE_PIECE
    }

    private final Map<String, Integer> ids = new HashMap<>();
    private final String[] texts;
    private final byte[][] bytes;
    private final boolean[] special;
    private final List<AddedToken> addedTokens = new ArrayList<>();

    /** @param root tokenizer.json */
    TokenTable(JsonNode root, Writing writing, String origin) {
        JsonNode vocab = root.path("model").path("vocab");
        int size = 0;
        if (vocab.isObject()) {
            for (Map.Entry<String, JsonNode> entry : vocab.properties()) {
                size = Math.max(size, put(entry.getKey(), entry.getValue(), origin) + 1);
            }
        } else if (vocab.isArray()) {
            // Unigram: [[token, score], ...]
            for (JsonNode entry : vocab) {
                ids.put(entry.path(0).asString(""), size++);
            }
        } else {
            throw invalid(origin, "model.vocab is neither an object nor a list");
        }
        String[] vocabulary = new String[size];
        ids.forEach((text, id) -> vocabulary[id] = text);
        int next = ids.size();
        for (JsonNode entry : root.path("added_tokens")) {
            // As the library does it, whatever id the file states: the vocabulary's, or the next free one.
            String content = entry.path("content").asString("");
            Integer known = ids.get(content);
            AddedToken token = addedToken(entry, known == null ? next : known, origin);
            next = Math.max(next, token.id() + 1);
            addedTokens.add(token);
            ids.put(content, token.id());
            size = Math.max(size, token.id() + 1);
        }
        texts = Arrays.copyOf(vocabulary, size);
        bytes = new byte[size][];
        special = new boolean[size];
        for (AddedToken token : addedTokens) {
            texts[token.id()] = token.content();
            special[token.id()] |= token.special();
        }
        for (int id = 0; id < size; id++) {
            bytes[id] = texts[id] == null ? NO_BYTES : bytesOf(id, writing);
        }
    }

    private int put(String token, JsonNode id, String origin) {
        if (!id.isIntegralNumber() || !id.canConvertToInt() || id.intValue() < 0 || id.intValue() > 1 << 24) {
            throw invalid(origin, "the id of token \"" + token + "\" is " + id);
        }
        ids.put(token, id.intValue());
        return id.intValue();
    }

    private static AddedToken addedToken(JsonNode entry, int id, String origin) {
        JsonNode content = entry.path("content");
        if (!content.isString()) {
            throw invalid(origin, "added token " + entry + " has no content");
        }
        return new AddedToken(
                id,
                content.stringValue(),
                entry.path("single_word").asBoolean(false),
                entry.path("lstrip").asBoolean(false),
                entry.path("rstrip").asBoolean(false),
                entry.path("normalized").asBoolean(true),
                entry.path("special").asBoolean(false));
    }

    private byte[] bytesOf(int id, Writing writing) {
        String text = texts[id];
        if (writing == Writing.BYTE_LEVEL) {
            byte[] decoded = ByteAlphabet.decode(text);
            return decoded != null ? decoded : text.getBytes(StandardCharsets.UTF_8);
        }
        if (isByteToken(text)) {
            return new byte[] {(byte) Integer.parseInt(text, 3, 5, 16)};
        }
        return text.replace('\u2581', ' ').getBytes(StandardCharsets.UTF_8);
    }

    /** Whether {@code text} is {@code <0xNN>}. */
    static boolean isByteToken(String text) {
        return text.length() == 6
                && text.startsWith("<0x")
                && text.endsWith(">")
                && Character.digit(text.charAt(3), 16) >= 0
                && Character.digit(text.charAt(4), 16) >= 0;
    }

    int size() {
        return texts.length;
    }

    int idOf(String text) {
        return ids.getOrDefault(text, -1);
    }

    String text(int id) {
        return has(id) ? texts[id] : "";
    }

    byte[] bytes(int id) {
        return id >= 0 && id < bytes.length ? bytes[id] : NO_BYTES;
    }

    boolean special(int id) {
        return id >= 0 && id < special.length && special[id];
    }

    boolean has(int id) {
        return id >= 0 && id < texts.length && texts[id] != null;
    }

    List<AddedToken> addedTokens() {
        return addedTokens;
    }

    static ModelException invalid(String origin, String what) {
        return new ModelException(ModelException.Code.INVALID_TOKENIZER, origin + ": " + what);
    }
}
