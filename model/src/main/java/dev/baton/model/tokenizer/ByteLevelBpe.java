package dev.baton.model.tokenizer;

import java.nio.charset.StandardCharsets;
import java.text.Normalizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/**
 * Byte-level BPE as GPT-2, Llama 3, Qwen and DeepSeek use it, identical to the Hugging Face library for every
 * tokenizer.json that {@link #of} accepts.
 */
final class ByteLevelBpe extends TableTokenizer {
    private final AddedTokens rawTokens;
    private final AddedTokens normalizedTokens;
    private final List<Normalizer.Form> normalizers;
    private final PreTokenizer preTokenizer;
    private final BpeMerger merger;
    private final boolean ignoreMerges;
    private final SpecialTokenTemplate template;
    private final int[] byteIds = new int[256];
    private final WordCache cache = new WordCache();

    private ByteLevelBpe(JsonNode root, @Nullable SpecialTokenTemplate override, String origin) {
        JsonNode model = root.path("model");
        checkModel(model);
        normalizers = normalizers(root.get("normalizer"));
        preTokenizer = PreTokenizer.of(root.get("pre_tokenizer"));
        template = override != null ? override : SpecialTokenTemplate.of(root.get("post_processor"));
        if (!root.path("decoder").path("type").asString("").equals("ByteLevel")) {
            throw new UnsupportedTokenizerException("decoder is not ByteLevel");
        }
        super(new TokenTable(root, TokenTable.Writing.BYTE_LEVEL, origin));
        List<AddedTokens.AddedToken> raw = new ArrayList<>();
        List<AddedTokens.AddedToken> normalized = new ArrayList<>();
        table.addedTokens().forEach(token -> (token.normalized() ? normalized : raw).add(token));
        if (!normalizers.isEmpty()
                && normalized.stream().anyMatch(t -> !normalize(t.content()).equals(t.content()))) {
            throw new UnsupportedTokenizerException("an added token that the normalizer changes");
        }
        rawTokens = new AddedTokens(raw);
        normalizedTokens = new AddedTokens(normalized);
        ignoreMerges = model.path("ignore_merges").asBoolean(false);
        merger = new BpeMerger(MergeTable.of(model.path("merges"), table, origin));
        for (int b = 0; b < 256; b++) {
            byteIds[b] = table.idOf(String.valueOf(ByteAlphabet.ofByte(b)));
            if (byteIds[b] < 0) {
                throw new UnsupportedTokenizerException("byte " + b + " is not in the vocabulary");
            }
        }
    }

    /**
     * @param root tokenizer.json
     * @param override ids around a text instead of the post-processor's; null leaves those
     * @throws UnsupportedTokenizerException when this class would not encode as the library does
     */
    static ByteLevelBpe of(JsonNode root, @Nullable SpecialTokenTemplate override, String origin) {
        return new ByteLevelBpe(root, override, origin);
    }

    private static void checkModel(JsonNode model) {
        String type = model.path("type").asString("BPE");
        if (!type.equals("BPE")) {
            throw new UnsupportedTokenizerException("model " + type);
        }
        for (String field : List.of("dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix")) {
            JsonNode value = model.path(field);
            boolean unset = value.isMissingNode()
                    || value.isNull()
                    || (value.isString() && value.asString().isEmpty());
            if (!unset) {
                throw new UnsupportedTokenizerException("model." + field + " is " + value);
            }
        }
        if (model.path("byte_fallback").asBoolean(false)) {
            throw new UnsupportedTokenizerException("byte_fallback");
        }
    }

    private static List<Normalizer.Form> normalizers(@Nullable JsonNode json) {
        if (json == null || json.isNull()) {
            return List.of();
        }
        String type = json.path("type").asString("");
        return switch (type) {
            case "Sequence" -> {
                List<Normalizer.Form> forms = new ArrayList<>();
                json.path("normalizers").forEach(part -> forms.addAll(normalizers(part)));
                yield forms;
            }
            case "NFC" -> List.of(Normalizer.Form.NFC);
            case "NFD" -> List.of(Normalizer.Form.NFD);
            case "NFKC" -> List.of(Normalizer.Form.NFKC);
            case "NFKD" -> List.of(Normalizer.Form.NFKD);
            default -> throw new UnsupportedTokenizerException("normalizer " + type);
        };
    }

