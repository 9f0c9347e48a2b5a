package dev.baton.protocol.log;

import java.time.LocalDateTime;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What stands before a message: {@code [2025-12-15 05:25:39 DP2 TP2 EP2] }, local time.
 *
 * @param time to the second; finer parts are not printed
 * @param rank who speaks
 */
public record LogPrefix(LocalDateTime time, RankLabel rank) {
    private static final DateTimeFormatter FORMAT = DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm:ss");
    private static final Pattern LINE = Pattern.compile(
            "\\[(\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d)(?:\\.\\d+)?((?: [A-Z]+\\d{1,9})*)\\] (.*)", Pattern.DOTALL);

    /** A line cut in two. */
    public record Line(LogPrefix prefix, String message) {}

    /** The prefix of a line that is written now. */
    public static LogPrefix now(RankLabel rank) {
        return new LogPrefix(LocalDateTime.now(ZoneId.systemDefault()), rank);
    }

    /** The prefix with the space that ends it. */
    public String format() {
        return "[" + FORMAT.format(time) + rank.format() + "] ";
    }

    /** Prefix and message; empty for a line that has no such prefix. */
    public static Optional<Line> parse(String line) {
        Matcher m = LINE.matcher(line);
        if (!m.matches()) {
            return Optional.empty();
        }
        LocalDateTime time = LocalDateTime.parse(m.group(1), FORMAT);
        return Optional.of(new Line(new LogPrefix(time, RankLabel.parse(m.group(2))), m.group(3)));
    }
}
