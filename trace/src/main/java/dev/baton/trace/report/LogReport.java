package dev.baton.trace.report;

import dev.baton.trace.TraceException;
import dev.baton.trace.log.BatchLine;
import dev.baton.trace.log.LogAnalysis;
import dev.baton.trace.log.ServerLog;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.LocalDateTime;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.ObjectWriteContext;
import tools.jackson.core.json.JsonFactory;

/** A server's log for the terminal and for programs. */
public final class LogReport {
    private static final DateTimeFormatter SECONDS = DateTimeFormatter.ofPattern("HH:mm:ss", Locale.ROOT);

    private LogReport() {}

    /** What happened, in order. */
    public static List<String> verdict(LogAnalysis a) {
        List<String> sentences = new ArrayList<>();
        if (a.ranks().isEmpty()) {
            sentences.add("No decode lines: nothing to say about throughput.");
            return sentences;
        }
        double[] medians = a.ranks().stream()
                .mapToDouble(LogAnalysis.RankRow::medianFull)
                .filter(Double::isFinite)
                .toArray();
        sentences.add(String.format(
                Locale.ROOT,
                "At %d running requests a rank generates %s tokens/s (median of %d rank(s)%s).",
                a.cap(),
                number(dev.baton.trace.analyse.Medians.of(medians)),
                medians.length,
                medians.length > 1
                        ? ", " + number(java.util.Arrays.stream(medians).min().orElse(0)) + " to "
                                + number(java.util.Arrays.stream(medians).max().orElse(0))
                        : ""));
        LocalDateTime sleep = a.firstSleep();
        LocalDateTime full = a.fullAt();
        if (full != null) {
            sentences.add("All ranks in these files are full since " + time(full)
                    + (sleep == null
                            ? "."
                            : ", " + Duration.between(sleep, full).toSeconds()
                                    + " s after slow_down first took effect (" + time(sleep) + ")."));
        }
        for (LogAnalysis.Window w : a.windows()) {
            sentences.add("Profile window " + time(w.from()) + " to " + time(w.to()) + ".");
        }
        a.ranks().stream()
                .filter(r -> Double.isFinite(r.medianInWindow()) && Double.isFinite(r.medianAfterWindow()))
                .findFirst()
                .ifPresent(r -> sentences.add(String.format(
                        Locale.ROOT,
                        "Profiling cost rank %s %.1f%%: %s tokens/s in the window against %s after it.",
                        r.rank(),
                        100 * (1 - r.medianInWindow() / r.medianAfterWindow()),
                        number(r.medianInWindow()),
                        number(r.medianAfterWindow()))));
        LocalDateTime off = a.imbalanceAt();
        sentences.add(
                a.ranks().size() < 2
                        ? "One rank: balance cannot be judged."
                        : off == null
                                ? "No imbalance: once full, no rank had more than 1.2 times the mean of running requests"
                                        + " for 5 s."
                                : "Imbalance since " + time(off)
                                        + ": the busiest rank has more than 1.2 times the mean of running requests.");
        return sentences;
    }

    /** For the terminal. */
    public static String text(LogAnalysis a) {
        StringBuilder text = new StringBuilder();
        verdict(a).forEach(s -> text.append(s).append('\n'));
        TextTable table = new TextTable(
                "rank",
                "decode lines",
                "full",
                "full since",
                "tok/s full",
                "in profile",
                "after it",
                "accept len",
                "sleeps",
                "retracted");
        for (LogAnalysis.RankRow r : a.ranks()) {
            table.row(
                    r.rank(),
                    r.decodeLines(),
                    r.fullLines(),
                    time(r.fullAt()),
                    number(r.medianFull()),
                    number(r.medianInWindow()),
                    number(r.medianAfterWindow()),
                    r.acceptLength() > 1 ? String.format(Locale.ROOT, "%.2f", r.acceptLength()) : "-",
                    r.sleeps(),
                    r.retracted());
        }
        text.append('\n').append(table);
        a.notes().forEach(n -> text.append("note: ").append(n).append('\n'));
        return text.toString();
    }

    /**
     * Every batch line as one JSON object a line.
     *
     * @throws TraceException IO naming the file
     */
    public static void jsonl(ServerLog log, Path file) {
        JsonFactory json = new JsonFactory();
        try (OutputStream out = Files.newOutputStream(file)) {
            for (BatchLine b : log.batches()) {
                java.io.StringWriter line = new java.io.StringWriter();
                try (JsonGenerator g = json.createGenerator(ObjectWriteContext.empty(), line)) {
                    g.writeStartObject();
                    g.writeStringProperty("time", b.time().toString());
                    g.writeStringProperty("rank", b.rank());
                    g.writeStringProperty("kind", b.isDecode() ? "decode" : "prefill");
                    g.writeNumberProperty("running_req", b.running());
                    g.writeNumberProperty("tokens", b.tokens());
                    g.writeNumberProperty("token_usage", b.usage());
                    if (Double.isFinite(b.throughput())) {
                        g.writeNumberProperty("throughput", b.throughput());
                    }
                    g.writeNumberProperty("queue_req", b.queued());
                    g.writeNumberProperty("line", b.line());
                    g.writeEndObject();
                }
                out.write((line + "\n").getBytes(java.nio.charset.StandardCharsets.UTF_8));
            }
        } catch (IOException e) {
            throw new TraceException(TraceException.Code.IO, "cannot write " + file + ": " + e.getMessage(), e);
        }
    }

    static String time(@Nullable LocalDateTime time) {
        return time == null ? "-" : time.format(SECONDS);
    }

    static String number(double value) {
        return Double.isNaN(value) ? "-" : String.format(Locale.ROOT, "%,.0f", value);
    }
}
