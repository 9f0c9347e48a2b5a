package dev.baton.engine.check;

import dev.baton.engine.forward.GoldenComparison;
import dev.baton.engine.forward.GoldenRecording;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * Compares whatever answers requests with a recording: an engine, a server, a prefill and decode pair. What they tell of
 * their logits is log probabilities; the stored logits are turned into the same.
 */
public final class GoldenAnswers {
    private static final long DEADLINE_SECONDS = 600;

    private GoldenAnswers() {}

    /** Who is asked. */
    @FunctionalInterface
    public interface Answerer {
        /**
         * Continues a prompt greedily; an end token does not end the answer.
         *
         * @param prompt ids
         * @param firstRow position from which log probabilities are wanted
         * @param newTokens length of the answer
         * @param vocabulary every id's log probability is wanted
         */
        CompletableFuture<Answer> ask(int[] prompt, int firstRow, int newTokens, int vocabulary);
    }

    /**
     * An answer.
     *
     * @param rows [prompt tokens - firstRow][vocabulary] log probabilities of what follows each token
     */
    public record Answer(float[][] rows, int[] tokens) {}

    /**
     * Asks for all prompts at once and compares.
     *
     * @param tolerance what passes, of log probabilities
     */
    public static GoldenComparison.Result compare(
            GoldenRecording recording, Answerer answerer, GoldenComparison.Tolerance tolerance) {
        GoldenComparison comparison = new GoldenComparison(tolerance);
        List<CompletableFuture<Answer>> answers = new ArrayList<>();
        for (GoldenRecording.Prompt prompt : recording.prompts()) {
            answers.add(
                    answerer.ask(prompt.ids(), prompt.firstRow(), prompt.greedy().length, prompt.logits()[0].length));
        }
        for (int p = 0; p < answers.size(); p++) {
            GoldenRecording.Prompt prompt = recording.prompts().get(p);
            Answer answer = await(answers.get(p));
            for (int r = 0; r < prompt.logits().length; r++) {
                comparison.row(prompt, answer.rows()[r], logProbabilities(prompt.logits()[r]), prompt.firstRow() + r);
            }
            comparison.tokens(prompt, answer.tokens());
        }
        return comparison.result();
    }

    private static Answer await(CompletableFuture<Answer> answer) {
        try {
            return answer.get(DEADLINE_SECONDS, TimeUnit.SECONDS);
        } catch (ExecutionException e) {
            if (e.getCause() instanceof RuntimeException known) {
                throw known;
            }
            throw new IllegalStateException("a prompt was not answered: " + e.getCause(), e.getCause());
        } catch (TimeoutException e) {
            throw new IllegalStateException("a prompt was not answered in " + DEADLINE_SECONDS + " s", e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while waiting for an answer", e);
        }
    }

    private static float[] logProbabilities(float[] logits) {
        double max = Double.NEGATIVE_INFINITY;
        for (float logit : logits) {
            max = Math.max(max, logit);
        }
        double sum = 0;
        for (float logit : logits) {
            sum += Math.exp(logit - max);
        }
        double normaliser = max + Math.log(sum);
        float[] logs = new float[logits.length];
        for (int i = 0; i < logits.length; i++) {
            logs[i] = (float) (logits[i] - normaliser);
        }
        return logs;
    }
}
