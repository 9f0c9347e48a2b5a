package dev.baton.lab.workload;

import dev.baton.lab.LabException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Data set {@code sharegpt}: a local JSON array of conversations ({@code conversations} or {@code conversation}, each
 * turn with {@code value} or {@code content}). The first turn is the prompt, the second gives the answer's length.
 */
public final class ShareGpt {
    private static final int LEAST_TOKENS = 2;

    private ShareGpt() {}

    /**
     * Reads up to {@code count} prompts in an order that the seed decides.
     *
     * @param outputTokens answer length of every prompt; null takes the reference answer's
     * @param contextTokens drops pairs longer than this together; null keeps all
     * @param codec counts tokens; this data set needs one
     * @param asIds prompts as ids
     * @throws LabException DATASET naming the file and what is wrong with it
     */
    public static List<BenchPrompt> read(
            Path file,
            int count,
            @Nullable Integer outputTokens,
            @Nullable Integer contextTokens,
            @Nullable TextCodec codec,
            boolean asIds,
            long seed) {
        if (codec == null) {
            throw error(
                    "the sharegpt data set counts tokens; give --tokenizer DIR (a model directory on this machine)");
        }
        if (file.toString().isEmpty() || !Files.isRegularFile(file)) {
            throw error(
                    "dataset_path '" + file + "' is not a file; give the ShareGPT JSON file, nothing is downloaded");
        }
        List<String[]> pairs = pairs(file);
        Collections.shuffle(pairs, java.util.Random.from(Arrivals.random(seed, "sharegpt")));
        List<BenchPrompt> prompts = new ArrayList<>();
        for (String[] pair : pairs) {
            if (prompts.size() == count) {
                break;
            }
            int[] ids = codec.encode(pair[0]);
            int output = outputTokens != null ? outputTokens : codec.encode(pair[1]).length;
            if (ids.length < LEAST_TOKENS
                    || output < LEAST_TOKENS
                    || (contextTokens != null && ids.length + output > contextTokens)) {
                continue;
            }
            prompts.add(asIds ? BenchPrompt.ofIds(ids, output) : BenchPrompt.ofText(pair[0], ids.length, output));
        }
        if (prompts.isEmpty()) {
            throw error(file + " holds no conversation of two turns that fits");
        }
        return prompts;
    }

    private static List<String[]> pairs(Path file) {
        JsonNode root;
        try {
            root = JsonMapper.shared().readTree(Files.readAllBytes(file));
        } catch (IOException | JacksonException e) {
            throw new LabException(LabException.Code.DATASET, file + " cannot be read: " + e.getMessage(), e);
        }
        if (!root.isArray()) {
            throw error(file + " is not a JSON array of conversations");
        }
        List<String[]> pairs = new ArrayList<>();
        for (JsonNode entry : root) {
            JsonNode turns = entry.has("conversations") ? entry.path("conversations") : entry.path("conversation");
            if (turns.size() >= 2) {
                pairs.add(new String[] {value(turns.path(0)), value(turns.path(1))});
            }
        }
        return pairs;
    }

    private static String value(JsonNode turn) {
        return turn.has("value")
                ? turn.path("value").asString("")
                : turn.path("content").asString("");
    }

    private static LabException error(String message) {
        return new LabException(LabException.Code.DATASET, message);
    }
}
