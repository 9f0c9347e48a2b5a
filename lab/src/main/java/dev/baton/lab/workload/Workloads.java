package dev.baton.lab.workload;

import dev.baton.lab.LabException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/** The synthetic data sets. Same seed, same prompts. */
public final class Workloads {
    private static final int FITTING_ROUNDS = 8;

    private Workloads() {}

    /**
     * Data set {@code random-ids}: prompt i holds the ids (offset + i + j) mod vocabulary, the offset random.
     *
     * @param count prompts
     * @param inputTokens longest prompt
     * @param outputTokens longest answer
     * @param ratio lengths are uniform in [max(floor(len*ratio),1), len]
     * @param vocabulary number of ids
     * @param seed same seed, same prompts
     */
    public static List<BenchPrompt> randomIds(
            int count, int inputTokens, int outputTokens, double ratio, int vocabulary, long seed) {
        RandomGenerator random = Arrivals.random(seed, "random");
        int[] inputs = Lengths.uniform(count, inputTokens, ratio, random);
        int[] outputs = Lengths.uniform(count, outputTokens, ratio, random);
        List<BenchPrompt> prompts = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            int offset = random.nextInt(vocabulary);
            int[] ids = new int[inputs[i]];
            for (int j = 0; j < ids.length; j++) {
                ids[j] = (int) (((long) offset + i + j) % vocabulary);
            }
            prompts.add(BenchPrompt.ofIds(ids, outputs[i]));
        }
        return prompts;
    }

    /**
     * Data set {@code random}: ids drawn evenly from the vocabulary. With a codec the prompt is sent as text that the
     * codec encodes to the wanted number of ids, as nearly as text allows; {@code promptTokens} is what it really is.
     */
    public static List<BenchPrompt> random(
            int count,
            int inputTokens,
            int outputTokens,
            double ratio,
            Vocabulary vocabulary,
            boolean asIds,
            long seed) {
        RandomGenerator random = Arrivals.random(seed, "random");
        int[] inputs = Lengths.uniform(count, inputTokens, ratio, random);
        int[] outputs = Lengths.uniform(count, outputTokens, ratio, random);
        TextCodec codec = asIds ? null : vocabulary.codec();
        List<BenchPrompt> prompts = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            int[] ids = random.ints(inputs[i], 0, vocabulary.size()).toArray();
            prompts.add(codec == null ? BenchPrompt.ofIds(ids, outputs[i]) : text(ids, outputs[i], codec, random));
        }
        return prompts;
    }

    /**
     * Data set {@code generated-shared-prefix}: prompts of a group share their system prompt; a blank line, then a
     * question of their own; shuffled. Without a codec both parts are ids and nothing stands between them.
     */
    public static List<BenchPrompt> sharedPrefix(
            int groups,
            int promptsPerGroup,
            int systemTokens,
            int questionTokens,
            int outputTokens,
            double ratio,
            Vocabulary vocabulary,
            boolean asIds,
            long seed) {
        RandomGenerator random = Arrivals.random(seed, "shared-prefix");
        int count = Math.multiplyExact(groups, promptsPerGroup);
        int[] systems = Lengths.uniform(groups, systemTokens, ratio, random);
        int[] questions = Lengths.uniform(count, questionTokens, ratio, random);
        int[] outputs = Lengths.uniform(count, outputTokens, ratio, random);
        TextCodec codec = vocabulary.codec();
        List<BenchPrompt> prompts = new ArrayList<>(count);
        for (int g = 0; g < groups; g++) {
            int[] system = random.ints(systems[g], 0, vocabulary.size()).toArray();
            String systemText = codec == null ? "" : fit(system, codec, random).text();
            for (int p = 0; p < promptsPerGroup; p++) {
                int at = g * promptsPerGroup + p;
                int[] question =
                        random.ints(questions[at], 0, vocabulary.size()).toArray();
                if (codec == null) {
                    int[] ids = java.util.Arrays.copyOf(system, system.length + question.length);
                    System.arraycopy(question, 0, ids, system.length, question.length);
                    prompts.add(BenchPrompt.ofIds(ids, outputs[at]));
                } else {
                    String text =
                            systemText + "\n\n" + fit(question, codec, random).text();
                    int[] ids = codec.encode(text);
                    prompts.add(
                            asIds
                                    ? BenchPrompt.ofIds(ids, outputs[at])
                                    : BenchPrompt.ofText(text, ids.length, outputs[at]));
                }
            }
        }
        Collections.shuffle(prompts, java.util.Random.from(random));
        return prompts;
    }

    /** Size of the vocabulary, or an error that says how to name it. */
    public static int requireSize(@Nullable Vocabulary vocabulary) {
        if (vocabulary == null || vocabulary.size() <= 0) {
            throw new LabException(
                    LabException.Code.INVALID_CONFIG,
                    "the model's vocabulary is not known here; give --tokenizer DIR (a model directory) or --vocab-size N");
        }
        return vocabulary.size();
    }

    /** A text and how many ids it has. */
    private record Fitted(String text, int tokens) {}

    private static BenchPrompt text(int[] ids, int outputTokens, TextCodec codec, RandomGenerator random) {
        Fitted fitted = fit(ids, codec, random);
        return BenchPrompt.ofText(fitted.text(), fitted.tokens(), outputTokens);
    }

    /** Decoding random ids and encoding the text again gives another number of ids; cuts or extends until it fits. */
    private static Fitted fit(int[] wanted, TextCodec codec, RandomGenerator random) {
        int[] ids = wanted;
        String text = codec.decode(ids);
        int[] encoded = codec.encode(text);
        for (int round = 0; round < FITTING_ROUNDS && encoded.length != wanted.length; round++) {
            ids = java.util.Arrays.copyOf(encoded, wanted.length);
            for (int i = encoded.length; i < wanted.length; i++) {
                ids[i] = random.nextInt(codec.vocabularySize());
            }
            text = codec.decode(ids);
            encoded = codec.encode(text);
        }
        return new Fitted(text, encoded.length);
    }
}
