package dev.baton.lab.profile;

import dev.baton.lab.LabException;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * When a watched server is worth a window, e.g. {@code imbalance>1.2 for 5s}.
 *
 * @param figure what is looked at
 * @param isAbove whether it must lie above the bound, else below
 * @param bound of the figure
 * @param seconds it must hold on end
 */
public record Condition(Figure figure, boolean isAbove, double bound, double seconds) {
    private static final Pattern TEXT = Pattern.compile(
            "\\s*(imbalance|running|waiting|throughput)\\s*(>|<)\\s*([0-9]+(?:\\.[0-9]+)?)\\s*(?:for\\s+([0-9]+(?:\\.[0-9]+)?)\\s*s?)?\\s*");

    /** What can be looked at. */
    public enum Figure {
        /** Running requests of the busiest rank over the mean of all. */
        IMBALANCE,
        /** Running requests of all ranks. */
        RUNNING,
        /** Requests that wait, of all ranks. */
        WAITING,
        /** Generated tokens/s of all ranks, as the servers state them. */
        THROUGHPUT
    }

    /**
     * Reads a condition.
     *
     * @throws LabException INVALID_CONFIG naming the text and the form
     */
    public static Condition parse(String text) {
        Matcher m = TEXT.matcher(text.toLowerCase(Locale.ROOT));
        if (!m.matches()) {
            throw new LabException(
                    LabException.Code.INVALID_CONFIG,
                    "--when \"" + text + "\" is not imbalance|running|waiting|throughput > or < NUMBER [for SECONDS s],"
                            + " e.g. \"imbalance>1.2 for 5s\"");
        }
        return new Condition(
                Figure.valueOf(m.group(1).toUpperCase(Locale.ROOT)),
                m.group(2).equals(">"),
                Double.parseDouble(m.group(3)),
                m.group(4) == null ? 0 : Double.parseDouble(m.group(4)));
    }

    /** Whether a reading fulfils it at that moment. */
    public boolean holds(RankLoads loads) {
        double value = loads.value(figure);
        return isAbove ? value > bound : value < bound;
    }
}
