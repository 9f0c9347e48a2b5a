package dev.baton.protocol.log;

import java.math.BigDecimal;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A rank sleeps before a batch because of {@code /slow_down}.
 *
 * @param seconds how long
 */
public record SleepLine(double seconds) {
    private static final Pattern LINE =
            Pattern.compile("Scheduler\\.run_batch sleep (\\d+(?:\\.\\d+)?(?:[eE][+-]?\\d+)?)s");

    /** The message, without prefix. */
    public String format() {
        String number = Double.toString(seconds);
        return "Scheduler.run_batch sleep "
                + (number.contains("E")
                        ? new BigDecimal(number).stripTrailingZeros().toPlainString()
                        : number) + "s";
    }

    /** Reads a line, with prefix or without. */
    public static Optional<SleepLine> parse(String line) {
        Matcher m = LINE.matcher(line);
        return m.find() ? Optional.of(new SleepLine(Double.parseDouble(m.group(1)))) : Optional.empty();
    }
}
