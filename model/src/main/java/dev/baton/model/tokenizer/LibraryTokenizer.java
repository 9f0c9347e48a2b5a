package dev.baton.model.tokenizer;

import ai.djl.huggingface.tokenizers.Encoding;
import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import dev.baton.model.ModelException;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/**
 * The Hugging Face library through DJL: for tokenizers that the own encoder does not know, and the oracle in tests. The
 * native library is unpacked from the jar and loaded when the first instance is made; no network is used.
 */
final class LibraryTokenizer extends TableTokenizer {
    private final HuggingFaceTokenizer library;
    private final DecoderKind decoderKind;
    private final SpecialTokenTemplate override;
    private final boolean overridden;
    private final String reason;

    /** How a tokenizer.json decodes. */
    enum DecoderKind {
        BYTE_LEVEL,
        SENTENCE_PIECE,
        SENTENCE_PIECE_STRIP,
        UNKNOWN
    }

    private LibraryTokenizer(
            HuggingFaceTokenizer library,
            TokenTable table,
            DecoderKind decoderKind,
            SpecialTokenTemplate override,
            boolean overridden,
            String reason) {
        super(table);
        this.library = library;
        this.decoderKind = decoderKind;
        this.override = override;
        this.overridden = overridden;
        this.reason = reason;
    }

    /**
     * @param json the bytes of tokenizer.json
     * @param root the same, parsed
     * @param override ids around a text instead of the post-processor's; null leaves those
     * @param reason why the library is used
     */
    static LibraryTokenizer of(
            byte[] json, JsonNode root, @Nullable SpecialTokenTemplate override, String reason, String origin) {
        // The library would otherwise probe for CUDA, look for downloads and report its use.
        setIfAbsent("RUST_FLAVOR", "cpu");
        setIfAbsent("ai.djl.offline", "true");
        setIfAbsent("OPT_OUT_TRACKING", "true");
        HuggingFaceTokenizer library;
        try {
            library = HuggingFaceTokenizer.newInstance(
                    new ByteArrayInputStream(json),
                    Map.of("truncation", "do_not_truncate", "padding", "do_not_pad", "modelMaxLength", "0"));
        } catch (IOException | RuntimeException e) {
            throw new ModelException(
                    ModelException.Code.INVALID_TOKENIZER,
                    origin + ": the Hugging Face library refuses it: " + e.getMessage(),
                    e);
        } catch (LinkageError e) {
            throw new ModelException(
                    ModelException.Code.UNSUPPORTED,
                    origin + " needs the Hugging Face library (" + reason + "), which cannot be loaded here: "
                            + e.getMessage(),
                    e);
        }
        DecoderKind kind = decoderKind(root.path("decoder"));
        TokenTable.Writing writing =
                kind == DecoderKind.BYTE_LEVEL ? TokenTable.Writing.BYTE_LEVEL : TokenTable.Writing.SENTENCE_PIECE;
        return new LibraryTokenizer(
                library,
                new TokenTable(root, writing, origin),
                kind,
                override == null ? SpecialTokenTemplate.NONE : override,
                override != null,
                reason);
    }

    private static void setIfAbsent(String property, String value) {
        if (System.getProperty(property) == null && System.getenv(property) == null) {
            System.setProperty(property, value);
        }
    }

    static DecoderKind decoderKind(JsonNode decoder) {
        if (decoder.path("type").asString("").equals("ByteLevel")) {
            return DecoderKind.BYTE_LEVEL;
        }
        if (!decoder.path("type").asString("").equals("Sequence")) {
            return DecoderKind.UNKNOWN;
        }
        StringBuilder stages = new StringBuilder();
        for (JsonNode stage : decoder.path("decoders")) {
            stages.append(stage.path("type").asString("")).append(' ');
            boolean known = switch (stage.path("type").asString("")) {
                case "Replace" ->
                    stage.path("pattern").path("String").asString("").equals("\u2581")
                            && stage.path("content").asString("").equals(" ");
                case "Strip" ->
                    stage.path("content").asString("").equals(" ")
                            && stage.path("start").asInt(0) == 1
                            && stage.path("stop").asInt(0) == 0;
                default -> true;
            };
            if (!known) {
                return DecoderKind.UNKNOWN;
            }
        }
        return switch (stages.toString()) {
            case "Replace ByteFallback Fuse " -> DecoderKind.SENTENCE_PIECE;
            case "Replace ByteFallback Fuse Strip " -> DecoderKind.SENTENCE_PIECE_STRIP;
            default -> DecoderKind.UNKNOWN;
        };
    }

    @Override
    public int[] encode(String text, boolean addSpecialTokens) {
        Encoding encoding = library.encode(text, addSpecialTokens && !overridden, false);
        long[] ids = encoding.getIds();
        int[] before = addSpecialTokens ? override.before() : SpecialTokenTemplate.NONE.before();
        int[] after = addSpecialTokens ? override.after() : SpecialTokenTemplate.NONE.after();
        int[] result = new int[before.length + ids.length + after.length];
        System.arraycopy(before, 0, result, 0, before.length);
        for (int i = 0; i < ids.length; i++) {
            result[before.length + i] = (int) ids[i];
        }
        System.arraycopy(after, 0, result, before.length + ids.length, after.length);
        return result;
    }

    @Override
    public String decode(int[] ids, boolean skipSpecial) {
        long[] longs = new long[ids.length];
        for (int i = 0; i < ids.length; i++) {
            longs[i] = ids[i];
        }
        return library.decode(longs, skipSpecial);
    }

    @Override
    public IncrementalDecoder incrementalDecoder(boolean skipSpecial) {
        return switch (decoderKind) {
            case BYTE_LEVEL -> new ByteLevelDecoder(table, skipSpecial);
            case SENTENCE_PIECE -> new SentencePieceDecoder(table, skipSpecial, false);
            case SENTENCE_PIECE_STRIP -> new SentencePieceDecoder(table, skipSpecial, true);
            case UNKNOWN -> new WholeDecoder(this, skipSpecial);
        };
    }

    @Override
    public String description() {
        return "Hugging Face tokenizers library (" + reason + ")";
    }

    @Override
    public void close() {
        library.close();
    }
}
