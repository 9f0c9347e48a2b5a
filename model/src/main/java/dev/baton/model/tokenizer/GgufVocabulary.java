package dev.baton.model.tokenizer;

import dev.baton.model.ModelException;
import java.io.BufferedInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.zip.GZIPInputStream;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The vocabulary of a GGUF file (plain or gzipped), written as the tokenizer.json that the model's own repository has:
 * {@code tokenizer.ggml.*} of the file's metadata, with the pre-tokenizer that {@code tokenizer.ggml.pre} names.
 */
public final class GgufVocabulary {
    /** Largest string or list that is read; real vocabularies stay far below. */
    private static final long MAX_LENGTH = 1L << 26;

    private static final int NORMAL = 1;
    private static final int CONTROL = 3;
    private static final int USER_DEFINED = 4;

    private static final Map<String, List<String>> SPLITS = Map.of(
            "llama-bpe",
            List.of(
                    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
                            + "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"),
            "qwen2",
            List.of("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
                    + "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"),
            "deepseek-llm",
            List.of("[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", "[一-龥ࠀ-一가-퟿]+"));

    private final Map<String, Object> metadata;

    private GgufVocabulary(Map<String, Object> metadata) {
        this.metadata = metadata;
    }

    /** Reads the metadata; tensors are not touched. */
    public static GgufVocabulary read(Path file) {
        try (InputStream raw = Files.newInputStream(file);
                InputStream in = new BufferedInputStream(
                        file.toString().endsWith(".gz") ? new GZIPInputStream(raw) : raw, 1 << 16)) {
            return new GgufVocabulary(new Reader(in).metadata());
        } catch (IOException e) {
            throw new ModelException(
                    ModelException.Code.INVALID_TOKENIZER, file + " is not a GGUF file: " + e.getMessage(), e);
        }
    }

    /** The vocabulary as a tokenizer. */
    public Tokenizer tokenizer() {
        return TokenizerLoader.of(tokenizerJson(), null, "GGUF vocabulary");
    }

    /** The bytes of an equivalent tokenizer.json. */
    public byte[] tokenizerJson() {
        JsonMapper json = new JsonMapper();
        List<?> tokens = list("tokenizer.ggml.tokens");
        List<?> types = list("tokenizer.ggml.token_type");
        ObjectNode root = json.createObjectNode();
        root.put("version", "1.0");
        ObjectNode model = json.createObjectNode().put("type", "BPE");
        ObjectNode vocab = model.putObject("vocab");
        ArrayNode added = root.putArray("added_tokens");
        for (int id = 0; id < tokens.size(); id++) {
            String token = (String) tokens.get(id);
            int type = types.isEmpty() ? NORMAL : ((Number) types.get(id)).intValue();
            vocab.put(token, id);
            if (type == CONTROL || type == USER_DEFINED) {
                added.addObject()
                        .put("id", id)
                        .put("content", token)
                        .put("single_word", false)
                        .put("lstrip", false)
                        .put("rstrip", false)
                        .put("normalized", false)
                        .put("special", type == CONTROL);
            }
        }
        String kind = String.valueOf(metadata.get("tokenizer.ggml.model"));
        switch (kind) {
            case "gpt2" -> byteLevel(root, model);
            case "llama" -> sentencePiece(root, model, tokens, list("tokenizer.ggml.scores"));
            default ->
                throw new ModelException(
                        ModelException.Code.UNSUPPORTED, "GGUF tokenizer model " + kind + "; supported: gpt2, llama");
        }
        root.putNull("post_processor");
        root.set("model", model);
        return json.writeValueAsBytes(root);
    }

    private void byteLevel(ObjectNode root, ObjectNode model) {
        String pre = String.valueOf(metadata.get("tokenizer.ggml.pre"));
        List<String> splits = SPLITS.get(pre);
        if (splits == null) {
            throw new ModelException(
                    ModelException.Code.UNSUPPORTED,
                    "GGUF pre-tokenizer " + pre + "; supported: "
                            + SPLITS.keySet().stream().sorted().toList());
        }
        model.put("ignore_merges", pre.equals("llama-bpe"));
        ArrayNode merges = model.putArray("merges");
        list("tokenizer.ggml.merges").forEach(merge -> merges.add((String) merge));
        if (pre.equals("qwen2")) {
            root.putObject("normalizer").put("type", "NFC");
        } else {
            root.putNull("normalizer");
        }
        ArrayNode stages =
                root.putObject("pre_tokenizer").put("type", "Sequence").putArray("pretokenizers");
        for (String split : splits) {
            ObjectNode stage = stages.addObject().put("type", "Split");
            stage.putObject("pattern").put("Regex", split);
            stage.put("behavior", "Isolated").put("invert", false);
        }
        if (pre.equals("deepseek-llm")) {
            stages.addObject().put("type", "Digits").put("individual_digits", true);
        }
        byteLevelStage(stages.addObject()).put("use_regex", false);
        byteLevelStage(root.putObject("decoder")).put("use_regex", true);
    }

