package dev.baton.engine.forward;

import dev.baton.engine.EngineException;
import dev.baton.engine.arch.RopePrecision;
import dev.baton.model.config.ModelConfig;
import dev.baton.model.safetensors.SafetensorsFile;
import dev.baton.model.safetensors.StoredTensor;
import dev.baton.model.safetensors.WeightSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * What Hugging Face transformers computed from a model. A recording is a pair of files beside the weights: {@code
 * NAME.json} (prompts, greedy continuations, the distance between the two best logits of each step) and {@code
 * NAME.safetensors} (the logits of each prompt's last positions).
 *
 * @param statedPrecision of the rope frequencies of the model that was recorded; null when the file says nothing, see
 *     {@link #ropePrecision}
 */
public record GoldenRecording(
        List<Prompt> prompts, @Nullable RopePrecision statedPrecision) {
    /** The recording that every golden folder has. */
    public static final String GOLDEN = "golden";

    /** A longer prompt tells rounded frequencies from exact ones better and takes longer to compute. */
    private static final int PROBE_TOKENS = 64;
    /** A model with more elements is never asked. */
    private static final long PROBE_ELEMENTS = 50_000_000;

    public GoldenRecording {
        prompts = List.copyOf(prompts);
    }

    /**
     * One stored prompt.
     *
     * @param greedy what follows it
     * @param gaps of each greedy token: best logit minus the second
     * @param logits [rows][vocabulary] of the prompt's last positions
     */
    public record Prompt(int[] ids, int[] greedy, double[] gaps, float[][] logits) {
        /** Position of the first stored row of logits. */
        public int firstRow() {
            return ids.length - logits.length;
        }
    }

    /**
     * Names of a folder's recordings, {@link #GOLDEN} first; empty when there is none.
     *
     * @throws EngineException CONFIGURATION when the folder cannot be listed
     */
    public static List<String> recordings(Path folder) {
        if (!isRecording(folder, GOLDEN)) {
            return List.of();
        }
        try (Stream<Path> files = Files.list(folder)) {
            Stream<String> others = files.map(file -> file.getFileName().toString())
                    .filter(name -> name.endsWith(".json"))
                    .map(name -> name.substring(0, name.length() - ".json".length()))
                    .filter(name -> !name.equals(GOLDEN) && isRecording(folder, name))
                    .sorted();
            return Stream.concat(Stream.of(GOLDEN), others).toList();
        } catch (IOException e) {
            throw new EngineException(
                    EngineException.Code.CONFIGURATION, "cannot list " + folder + ": " + e.getMessage(), e);
        }
    }

    private static boolean isRecording(Path folder, String name) {
        return Files.exists(folder.resolve(name + ".json")) && Files.exists(folder.resolve(name + ".safetensors"));
    }

    /** As {@link #read(Path, String)} of {@link #GOLDEN}. */
    public static GoldenRecording read(Path folder) {
        return read(folder, GOLDEN);
    }

    /**
     * Reads one of a folder's recordings.
     *
     * @throws EngineException CONFIGURATION when it cannot be read
     */
    public static GoldenRecording read(Path folder, String name) {
        JsonNode root;
        try {
            root = new JsonMapper().readTree(Files.readAllBytes(folder.resolve(name + ".json")));
        } catch (IOException | JacksonException e) {
            throw new EngineException(
                    EngineException.Code.CONFIGURATION,
                    "cannot read " + name + ".json of " + folder + ": " + e.getMessage(),
                    e);
        }
        List<Prompt> prompts = new ArrayList<>();
        try (SafetensorsFile file = SafetensorsFile.open(folder.resolve(name + ".safetensors"))) {
            for (JsonNode node : root.path("prompts")) {
                StoredTensor stored = file.find("logits." + prompts.size());
                if (stored == null) {
                    throw new EngineException(
                            EngineException.Code.CONFIGURATION,
                            name + ".safetensors of " + folder + " has no logits." + prompts.size());
                }
                double[] gaps = node.path("top1_minus_top2")
                        .valueStream()
                        .mapToDouble(JsonNode::doubleValue)
                        .toArray();
                prompts.add(new Prompt(ints(node.path("input_ids")), ints(node.path("greedy")), gaps, rows(stored)));
            }
        }
        String stated = root.path("rope_frequencies").asString("");
        return new GoldenRecording(
                prompts,
                switch (stated) {
                    case "float32" -> RopePrecision.F32;
                    case "bfloat16" -> RopePrecision.BF16;
                    default -> null;
                });
    }

    /**
     * The precision of the rope frequencies of the model that was recorded. A model that is cast to BF16 and back to be
     * measured has its rope buffers rounded, too, and a recording need not say so: then the plain loops compute one
     * prompt with both, and the nearer one it is.
     *
     * @param weights of the recording's folder
     */
    public RopePrecision ropePrecision(ModelConfig config, WeightSource weights) {
        if (statedPrecision != null) {
            return statedPrecision;
        }
        long elements = weights.names().stream()
                .mapToLong(name -> Objects.requireNonNull(weights.find(name)).elements())
                .sum();
        Prompt probe = prompts.stream()
                .filter(prompt -> prompt.ids().length <= PROBE_TOKENS)
                .max(Comparator.comparingInt(prompt -> prompt.ids().length))
                .orElse(null);
        if (probe == null || elements > PROBE_ELEMENTS) {
            return RopePrecision.F32;
        }
        double exact = distance(probe, config, weights, RopePrecision.F32);
        return distance(probe, config, weights, RopePrecision.BF16) < exact ? RopePrecision.BF16 : RopePrecision.F32;
    }

    private static double distance(Prompt prompt, ModelConfig config, WeightSource weights, RopePrecision precision) {
        float[][] logits = new ReferenceForward(config, weights, precision).logits(prompt.ids());
        float[] last = logits[logits.length - 1];
        float[] stored = prompt.logits()[prompt.logits().length - 1];
        double sum = 0;
        for (int i = 0; i < stored.length; i++) {
            sum += Math.abs(last[i] - stored[i]);
        }
        return sum;
    }

    private static int[] ints(JsonNode array) {
        return array.valueStream().mapToInt(JsonNode::intValue).toArray();
    }

    private static float[][] rows(StoredTensor stored) {
        int rows = (int) stored.shape()[0];
        int columns = (int) stored.shape()[1];
        float[] flat = stored.toFloats();
        float[][] logits = new float[rows][columns];
        for (int r = 0; r < rows; r++) {
            System.arraycopy(flat, r * columns, logits[r], 0, columns);
        }
        return logits;
    }
}
