package dev.baton.lab.evaluate;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import java.util.function.Consumer;

/** Asks every prompt and counts exact matches a domain. */
public final class Evaluation {
    private Evaluation() {}

    /** Where answers come from; called from many threads. */
    @FunctionalInterface
    public interface Answerer {
        /** The greedy continuation of the prompt. */
        String answer(EvalPrompt prompt) throws Exception;
    }

    /**
     * One question's outcome.
     *
     * @param prompt the question
     * @param text what was answered; the fault's text when there was none
     * @param answered false when the request failed
     */
    public record Outcome(EvalPrompt prompt, String text, boolean answered) {
        public boolean isRight() {
            return answered && prompt.isRight(text);
        }
    }

    /**
     * Right answers of one domain.
     *
     * @param right exact matches
     * @param failed requests without an answer
     * @param asked questions
     */
    public record Score(int right, int failed, int asked) {
        public double accuracy() {
            return asked == 0 ? 0 : (double) right / asked;
        }

        Score plus(Outcome outcome) {
            return new Score(right + (outcome.isRight() ? 1 : 0), failed + (outcome.answered() ? 0 : 1), asked + 1);
        }
    }

    /** Every outcome, in prompt order. */
    public record Report(List<Outcome> outcomes) {
        /** Score of each domain, by name. */
        public Map<String, Score> byDomain() {
            Map<String, Score> scores = new TreeMap<>();
            outcomes.forEach(
                    o -> scores.merge(o.prompt().domain(), new Score(0, 0, 0).plus(o), (sum, one) -> sum.plus(o)));
            return scores;
        }

        /** Score of all domains together. */
        public Score total() {
            Score total = new Score(0, 0, 0);
            for (Outcome outcome : outcomes) {
                total = total.plus(outcome);
            }
            return total;
        }

        /** A table for the terminal. */
        public String table() {
            StringBuilder table = new StringBuilder(
                    String.format("%-24s %8s %8s %8s %9s%n", "domain", "asked", "right", "failed", "accuracy"));
            byDomain().forEach((domain, s) -> table.append(row(domain, s)));
            return table.append(row("all", total())).toString();
        }

        private static String row(String name, Score s) {
            return String.format(
                    "%-24s %8d %8d %8d %8.1f%%%n", name, s.asked(), s.right(), s.failed(), 100 * s.accuracy());
        }
    }

    /**
     * @param concurrency prompts asked at once
     * @param progress told after each answer
     */
    public static Report run(List<EvalPrompt> prompts, Answerer answerer, int concurrency, Consumer<Integer> progress)
            throws InterruptedException {
        Semaphore permits = new Semaphore(concurrency);
        List<Future<Outcome>> futures = new ArrayList<>();
        try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            for (EvalPrompt prompt : prompts) {
                futures.add(threads.submit(() -> {
                    permits.acquire();
                    try {
                        return new Outcome(prompt, answerer.answer(prompt), true);
                    } catch (Exception e) {
                        return new Outcome(prompt, e.toString(), false);
                    } finally {
                        permits.release();
                    }
                }));
            }
            List<Outcome> outcomes = new ArrayList<>();
            for (Future<Outcome> future : futures) {
                outcomes.add(future.get());
                progress.accept(outcomes.size());
            }
            return new Report(List.copyOf(outcomes));
        } catch (ExecutionException e) {
            throw new IllegalStateException(e.getCause());
        }
    }
}