    private static ObjectNode byteLevelStage(ObjectNode node) {
        return node.put("type", "ByteLevel").put("add_prefix_space", false).put("trim_offsets", true);
    }

    /** The merges of a SentencePiece BPE: every cut of a token into two tokens, best score first. */
    private static void sentencePiece(ObjectNode root, ObjectNode model, List<?> tokens, List<?> scores) {
        model.put("unk_token", "<unk>").put("fuse_unk", true).put("byte_fallback", true);
        ArrayNode merges = model.putArray("merges");
        record Merge(String left, String right, int leftId, int rightId, float score) {}
        Map<String, Integer> ids = new HashMap<>();
        for (int id = 0; id < tokens.size(); id++) {
            ids.put((String) tokens.get(id), id);
        }
        List<Merge> found = new ArrayList<>();
        for (int id = 0; id < tokens.size(); id++) {
            String token = (String) tokens.get(id);
            for (int cut = token.offsetByCodePoints(0, 1); cut < token.length(); ) {
                Integer left = ids.get(token.substring(0, cut));
                Integer right = ids.get(token.substring(cut));
                if (left != null && right != null) {
                    found.add(new Merge(
                            token.substring(0, cut),
                            token.substring(cut),
                            left,
                            right,
                            ((Number) scores.get(id)).floatValue()));
                }
                cut = token.offsetByCodePoints(cut, 1);
            }
        }
        found.sort(Comparator.comparingDouble((Merge merge) -> -merge.score)
                .thenComparingInt(Merge::leftId)
                .thenComparingInt(Merge::rightId));
        found.forEach(merge -> merges.addArray().add(merge.left).add(merge.right));
        ArrayNode normalizers =
                root.putObject("normalizer").put("type", "Sequence").putArray("normalizers");
        normalizers.addObject().put("type", "Prepend").put("prepend", "\u2581");
        ObjectNode replace = normalizers.addObject().put("type", "Replace");
        replace.putObject("pattern").put("String", " ");
        replace.put("content", "\u2581");
        root.putNull("pre_tokenizer");
        ArrayNode decoders = root.putObject("decoder").put("type", "Sequence").putArray("decoders");
        ObjectNode back = decoders.addObject().put("type", "Replace");
        back.putObject("pattern").put("String", "\u2581");
        back.put("content", " ");
        decoders.addObject().put("type", "ByteFallback");
        decoders.addObject().put("type", "Fuse");
        decoders.addObject()
                .put("type", "Strip")
                .put("content", " ")
                .put("start", 1)
                .put("stop", 0);
    }

    private List<?> list(String key) {
        return metadata.get(key) instanceof List<?> list ? list : List.of();
    }

    /** Little-endian reads of the key-value part. */
    private record Reader(InputStream in) {
        private static final Set<Integer> VERSIONS = Set.of(2, 3);

        Map<String, Object> metadata() throws IOException {
            if (number(4) != 0x46554747L) {
                throw new IOException("it does not begin with GGUF");
            }
            int version = (int) number(4);
            if (!VERSIONS.contains(version)) {
                throw new IOException("version " + version + "; supported: 2, 3");
            }
            number(8);
            long entries = number(8);
            Map<String, Object> metadata = new LinkedHashMap<>();
            for (long i = 0; i < entries; i++) {
                String key = string();
                metadata.put(key, value((int) number(4)));
            }
            return metadata;
        }

        private Object value(int type) throws IOException {
            return switch (type) {
                case 0 -> number(1);
                case 1 -> (long) (byte) number(1);
                case 2 -> number(2);
                case 3 -> (long) (short) number(2);
                case 4 -> number(4);
                case 5 -> (long) (int) number(4);
                case 6 -> Float.intBitsToFloat((int) number(4));
                case 7 -> number(1) != 0;
                case 8 -> string();
                case 9 -> array();
                case 10, 11 -> number(8);
                case 12 -> Double.longBitsToDouble(number(8));
                default -> throw new IOException("unknown value type " + type);
            };
        }

        private List<Object> array() throws IOException {
            int type = (int) number(4);
            long length = number(8);
            checkLength(length);
            List<Object> values = new ArrayList<>();
            for (long i = 0; i < length; i++) {
                values.add(value(type));
            }
            return values;
        }

        private String string() throws IOException {
            long length = number(8);
            checkLength(length);
            return new String(bytes((int) length), StandardCharsets.UTF_8);
        }

        private static void checkLength(long length) throws IOException {
            if (length < 0 || length > MAX_LENGTH) {
                throw new IOException("a length of " + Long.toUnsignedString(length));
            }
        }

        private byte[] bytes(int count) throws IOException {
            byte[] bytes = in.readNBytes(count);
            if (bytes.length < count) {
                throw new EOFException("truncated");
            }
            return bytes;
        }

        private long number(int count) throws IOException {
            byte[] bytes = bytes(count);
            long value = 0;
            for (int i = count - 1; i >= 0; i--) {
                value = value << 8 | bytes[i] & 0xFF;
            }
            return value;
        }
    }
}