    @Override
    public int[] encode(String text, boolean addSpecialTokens) {
        IntBuffer out = new IntBuffer(text.length() / 3 + 16);
        if (addSpecialTokens) {
            out.addAll(template.before());
        }
        String wellFormed = wellFormed(text);
        Scratch scratch = new Scratch(out);
        rawTokens.split(wellFormed, 0, wellFormed.length(), new AddedTokens.Parts() {
            @Override
            public void token(int id) {
                out.add(id);
            }

            @Override
            public void text(String part, int from, int to) {
                encodeNormalized(part, from, to, scratch);
            }
        });
        if (addSpecialTokens) {
            out.addAll(template.after());
        }
        return out.toArray();
    }

    private void encodeNormalized(String text, int from, int to, Scratch scratch) {
        if (normalizers.isEmpty() && normalizedTokens.isEmpty()) {
            preTokenizer.split(text, from, to, scratch);
            return;
        }
        String part = normalizers.isEmpty() ? text : normalize(text.substring(from, to));
        int start = normalizers.isEmpty() ? from : 0;
        int end = normalizers.isEmpty() ? to : part.length();
        normalizedTokens.split(part, start, end, new AddedTokens.Parts() {
            @Override
            public void token(int id) {
                scratch.out.add(id);
            }

            @Override
            public void text(String words, int begin, int stop) {
                preTokenizer.split(words, begin, stop, scratch);
            }
        });
    }

    private String normalize(String text) {
        String normalized = text;
        for (Normalizer.Form form : normalizers) {
            if (!Normalizer.isNormalized(normalized, form)) {
                normalized = Normalizer.normalize(normalized, form);
            }
        }
        return normalized;
    }

    /** Lone surrogates, which UTF-8 cannot express, become U+FFFD. */
    static String wellFormed(String text) {
        StringBuilder repaired = null;
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (!Character.isSurrogate(c)) {
                continue;
            }
            if (Character.isHighSurrogate(c) && i + 1 < text.length() && Character.isLowSurrogate(text.charAt(i + 1))) {
                i++;
            } else {
                if (repaired == null) {
                    repaired = new StringBuilder(text);
                }
                repaired.setCharAt(i, '\uFFFD');
            }
        }
        return repaired == null ? text : repaired.toString();
    }

    /** What one call of encode needs. */
    private final class Scratch implements PreTokenizer.Words {
        private final IntBuffer out;

        private Scratch(IntBuffer out) {
            this.out = out;
        }

        @Override
        public void word(String text, int from, int to) {
            int hash = WordCache.hash(text, from, to);
            int[] ids = cache.find(text, from, to, hash);
            if (ids == null) {
                ids = encodeWord(text, from, to);
                cache.put(text, from, to, hash, ids);
            }
            out.addAll(ids);
        }
    }

    private int[] encodeWord(String text, int from, int to) {
        byte[] bytes = text.substring(from, to).getBytes(StandardCharsets.UTF_8);
        if (ignoreMerges) {
            int whole = table.idOf(ByteAlphabet.encode(bytes, bytes.length));
            if (whole >= 0) {
                return new int[] {whole};
            }
        }
        int[] ids = new int[bytes.length];
        for (int i = 0; i < bytes.length; i++) {
            ids[i] = byteIds[bytes[i] & 0xFF];
        }
        return Arrays.copyOf(ids, merger.merge(ids, ids.length));
    }

    @Override
    public IncrementalDecoder incrementalDecoder(boolean skipSpecial) {
        return new ByteLevelDecoder(table, skipSpecial);
    }

    @Override
    public String description() {
        return "byte-level BPE";
    }
}
