package dev.baton.engine.forward;

import dev.baton.engine.schedule.StepExecutor;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Random;

/**
 * Runs a model's steps on made-up prompts until they stop getting faster, before the first request: the JVM compiles its
 * kernels while they run, and a vector kernel that is still interpreted takes a hundred times as long. A decode server
 * that has only seen small batches would otherwise pay for it in its first full one. Leaves nothing behind but what
 * every later step overwrites.
 */
public final class KernelWarmup {
    /** Below this many rows products take another path than above, so both are run. */
    private static final int BATCH = 16;

    private static final int PROMPT_TOKENS = 24;
    private static final int NEW_TOKENS = 6;

    /** A round this much faster than the best before it says that the compiler is still at work. */
    private static final double STILL_GAINING = 0.8;

    private static final int STEADY_ROUNDS = 2;

    private KernelWarmup() {}

    /**
     * What a warm-up did.
     *
     * @param rounds prompts prefilled and decoded so often, all sizes together
     * @param firstMillis the decode step of the first round, largest size
     * @param lastMillis the same in the last round
     */
    public record Outcome(int rounds, double firstMillis, double lastMillis, double seconds) {
        @Override
        public String toString() {
            return String.format(
                    Locale.ROOT,
                    "Kernel warm-up: %d rounds in %.1f s, decode step %.1f -> %.1f ms",
                    rounds,
                    seconds,
                    firstMillis,
                    lastMillis);
        }
    }

    /**
     * Warms a group of ranks up; sizes are cut to what it can hold.
     *
     * @param maxStepTokens most tokens of a step
     * @param vocabularySize ids are drawn from it
     * @param limit after this time each size runs once more at most
     */
    public static Outcome run(StepExecutor executor, int maxStepTokens, int vocabularySize, Duration limit) {
        long start = System.nanoTime();
        int perSequence = Math.min(PROMPT_TOKENS + NEW_TOKENS, executor.contextTokens());
        int fitting = Math.min(executor.maxRows(), executor.capacityTokens() / perSequence);
        int newTokens = Math.min(NEW_TOKENS, perSequence - 1);
        if (fitting < 1 || newTokens < 2) {
            return new Outcome(0, Double.NaN, Double.NaN, 0);
        }
        DirectRun steps = new DirectRun(executor, maxStepTokens);
        int rounds = 0;
        double first = Double.NaN;
        double last = Double.NaN;
        for (int batch : fitting > 1 ? new int[] {1, Math.min(BATCH, fitting)} : new int[] {1}) {
            List<int[]> prompts = prompts(batch, perSequence - newTokens, vocabularySize);
            double best = Double.POSITIVE_INFINITY;
            first = Double.NaN;
            int steady = 0;
            do {
                DirectRun.Outcome round = steps.generate(prompts, DirectRun.Options.greedy(newTokens));
                DirectRun.TimedStep decode = round.steps().getLast();
                last = (decode.result().endNanos() - decode.result().startNanos()) / 1e6;
                first = Double.isNaN(first) ? last : first;
                double millis = round.steps().stream()
                                .mapToLong(
                                        s -> s.result().endNanos() - s.result().startNanos())
                                .sum()
                        / 1e6;
                steady = millis < STILL_GAINING * best ? 0 : steady + 1;
                best = Math.min(best, millis);
                rounds++;
            } while (steady < STEADY_ROUNDS && System.nanoTime() - start < limit.toNanos());
        }
        return new Outcome(rounds, first, last, (System.nanoTime() - start) / 1e9);
    }

    private static List<int[]> prompts(int count, int tokens, int vocabularySize) {
        Random random = new Random(count);
        List<int[]> prompts = new ArrayList<>();
        for (int b = 0; b < count; b++) {
            prompts.add(random.ints(tokens, 0, vocabularySize).toArray());
        }
        return prompts;
    }
}
