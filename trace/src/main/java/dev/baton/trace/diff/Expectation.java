package dev.baton.trace.diff;

import dev.baton.trace.TraceException;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What somebody says two traces show, e.g. {@code send_tensor_dict: A/B >= 10} or {@code step: B-A < -5ms}.
 *
 * @param name figure, kernel class, or piece of the name of a kernel or host span
 * @param form what of the two means is compared
 * @param isAtLeast whether the figure must be at least the bound; at most otherwise
 * @param bound ratio, or milliseconds
 * @param text as given
 */
public record Expectation(String name, Form form, boolean isAtLeast, double bound, String text) {
    private static final Pattern TEXT =
            Pattern.compile("\\s*(.+?)\\s*:\\s*(A\\s*/\\s*B|B\\s*/\\s*A|A\\s*-\\s*B|B\\s*-\\s*A|A|B)\\s*(>=|<=|>|<)\\s*"
                    + "(-?[0-9.]+(?:[eE][-+]?\\d+)?)\\s*(us|ms|s|x)?\\s*");

    /** A figure of the two means. */
    public enum Form {
        A_OVER_B,
        B_OVER_A,
        A_MINUS_B,
        B_MINUS_A,
        A,
        B;

        double of(double a, double b) {
            return switch (this) {
                case A_OVER_B -> a / b;
                case B_OVER_A -> b / a;
                case A_MINUS_B -> a - b;
                case B_MINUS_A -> b - a;
                case A -> a;
                case B -> b;
            };
        }
    }

    /** What the samples say of it. */
    public enum Outcome {
        REPRODUCED("reproduced"),
        NOT_REPRODUCED("not reproduced"),
        UNDECIDED("undecided");

        private final String title;

        Outcome(String title) {
            this.title = title;
        }

        public String title() {
            return title;
        }
    }

    /**
     * An expectation held against samples.
     *
     * @param expectation which
     * @param outcome reproduced when the whole 95% interval fulfils it, not reproduced when none of it does
     * @param value of the figure, from the means
     * @param low end of its interval
     * @param high end of its interval
     * @param why in words
     */
    public record Judgement(
            Expectation expectation, Outcome outcome, double value, double low, double high, String why) {}

    /**
     * Reads an expectation.
     *
     * @throws TraceException MALFORMED naming the text and the form it must have
     */
    public static Expectation parse(String text) {
        Matcher m = TEXT.matcher(text);
        if (!m.matches()) {
            throw new TraceException(
                    TraceException.Code.MALFORMED,
                    "--expect \"" + text + "\" is not NAME: A/B|B/A|A-B|B-A|A|B >=|<=|>|< NUMBER[us|ms|s], e.g. \"step:"
                            + " B-A <= -5ms\"",
                    new IllegalArgumentException(text));
        }
        Form form = switch (m.group(2).replaceAll("\\s", "")) {
            case "A/B" -> Form.A_OVER_B;
            case "B/A" -> Form.B_OVER_A;
            case "A-B" -> Form.A_MINUS_B;
            case "B-A" -> Form.B_MINUS_A;
            case "A" -> Form.A;
            default -> Form.B;
        };
        String unit = m.group(5) == null ? "" : m.group(5);
        double scale = unit.equals("us") ? 1e-3 : unit.equals("s") ? 1e3 : 1;
        try {
            double bound = scale * Double.parseDouble(m.group(4));
            return new Expectation(m.group(1), form, m.group(3).startsWith(">"), bound, text.strip());
        } catch (NumberFormatException e) {
            throw new TraceException(
                    TraceException.Code.MALFORMED, "--expect \"" + text + "\": " + m.group(4) + " is no number", e);
        }
    }

    /** Holds it against samples in milliseconds. */
    public Judgement judge(Samples a, Samples b) {
        if (a.values().length < 3 || b.values().length < 3) {
            return new Judgement(
                    this,
                    Outcome.UNDECIDED,
                    form.of(a.mean(), b.mean()),
                    Double.NaN,
                    Double.NaN,
                    a.values().length + b.values().length == 0
                            ? "neither trace has a figure, kernel, annotation or frame named " + name
                            : "too few samples: " + a.values().length + " in A, " + b.values().length
                                    + " in B; 3 are needed");
        }
        double value = form.of(a.mean(), b.mean());
        double[] interval = Chance.interval(a.values(), b.values(), form::of);
        boolean lowHolds = isAtLeast ? interval[0] >= bound : interval[0] <= bound;
        boolean highHolds = isAtLeast ? interval[1] >= bound : interval[1] <= bound;
        Outcome outcome = lowHolds && highHolds
                ? Outcome.REPRODUCED
                : !lowHolds && !highHolds ? Outcome.NOT_REPRODUCED : Outcome.UNDECIDED;
        String why = String.format(
                Locale.ROOT,
                "%s = %.4g%s, 95%% interval %.4g to %.4g, from %d samples in A (mean %.4g ms) and %d in B (mean %.4g ms)%s",
                form.name().replace("_OVER_", "/").replace("_MINUS_", "-"),
                value,
                form == Form.A_OVER_B || form == Form.B_OVER_A ? "" : " ms",
                interval[0],
                interval[1],
                a.values().length,
                a.mean(),
                b.values().length,
                b.mean(),
                a.isBimodal() || b.isBimodal() ? "; the samples fall into two groups" : "");
        return new Judgement(this, outcome, value, interval[0], interval[1], why);
    }
}
