package dev.baton.engine.forward;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Sums up how far a running model is from a recording. */
public final class GoldenComparison {
    private final Tolerance tolerance;
    private final List<String> faults = new ArrayList<>();
    private double maxAbs;
    private double maxRel;
    private double sum;
    private long values;
    private int rows;
    private int tokens;
    private int excused;

    /**
     * What passes.
     *
     * @param largest difference of one logit; infinite where {@code mean} alone decides
     * @param mean difference over all logits
     * @param lead a continuation may part from the stored one where the stored choice led by less than this
     */
    public record Tolerance(double largest, double mean, double lead) {
        /** The same for every difference and for leads. */
        public static Tolerance of(double value) {
            return new Tolerance(value, value, value);
        }

        @Override
        public String toString() {
            return Double.isInfinite(largest)
                    ? String.format(Locale.ROOT, "mean %.2g, lead %.2g", mean, lead)
                    : String.format(Locale.ROOT, "%.2g", largest);
        }
    }

    /**
     * What a comparison found.
     *
     * @param maxAbsError largest difference of a logit
     * @param maxRelError largest difference divided by the largest stored logit of its row
     * @param meanAbsError over all logits
     * @param logitRows rows compared
     * @param tokens greedy tokens compared: up to the first excused difference of a prompt
     * @param excused prompts whose continuation parts where the stored gap is under the tolerance
     * @param faults one sentence a failure, empty when the model passed
     */
    public record Result(
            double maxAbsError,
            double maxRelError,
            double meanAbsError,
            int logitRows,
            int tokens,
            int excused,
            List<String> faults) {
        public boolean passed() {
            return faults.isEmpty();
        }
    }

    public GoldenComparison(Tolerance tolerance) {
        this.tolerance = tolerance;
    }

    /**
     * Compares one row of a prompt.
     *
     * @param position of the token whose successor the row tells
     * @param mine logits, or log probabilities when {@code stored} are
     */
    public void row(GoldenRecording.Prompt prompt, float[] mine, float[] stored, int position) {
        double worst = 0;
        double largest = 0;
        for (int i = 0; i < stored.length; i++) {
            double difference = Math.abs(mine[i] - stored[i]);
            // NaN compares false with everything: it must count as the worst.
            worst = difference <= worst ? worst : difference;
            largest = Math.max(largest, Math.abs(stored[i]));
            sum += difference;
        }
        rows++;
        values += stored.length;
        maxAbs = worst <= maxAbs ? maxAbs : worst;
        maxRel = worst / largest <= maxRel ? maxRel : worst / largest;
        if (!(worst <= tolerance.largest())) {
            faults.add("values after position " + position + " of the prompt of " + prompt.ids().length
                    + " tokens differ by " + worst + ", tolerance " + tolerance.largest());
        }
    }

    /** Compares a continuation: it may part from the stored one where the stored choice was a near tie. */
    public void tokens(GoldenRecording.Prompt prompt, int[] mine) {
        for (int i = 0; i < prompt.greedy().length; i++) {
            if (i >= mine.length) {
                faults.add("the prompt of " + prompt.ids().length + " tokens was continued by " + mine.length + " of "
                        + prompt.greedy().length + " tokens");
                return;
            }
            if (mine[i] == prompt.greedy()[i]) {
                tokens++;
                continue;
            }
            if (prompt.gaps()[i] < tolerance.lead()) {
                excused++;
            } else {
                faults.add("greedy token " + i + " of the prompt of " + prompt.ids().length + " tokens is " + mine[i]
                        + ", stored " + prompt.greedy()[i] + " with a lead of " + prompt.gaps()[i]);
            }
            return;
        }
    }

    public Result result() {
        double mean = values == 0 ? 0 : sum / values;
        List<String> all = new ArrayList<>(faults);
        if (!(mean <= tolerance.mean())) {
            all.add("values differ by " + mean + " on average, tolerance " + tolerance.mean());
        }
        return new Result(maxAbs, maxRel, mean, rows, tokens, excused, List.copyOf(all));
    }
}
