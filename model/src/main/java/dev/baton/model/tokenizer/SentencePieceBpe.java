package dev.baton.model.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/**
 * SentencePiece BPE with byte fallback as Llama 2 and Mixtral use it, identical to the Hugging Face library for every
 * tokenizer.json that {@link #of} accepts.
 *
 * <p>There the whole text is one word. Here it is cut before each run of U+2581 (a space) when no merge makes a token in which
 * one follows another character: such merges never cross a cut, so that words can be encoded apart and remembered.
 */
final class SentencePieceBpe extends TableTokenizer {
    private static final char SPACE = '\u2581';

    /** Whether U+2581 is put before a part of the text (a part ends where an added token begins). */
    private enum Prepend {
        ALWAYS,
        /** Unless the part begins with one. */
        UNLESS_THERE,
        /** So, before the text's first part alone. */
        FIRST_UNLESS_THERE,
        NEVER
    }

    private final AddedTokens addedTokens;
    private final BpeMerger merger;
    private final SpecialTokenTemplate template;
    private final Prepend prepend;
    private final boolean cuts;
    private final boolean stripsSpace;
    private final int[] byteIds = new int[256];
    private final WordCache cache = new WordCache();

    private SentencePieceBpe(JsonNode root, @Nullable SpecialTokenTemplate override, String origin) {
        JsonNode model = root.path("model");
        checkModel(model);
        prepend = prepend(root);
        template = override != null ? override : SpecialTokenTemplate.of(root.get("post_processor"));
        stripsSpace = switch (LibraryTokenizer.decoderKind(root.path("decoder"))) {
            case SENTENCE_PIECE -> false;
            case SENTENCE_PIECE_STRIP -> true;
            case BYTE_LEVEL, UNKNOWN -> throw new UnsupportedTokenizerException("decoder is not SentencePiece's");
        };
        super(new TokenTable(root, TokenTable.Writing.SENTENCE_PIECE, origin));
        for (AddedTokens.AddedToken token : table.addedTokens()) {
            if (token.normalized()) {
                throw new UnsupportedTokenizerException("the normalised added token " + token.content());
            }
        }
        addedTokens = new AddedTokens(table.addedTokens());
        JsonNode merges = model.path("merges");
        merger = new BpeMerger(MergeTable.of(merges, table, origin));
        cuts = noneFollowsAnother(merges);
        for (int b = 0; b < 256; b++) {
            byteIds[b] = table.idOf(String.format("<0x%02X>", b));
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
    static SentencePieceBpe of(JsonNode root, @Nullable SpecialTokenTemplate override, String origin) {
        return new SentencePieceBpe(root, override, origin);
    }

    /** Whether the model is of this family, so that what this class refuses says more than what another does. */
    static boolean isFamily(JsonNode root) {
        return root.path("model").path("byte_fallback").asBoolean(false)
                && root.path("model").path("type").asString("BPE").equals("BPE");
    }

    private static void checkModel(JsonNode model) {
        for (String field : List.of("dropout", "continuing_subword_prefix", "end_of_word_suffix")) {
            JsonNode value = model.path(field);
            if (!value.isMissingNode()
                    && !value.isNull()
                    && !(value.isString() && value.asString().isEmpty())) {
                throw new UnsupportedTokenizerException("model." + field + " is " + value);
            }
        }
        if (model.path("ignore_merges").asBoolean(false)) {
            throw new UnsupportedTokenizerException("model.ignore_merges with byte_fallback");
        }
    }

    private static Prepend prepend(JsonNode root) {
        JsonNode splitter = root.path("pre_tokenizer");
        boolean unsplit = splitter.isMissingNode() || splitter.isNull();
        JsonNode normalizer = root.path("normalizer");
        if (normalizer.isMissingNode() || normalizer.isNull()) {
            return metaspace(splitter);
        }
        List<JsonNode> stages = new ArrayList<>();
        if (normalizer.path("type").asString("").equals("Sequence")) {
            normalizer.path("normalizers").forEach(stages::add);
        } else {
            stages.add(normalizer);
        }
        boolean prepends = !stages.isEmpty()
                && stages.getFirst().path("type").asString("").equals("Prepend")
                && stages.getFirst().path("prepend").asString("").equals(String.valueOf(SPACE));
        List<JsonNode> rest = prepends ? stages.subList(1, stages.size()) : stages;
        boolean replaces = rest.size() == 1
                && rest.getFirst().path("type").asString("").equals("Replace")
                && rest.getFirst().path("pattern").path("String").asString("").equals(" ")
                && rest.getFirst().path("content").asString("").equals(String.valueOf(SPACE));
        if (!unsplit || !replaces) {
            throw new UnsupportedTokenizerException("normalizer " + normalizer + " with pre_tokenizer " + splitter);
        }
        return prepends ? Prepend.ALWAYS : Prepend.NEVER;
    }

    private static Prepend metaspace(JsonNode splitter) {
        if (!splitter.path("type").asString("").equals("Metaspace")
                || !splitter.path("replacement").asString("").equals(String.valueOf(SPACE))
                || splitter.path("split").asBoolean(true)) {
            throw new UnsupportedTokenizerException("pre_tokenizer " + splitter + " without normalizer");
        }
        return switch (splitter.path("prepend_scheme").asString("always")) {
            case "always" -> Prepend.UNLESS_THERE;
            case "first" -> Prepend.FIRST_UNLESS_THERE;
            case "never" -> Prepend.NEVER;
            default -> throw new UnsupportedTokenizerException("pre_tokenizer " + splitter);
        };
    }

    private static boolean noneFollowsAnother(JsonNode merges) {
        for (JsonNode merge : merges) {
            String both = merge.isArray()
                    ? merge.get(0).asString() + merge.get(1).asString()
                    : merge.asString("").replaceFirst(" ", "");
            for (int i = 1; i < both.length(); i++) {
                if (isCut(both, i)) {
                    return false;
                }
            }
        }
        return true;
    }

    private static boolean isCut(CharSequence text, int at) {
        return text.charAt(at) == SPACE && text.charAt(at - 1) != SPACE;
    }

    @Override
    public int[] encode(String text, boolean addSpecialTokens) {
        IntBuffer out = new IntBuffer(text.length() / 3 + 16);
        if (addSpecialTokens) {
            out.addAll(template.before());
        }
        String wellFormed = ByteLevelBpe.wellFormed(text);
        addedTokens.split(wellFormed, 0, wellFormed.length(), new AddedTokens.Parts() {
            @Override
            public void token(int id) {
                out.add(id);
            }

            @Override
            public void text(String part, int from, int to) {
                encodePart(part, from, to, out);
            }
        });
        if (addSpecialTokens) {
            out.addAll(template.after());
        }
        return out.toArray();
    }

    private void encodePart(String text, int from, int to, IntBuffer out) {
        String written = text.substring(from, to).replace(' ', SPACE);
        boolean first = switch (prepend) {
            case ALWAYS -> true;
            case UNLESS_THERE -> written.charAt(0) != SPACE;
            case FIRST_UNLESS_THERE -> from == 0 && written.charAt(0) != SPACE;
            case NEVER -> false;
        };
        String part = first ? SPACE + written : written;
        int begin = 0;
        for (int i = 1; i <= part.length(); i++) {
            if (i == part.length() || cuts && isCut(part, i)) {
                word(part, begin, i, out);
                begin = i;
            }
        }
    }

    private void word(String text, int from, int to, IntBuffer out) {
        int hash = WordCache.hash(text, from, to);
        int[] ids = cache.find(text, from, to, hash);
        if (ids == null) {
            ids = merged(text.substring(from, to));
            cache.put(text, from, to, hash, ids);
        }
        out.addAll(ids);
    }

    private int[] merged(String word) {
        IntBuffer symbols = new IntBuffer(word.length() + 8);
        for (int i = 0; i < word.length(); ) {
            int next = word.offsetByCodePoints(i, 1);
            String character = word.substring(i, next);
            int id = table.idOf(character);
            if (id >= 0) {
                symbols.add(id);
            } else {
                for (byte b : character.getBytes(StandardCharsets.UTF_8)) {
                    symbols.add(byteIds[b & 0xFF]);
                }
            }
            i = next;
        }
        int[] ids = symbols.toArray();
        return Arrays.copyOf(ids, merger.merge(ids, ids.length));
    }

    @Override
    public IncrementalDecoder incrementalDecoder(boolean skipSpecial) {
        return new SentencePieceDecoder(table, skipSpecial, stripsSpace);
    }

    @Override
    public String description() {
        return "SentencePiece BPE";
    }
}
