package dev.baton.trace.log;

import dev.baton.protocol.log.DecodeLine;
import dev.baton.protocol.log.LogPrefix;
import dev.baton.protocol.log.PrefillLine;
import dev.baton.protocol.log.RetractLine;
import dev.baton.protocol.log.SleepLine;
import dev.baton.trace.TraceException;
import java.io.BufferedInputStream;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.GZIPInputStream;

/**
 * Reads SGLang's server logs, and Baton's: both forms of batch lines, any set of rank tags, whatever a launcher puts in
 * front of a line.
 */
public final class LogReader {
    private static final Pattern ARGUMENT = Pattern.compile(
            "\\b(tp_size|dp_size|pp_size|ep_size|max_running_requests|enable_dp_attention|disaggregation_mode"
                    + "|decode_log_interval|nnodes|model_path)=('[^']*'|[^,)]+)");
    private static final Pattern ACCEPT_LENGTH = Pattern.compile("accept len: ([0-9.]+)");
    private static final Pattern INPUT_THROUGHPUT = Pattern.compile("input throughput \\(token/s\\): ([0-9.]+)");
    /** Longer lines are cut: a server's argument line has some ten thousand characters. */
    private static final int MOST_CHARACTERS = 1 << 18;

    private final List<BatchLine> batches = new ArrayList<>();
    private final List<LogEvent> events = new ArrayList<>();
    private final Map<String, String> arguments = new LinkedHashMap<>();
    private final List<String> notes = new ArrayList<>();
    private long lines;

    private LogReader() {}

    /**
     * Reads the files of one server, one after another.
     *
     * @throws TraceException IO naming the file
     */
    public static ServerLog read(List<Path> files) {
        LogReader reader = new LogReader();
        for (Path file : files) {
            reader.file(file);
        }
        if (reader.batches.isEmpty()) {
            reader.notes.add("no batch lines: is this a server's log?");
        }
        return new ServerLog(reader.batches, reader.events, reader.arguments, reader.lines, reader.notes);
    }

    private void file(Path file) {
        long number = 0;
        try (InputStream raw = new BufferedInputStream(Files.newInputStream(file));
                BufferedReader in = new BufferedReader(new InputStreamReader(unzipped(raw), StandardCharsets.UTF_8))) {
            StringBuilder text = new StringBuilder();
            while (nextLine(in, text)) {
                line(text.toString(), ++number);
            }
        } catch (IOException e) {
            if (number == 0) {
                throw new TraceException(
                        TraceException.Code.IO, "cannot read the log " + file + ": " + e.getMessage(), e);
            }
            notes.add(file.getFileName() + " breaks off after line " + number + " (" + e.getMessage() + ")");
        }
        lines += number;
    }

    /** Up to the next line feed; a carriage return (progress bars write it) begins the text anew. */
    private static boolean nextLine(BufferedReader in, StringBuilder text) throws IOException {
        text.setLength(0);
        int c = in.read();
        boolean isAny = c >= 0;
        for (; c >= 0 && c != '\n'; c = in.read()) {
            if (c == '\r') {
                in.mark(1);
                boolean isEnd = in.read() == '\n';
                in.reset();
                if (!isEnd) {
                    text.setLength(0);
                }
            } else if (text.length() < MOST_CHARACTERS) {
                text.append((char) c);
            }
        }
        return isAny;
    }

    private static InputStream unzipped(InputStream raw) throws IOException {
        raw.mark(2);
        int magic = raw.read() << 8 | raw.read();
        raw.reset();
        return magic == 0x1f8b ? new GZIPInputStream(raw) : raw;
    }

    private void line(String text, long number) {
        int begin = text.indexOf("[20");
        if (begin < 0) {
            return;
        }
        Optional<LogPrefix.Line> cut = parse(text.substring(begin));
        if (cut.isEmpty()) {
            return;
        }
        LocalDateTime time = cut.get().prefix().time();
        String label = cut.get().prefix().rank().format().strip();
        String rank = label.isEmpty() ? "-" : label;
        String message = cut.get().message();
        if (message.startsWith("Decode batch")) {
            DecodeLine.parse(message)
                    .ifPresent(d -> batches.add(new BatchLine(
                            time,
                            rank,
                            true,
                            d.runningRequests(),
                            d.tokens(),
                            d.tokenUsage(),
                            d.generationThroughput(),
                            d.queuedRequests(),
                            number(ACCEPT_LENGTH, message, 1),
                            number)));
        } else if (message.startsWith("Prefill batch")) {
            PrefillLine.parse(message)
                    .ifPresent(p -> batches.add(new BatchLine(
                            time,
                            rank,
                            false,
                            p.runningRequests(),
                            p.newTokens(),
                            p.tokenUsage(),
                            number(INPUT_THROUGHPUT, message, Double.NaN),
                            p.queuedRequests(),
                            1,
                            number)));
        } else {
            event(time, rank, message);
        }
    }

    /** A date that is none (month 13) makes a line one without prefix. */
    private static Optional<LogPrefix.Line> parse(String line) {
        try {
            return LogPrefix.parse(line);
        } catch (RuntimeException e) {
            return Optional.empty();
        }
    }

    private void event(LocalDateTime time, String rank, String message) {
        if (message.startsWith("server_args=")) {
            Matcher m = ARGUMENT.matcher(message);
            while (m.find()) {
                arguments.putIfAbsent(m.group(1), m.group(2).replace("'", "").strip());
            }
        } else if (message.contains("/slow_down HTTP")) {
            events.add(new LogEvent(time, rank, LogEvent.Kind.SLOW_DOWN, 0));
        } else if (message.startsWith("Scheduler.run_batch sleep")) {
            SleepLine.parse(message)
                    .ifPresent(s -> events.add(new LogEvent(time, rank, LogEvent.Kind.SLEEP, s.seconds())));
        } else if (message.startsWith("Profiling starts")) {
            events.add(new LogEvent(time, rank, LogEvent.Kind.PROFILE_START, 0));
        } else if (message.startsWith("Stop profiling")) {
            events.add(new LogEvent(time, rank, LogEvent.Kind.PROFILE_STOP, 0));
        } else if (message.startsWith("Profiling done")) {
            events.add(new LogEvent(time, rank, LogEvent.Kind.PROFILE_DONE, 0));
        } else if (message.contains("fired up and ready to roll")) {
            events.add(new LogEvent(time, rank, LogEvent.Kind.READY, 0));
        } else if (message.contains("Retract requests.")) {
            RetractLine.parse(message)
                    .ifPresent(r -> events.add(new LogEvent(time, rank, LogEvent.Kind.RETRACT, r.retracted())));
        }
    }

    private static double number(Pattern pattern, String message, double otherwise) {
        Matcher m = pattern.matcher(message);
        try {
            return m.find() ? Double.parseDouble(m.group(1)) : otherwise;
        } catch (NumberFormatException e) {
            return otherwise;
        }
    }
}
