package dev.baton.engine.forward;

import dev.baton.engine.EngineException;
import dev.baton.engine.request.EngineRequest;
import dev.baton.engine.schedule.ForwardMode;
import dev.baton.engine.schedule.StepExecutor;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.engine.schedule.StepResult;
import dev.baton.protocol.SamplingParams;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Drives ranks without a scheduler: a fixed set of prompts, prefilled in chunks, then decoded together until each has
 * its tokens; nothing ends early and nothing is shared. As a scheduler does, it queues a step while the one before runs,
 * unless somebody wants to look between them. For checks and measurements. One thread; slots and rows begin anew with
 * every call of {@link #generate}.
 */
public final class DirectRun {
    private static final long STEP_LIMIT_SECONDS = 600;

    private final StepExecutor executor;
    private final int maxStepTokens;
    private final @Nullable Runnable afterStep;
    private long step;

    private record Launched(StepPlan plan, Future<StepResult> result) {}

    /**
     * How prompts are run.
     *
     * @param chunkTokens most new tokens of a sequence in one prefill step
     * @param slotSeed order in which cache slots are given out: 0 ascending, otherwise shuffled by this seed
     * @param sampling parameters of every sequence; {@code maxNewTokens} tokens are made
     * @param seed of sequence b is this plus b
     * @param logprobs what sequence b asks for, null for none
     */
    public record Options(
            int chunkTokens,
            long slotSeed,
            SamplingParams sampling,
            long seed,
            IntFunction<EngineRequest.@Nullable LogprobSpec> logprobs) {
        /** Greedy, prompts whole, slots ascending. */
        public static Options greedy(int newTokens) {
            return new Options(Integer.MAX_VALUE, 0, SamplingParams.greedy(newTokens), 0, b -> null);
        }

        public Options withChunkTokens(int tokens) {
            return new Options(tokens, slotSeed, sampling, seed, logprobs);
        }

        public Options withSlotSeed(long value) {
            return new Options(chunkTokens, value, sampling, seed, logprobs);
        }

        public Options withLogprobs(IntFunction<EngineRequest.@Nullable LogprobSpec> specs) {
            return new Options(chunkTokens, slotSeed, sampling, seed, specs);
        }
    }

    /**
     * What a run made.
     *
     * @param tokens [prompts][maxNewTokens]
     * @param steps every step in order
     */
    public record Outcome(int[][] tokens, List<TimedStep> steps) {}

    /** One step. */
    public record TimedStep(StepPlan plan, StepResult result) {
        public ForwardMode mode() {
            return plan.mode();
        }

        public int sequences() {
            return plan.sequences();
        }

        /** T */
        public int tokens() {
            return plan.tokens();
        }
    }

    /** @param maxStepTokens most tokens of a step */
    public DirectRun(StepExecutor executor, int maxStepTokens) {
        this(executor, maxStepTokens, null);
    }

    /**
     * @param maxStepTokens most tokens of a step
     * @param afterStep runs on the calling thread after each step, before the next is queued; null for nothing
     */
    public DirectRun(StepExecutor executor, int maxStepTokens, @Nullable Runnable afterStep) {
        this.executor = executor;
        this.maxStepTokens = maxStepTokens;
        this.afterStep = afterStep;
    }

    /** Runs all prompts in one batch. */
    public Outcome generate(List<int[]> prompts, Options options) {
        int sequences = prompts.size();
        int newTokens = options.sampling().maxNewTokens();
        List<TimedStep> steps = new ArrayList<>();
        int[][] slots = slots(prompts, newTokens, options.slotSeed());
        int[] done = new int[sequences];
        ArrayDeque<Launched> underWay = new ArrayDeque<>();
        for (StepPlan plan = extend(prompts, options, slots, done);
                plan != null;
                plan = extend(prompts, options, slots, done)) {
            for (int b = 0; b < plan.sequences(); b++) {
                done[plan.rows()[b]] += plan.count(b);
            }
            launch(plan, underWay, steps);
        }
        for (int i = 1; i < newTokens; i++) {
            launch(decode(prompts, options, slots, i), underWay, steps);
        }
        while (!underWay.isEmpty()) {
            endOldest(underWay, steps);
        }
        return new Outcome(made(prompts, newTokens, steps), steps);
    }

    private void launch(StepPlan plan, ArrayDeque<Launched> underWay, List<TimedStep> steps) {
        underWay.addLast(new Launched(plan, executor.run(plan)));
        while (underWay.size() > (afterStep == null ? 1 : 0)) {
            endOldest(underWay, steps);
        }
    }

    private void endOldest(ArrayDeque<Launched> underWay, List<TimedStep> steps) {
        Launched oldest = underWay.removeFirst();
        StepPlan plan = oldest.plan();
        steps.add(new TimedStep(plan, resultOf(oldest.result())));
        if (afterStep != null) {
            afterStep.run();
        }
    }

    /** [prompts][newTokens] */
    private static int[][] made(List<int[]> prompts, int newTokens, List<TimedStep> steps) {
        int[][] made = new int[prompts.size()][newTokens];
        for (TimedStep step : steps) {
            StepPlan plan = step.plan();
            for (int b = 0; b < plan.sequences(); b++) {
                int row = plan.rows()[b];
                int at = plan.contextLength(b) - prompts.get(row).length;
                if (plan.samples()[b] && at < newTokens) {
                    made[row][at] = step.result().nextIds()[b];
                }
            }
        }
        return made;
    }

    private static StepResult resultOf(Future<StepResult> future) {
        try {
            return future.get(STEP_LIMIT_SECONDS, TimeUnit.SECONDS);
        } catch (ExecutionException e) {
            if (e.getCause() instanceof RuntimeException known) {
                throw known;
            }
            throw new EngineException(EngineException.Code.INTERNAL, "a step failed: " + e.getCause(), e.getCause());
        } catch (TimeoutException e) {
            throw new EngineException(
                    EngineException.Code.INTERNAL, "a step took more than " + STEP_LIMIT_SECONDS + " s", e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new EngineException(EngineException.Code.INTERNAL, "interrupted while a step ran", e);
        }
    }

    /** The slots of every sequence's positions. */
    private int[][] slots(List<int[]> prompts, int newTokens, long seed) {
        int needed = 0;
        for (int[] prompt : prompts) {
            needed += prompt.length + newTokens;
            if (prompt.length + newTokens > executor.contextTokens()) {
                throw tooLarge(prompt.length + newTokens, executor.contextTokens(), "positions of a row");
            }
        }
        if (prompts.size() > executor.maxRows()) {
            throw tooLarge(prompts.size(), executor.maxRows(), "rows");
        }
        if (needed > executor.capacityTokens()) {
            throw tooLarge(needed, executor.capacityTokens(), "cache slots");
        }
        List<Integer> order = new ArrayList<>(IntStream.rangeClosed(1, seed == 0 ? needed : executor.capacityTokens())
                .boxed()
                .toList());
        if (seed != 0) {
            Collections.shuffle(order, new Random(seed));
        }
        int[][] slots = new int[prompts.size()][];
        int next = 0;
        for (int b = 0; b < slots.length; b++) {
            slots[b] = new int[prompts.get(b).length + newTokens];
            for (int i = 0; i < slots[b].length; i++) {
                slots[b][i] = order.get(next++);
            }
        }
        return slots;
    }

    private static EngineException tooLarge(int needed, int available, String what) {
        return new EngineException(
                EngineException.Code.INVALID_REQUEST,
                "the prompts and their answers need " + needed + " " + what + ", there are " + available);
    }

    /** The next prefill step: a chunk of as many sequences as fit, or null when all prompts are done. */
    private @Nullable StepPlan extend(List<int[]> prompts, Options options, int[][] slots, int[] done) {
        List<Integer> rows = new ArrayList<>();
        List<Integer> counts = new ArrayList<>();
        int room = maxStepTokens;
        for (int b = 0; b < done.length && room > 0; b++) {
            int count = Math.min(Math.min(prompts.get(b).length - done[b], options.chunkTokens()), room);
            if (count > 0) {
                rows.add(b);
                counts.add(count);
                room -= count;
            }
        }
        if (rows.isEmpty()) {
            return null;
        }
        Builder builder = new Builder(rows.size(), maxStepTokens - room);
        for (int i = 0; i < rows.size(); i++) {
            int b = rows.get(i);
            int[] prompt = prompts.get(b);
            if (done[b] == 0) {
                builder.prefixes.add(new StepPlan.Prefix(b, new int[0], new int[0]));
            }
            builder.add(
                    b,
                    done[b],
                    Arrays.copyOfRange(prompt, done[b], done[b] + counts.get(i)),
                    slots[b],
                    prompt.length,
                    options.sampling().maxNewTokens() > 0 && done[b] + counts.get(i) == prompt.length,
                    options);
        }
        return builder.plan(++step, ForwardMode.EXTEND);
    }

    private StepPlan decode(List<int[]> prompts, Options options, int[][] slots, int made) {
        Builder builder = new Builder(prompts.size(), prompts.size());
        for (int b = 0; b < prompts.size(); b++) {
            int length = prompts.get(b).length;
            builder.add(b, length + made - 1, new int[] {-1}, slots[b], length, true, options);
        }
        return builder.plan(++step, ForwardMode.DECODE);
    }

    /** Fills a plan's arrays sequence by sequence. */
    private static final class Builder {
        private final List<StepPlan.Prefix> prefixes = new ArrayList<>();
        private final int[] rows;
        private final int[] tokenStart;
        private final int[] starts;
        private final int[] slots;
        private final int[] ids;
        private final boolean[] samples;
        private final SamplingParams[] sampling;
        private final long[] seeds;
        private final EngineRequest.@Nullable LogprobSpec[] logprobs;
        private final int[] promptTokens;
        private int sequences;
        private int tokens;

        Builder(int sequences, int tokens) {
            rows = new int[sequences];
            tokenStart = new int[sequences + 1];
            starts = new int[sequences];
            slots = new int[tokens];
            ids = new int[tokens];
            samples = new boolean[sequences];
            sampling = new SamplingParams[sequences];
            seeds = new long[sequences];
            logprobs = new EngineRequest.LogprobSpec[sequences];
            promptTokens = new int[sequences];
        }

        void add(int row, int start, int[] newIds, int[] rowSlots, int promptLength, boolean sampled, Options options) {
            int b = sequences++;
            rows[b] = row;
            starts[b] = start;
            System.arraycopy(newIds, 0, ids, tokens, newIds.length);
            System.arraycopy(rowSlots, start, slots, tokens, newIds.length);
            tokens += newIds.length;
            tokenStart[b + 1] = tokens;
            samples[b] = sampled;
            sampling[b] = options.sampling();
            seeds[b] = options.seed() + row;
            logprobs[b] = options.logprobs().apply(row);
            promptTokens[b] = promptLength;
        }

        StepPlan plan(long step, ForwardMode mode) {
            return new StepPlan(
                    step,
                    mode,
                    rows,
                    tokenStart,
                    starts,
                    slots,
                    ids,
                    List.copyOf(prefixes),
                    samples,
                    sampling,
                    seeds,
                    logprobs,
                    promptTokens);
        }
    }
}
