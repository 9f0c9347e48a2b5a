package dev.baton.engine.forward;

import dev.baton.engine.EngineException;
import dev.baton.engine.arch.RopePrecision;
import dev.baton.engine.request.EngineRequest;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.model.safetensors.SafetensorsFile;
import dev.baton.model.safetensors.StoredTensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Compares a running model with what Hugging Face transformers computed. A recording is a pair of files beside the
 * weights: {@code NAME.json} (prompts, greedy continuations, the distance between the two best logits of each step) and
 * {@code NAME.safetensors} (the logits of each prompt's last positions).
 */
public final class GoldenCheck {
    /** The recording that every golden folder has. */
    public static final String GOLDEN = "golden";

    private final List<Prompt> prompts;
    private final RopePrecision ropePrecision;

    /**
     * One stored prompt.
     *
     * @param greedy what follows it
     * @param gaps of each greedy token: best logit minus the second
     * @param logits [rows][vocabulary] of the prompt's last positions
     */
    private record Prompt(int[] ids, int[] greedy, double[] gaps, float[][] logits) {}

    /**
     * What a comparison found.
     *
     * @param maxAbsError largest difference of a logit
     * @param maxRelError largest difference divided by the largest stored logit of its row
     * @param tolerance of maxAbsError
     * @param logitRows rows compared
     * @param tokens greedy tokens compared: up to the first excused difference of a prompt
     * @param excused prompts whose continuation parts where the stored gap is under the tolerance
     * @param faults one sentence a failure, empty when the model passed
     */
    public record Result(
            double maxAbsError,
            double maxRelError,
            double tolerance,
            int logitRows,
            int tokens,
            int excused,
            List<String> faults) {
        public boolean passed() {
            return faults.isEmpty();
        }
    }

    private GoldenCheck(List<Prompt> prompts, RopePrecision ropePrecision) {
        this.prompts = prompts;
        this.ropePrecision = ropePrecision;
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
    public static GoldenCheck read(Path folder) {
        return read(folder, GOLDEN);
    }

    /**
     * Reads one of a folder's recordings.
     *
     * @throws EngineException CONFIGURATION when it cannot be read
     */
    public static GoldenCheck read(Path folder, String name) {
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
        // Recordings that do not say were made by a model cast to BF16 and back, rope buffers with it.
        boolean exact = root.path("rope_frequencies").asString("").equals("float32");
        return new GoldenCheck(prompts, exact ? RopePrecision.F32 : RopePrecision.BF16);
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

    /** The precision of the rope frequencies of the model that was recorded. */
    public RopePrecision ropePrecision() {
        return ropePrecision;
    }

    /** The stored prompts. */
    public List<int[]> prompts() {
        return prompts.stream().map(Prompt::ids).toList();
    }

    /** The stored continuation of a prompt. */
    public int[] greedy(int prompt) {
        return prompts.get(prompt).greedy().clone();
    }

    /** Collects logits by sequence and position. */
    public static final class Collector implements LogitsListener {
        private final Map<Long, float[]> seen = new HashMap<>();

        @Override
        public synchronized void logits(StepPlan plan, int sequence, int position, float[] logits) {
            seen.put(key(plan.rows()[sequence], position), logits.clone());
        }

        private static long key(int row, int position) {
            return (long) row << 32 | position;
        }

        synchronized float[] at(int row, int position) {
            return Objects.requireNonNull(
                    seen.get(key(row, position)), () -> "no logits of row " + row + " at position " + position);
        }
    }

    /**
     * Runs the prompts and compares.
     *
     * @param run over ranks whose logits go to {@code collector}
     * @param together all prompts in one batch; otherwise one after the other
     * @param options greedy; its new tokens and log probabilities are set here
     * @param tolerance largest difference of a logit that passes
     */
    public Result compare(
            DirectRun run, Collector collector, DirectRun.Options options, boolean together, double tolerance) {
        Comparison comparison = new Comparison(tolerance);
        List<List<Prompt>> batches =
                together ? List.of(prompts) : prompts.stream().map(List::of).toList();
        for (List<Prompt> batch : batches) {
            int newTokens =
                    batch.stream().mapToInt(p -> p.greedy().length).max().orElse(0);
            DirectRun.Options wanted = new DirectRun.Options(
                    options.chunkTokens(),
                    options.slotSeed(),
                    options.sampling().withMaxNewTokens(newTokens),
                    options.seed(),
                    b -> new EngineRequest.LogprobSpec(
                            batch.get(b).ids().length - batch.get(b).logits().length, 0, new int[0]));
            int[][] tokens = run.generate(batch.stream().map(Prompt::ids).toList(), wanted)
                    .tokens();
            for (int b = 0; b < batch.size(); b++) {
                Prompt prompt = batch.get(b);
                int first = prompt.ids().length - prompt.logits().length;
                for (int r = 0; r < prompt.logits().length; r++) {
                    comparison.logits(prompt, collector.at(b, first + r), prompt.logits()[r], first + r);
                }
                comparison.tokens(prompt, tokens[b]);
            }
        }
        return comparison.result();
    }

    /** Sums up the differences of one model. */
    private static final class Comparison {
        private final double tolerance;
        private final List<String> faults = new ArrayList<>();
        private double maxAbs;
        private double maxRel;
        private int rows;
        private int tokens;
        private int excused;

        Comparison(double tolerance) {
            this.tolerance = tolerance;
        }

        void logits(Prompt prompt, float[] mine, float[] stored, int position) {
            double worst = 0;
            double largest = 0;
            for (int i = 0; i < stored.length; i++) {
                double difference = Math.abs(mine[i] - stored[i]);
                // NaN compares false with everything: it must count as the worst.
                worst = difference <= worst ? worst : difference;
                largest = Math.max(largest, Math.abs(stored[i]));
            }
            rows++;
            maxAbs = worst <= maxAbs ? maxAbs : worst;
            maxRel = worst / largest <= maxRel ? maxRel : worst / largest;
            if (!(worst <= tolerance)) {
                faults.add("logits after position " + position + " of the prompt of " + prompt.ids().length
                        + " tokens differ by " + worst + ", tolerance " + tolerance);
            }
        }

        void tokens(Prompt prompt, int[] mine) {
            for (int i = 0; i < prompt.greedy().length; i++) {
                if (mine[i] == prompt.greedy()[i]) {
                    tokens++;
                    continue;
                }
                if (prompt.gaps()[i] < tolerance) {
                    excused++;
                } else {
                    faults.add("greedy token " + i + " of the prompt of " + prompt.ids().length + " tokens is "
                            + mine[i] + ", stored " + prompt.greedy()[i] + " with a lead of " + prompt.gaps()[i]);
                }
                return;
            }
        }

        Result result() {
            return new Result(maxAbs, maxRel, tolerance, rows, tokens, excused, List.copyOf(faults));
        }
    }
}
