package dev.baton.trace.log;

import java.util.List;
import java.util.Map;

/**
 * What some log files of one server say.
 *
 * @param batches in file order
 * @param events likewise
 * @param arguments of the launch that the log states, e.g. {@code tp_size}
 * @param lines read
 * @param notes what a reader must know
 */
public record ServerLog(
        List<BatchLine> batches,
        List<LogEvent> events,
        Map<String, String> arguments,
        long lines,
        List<String> notes) {}
