package dev.baton.engine.forward;

import dev.baton.engine.forward.GoldenRecording.Prompt;
import dev.baton.engine.request.EngineRequest;
import dev.baton.engine.schedule.StepPlan;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** Runs a recording's prompts on ranks, without a scheduler, and compares logits and continuations. */
public final class GoldenCheck {
    private GoldenCheck() {}

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
     * @param tolerance what passes
     */
    public static GoldenComparison.Result compare(
            GoldenRecording recording,
            DirectRun run,
            Collector collector,
            DirectRun.Options options,
            boolean together,
            GoldenComparison.Tolerance tolerance) {
        GoldenComparison comparison = new GoldenComparison(tolerance);
        List<Prompt> prompts = recording.prompts();
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
                    b -> new EngineRequest.LogprobSpec(batch.get(b).firstRow(), 0, new int[0]));
            int[][] tokens = run.generate(batch.stream().map(Prompt::ids).toList(), wanted)
                    .tokens();
            for (int b = 0; b < batch.size(); b++) {
                Prompt prompt = batch.get(b);
                int first = prompt.firstRow();
                for (int r = 0; r < prompt.logits().length; r++) {
                    comparison.row(prompt, collector.at(b, first + r), prompt.logits()[r], first + r);
                }
                comparison.tokens(prompt, tokens[b]);
            }
        }
        return comparison.result();
    }
}
