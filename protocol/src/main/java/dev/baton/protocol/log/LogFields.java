package dev.baton.protocol.log;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The {@code name: value, } part of a batch line, and numbers as Python prints them. */
final class LogFields {
    private final Map<String, String> values = new HashMap<>();

    private LogFields() {}

    /** The fields after {@code title} and a comma or full stop; null when the line is not of that kind. */
    static @Nullable LogFields after(String title, String line) {
        int at = line.indexOf(title);
        if (at < 0) {
            return null;
        }
        int from = at + title.length();
        LogFields fields = new LogFields();
        if (line.startsWith(" [", from)) {
            int close = line.indexOf(']', from);
            if (close < 0) {
                return null;
            }
            fields.values.put("iteration", line.substring(from + 2, close));
            from = close + 1;
        }
        if (from + 2 > line.length() || line.charAt(from) != ',' && line.charAt(from) != '.') {
            return null;
        }
        for (String part : line.substring(from + 1).split(",")) {
            int colon = part.indexOf(':');
            if (colon > 0) {
                fields.values.put(
                        part.substring(0, colon).strip(),
                        part.substring(colon + 1).strip());
            }
        }
        return fields;
    }

    boolean has(String name) {
        return values.containsKey(name);
    }

    boolean flag(String name) {
        return "True".equals(values.get(name));
    }

    /** The whole number of that name, 0 when there is none. */
    long number(String name) {
        return (long) decimal(name);
    }

    /** The number of that name, 0 when there is none. */
    double decimal(String name) {
        String value = values.get(name);
        try {
            return value == null ? 0 : Double.parseDouble(value);
        } catch (NumberFormatException e) {
            return 0;
        }
    }

    /** {@code decimals} places, ties to even on the exact binary value, as Python's {@code :.2f}. */
    static String fixed(double value, int decimals) {
        if (!Double.isFinite(value)) {
            return Double.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
        }
        return new BigDecimal(value).setScale(decimals, RoundingMode.HALF_EVEN).toPlainString();
    }

    static String flagText(boolean value) {
        return value ? "True" : "False";
    }
}
