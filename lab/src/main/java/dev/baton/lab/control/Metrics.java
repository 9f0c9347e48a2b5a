package dev.baton.lab.control;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A scrape of {@code /metrics} in Prometheus' text form. */
public final class Metrics {
    private static final Pattern LINE = Pattern.compile("^([A-Za-z_:][A-Za-z0-9_:]*)(\\{[^}]*})?\\s+(\\S+)");
    private static final Pattern DP_RANK = Pattern.compile("dp_rank=\"(\\d+)\"");

    private final String text;

    public Metrics(String text) {
        this.text = text;
    }

    /** A gauge's value of each DP rank; a series without the label counts as rank 0. */
    public Map<Integer, Double> byRank(String name) {
        Map<Integer, Double> values = new LinkedHashMap<>();
        text.lines()
                .map(LINE::matcher)
                .filter(Matcher::find)
                .filter(m -> m.group(1).equals(name))
                .forEach(m -> {
                    Matcher rank = DP_RANK.matcher(m.group(2) == null ? "" : m.group(2));
                    values.put(rank.find() ? Integer.parseInt(rank.group(1)) : 0, Double.parseDouble(m.group(3)));
                });
        return values;
    }
}
