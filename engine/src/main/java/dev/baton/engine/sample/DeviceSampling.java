package dev.baton.engine.sample;

import dev.baton.protocol.SamplingParams;
import dev.baton.tensor.SampledRows;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** What a device can choose by itself, and how it is told: {@link SampledRows}. */
public final class DeviceSampling {
    private DeviceSampling() {}

    /**
     * Whether the device can choose: all but {@code logit_bias} and end tokens that are held back. (Grammars and log
     * probabilities need the host, too, but are not of these parameters.)
     */
    public static boolean serves(SamplingParams params, int generated) {
        return params.logitBias().isEmpty() && generated >= params.minNewTokens();
    }

    /**
     * Writes a row of parameters.
     *
     * @param at where the row begins, in ints
     * @param length tokens so far, of which {@code prompt} are the prompt; also what the random number hangs on
     * @param tableRow row of the token table
     */
    public static void write(
            MemorySegment target, long at, SamplingParams params, long seed, int tableRow, int prompt, int length) {
        boolean greedy = params.isGreedy();
        long uniform = greedy ? 0 : CounterRandom.bits(seed, length);
        put(target, at, SampledRows.FACTOR, greedy ? 0f : 1 / params.temperature());
        put(target, at, SampledRows.TOP_K, Math.max(0, params.topK()));
        put(target, at, SampledRows.TOP_P, params.topP());
        put(target, at, SampledRows.MIN_P, params.minP());
        put(target, at, SampledRows.REPETITION_PENALTY, params.repetitionPenalty());
        put(target, at, SampledRows.FREQUENCY_PENALTY, params.frequencyPenalty());
        put(target, at, SampledRows.PRESENCE_PENALTY, params.presencePenalty());
        put(target, at, SampledRows.UNIFORM_LOW, (int) uniform);
        put(target, at, SampledRows.UNIFORM_HIGH, (int) (uniform >>> 32));
        put(target, at, SampledRows.ROW, tableRow);
        put(target, at, SampledRows.PROMPT, prompt);
        put(target, at, SampledRows.LENGTH, length);
    }

    private static void put(MemorySegment target, long at, int column, int value) {
        target.setAtIndex(ValueLayout.JAVA_INT, at + column, value);
    }

    private static void put(MemorySegment target, long at, int column, float value) {
        put(target, at, column, Float.floatToRawIntBits(value));
    }
}
