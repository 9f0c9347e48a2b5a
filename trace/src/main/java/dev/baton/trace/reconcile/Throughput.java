package dev.baton.trace.reconcile;

import dev.baton.trace.align.RankSet;
import dev.baton.trace.analyse.Medians;
import dev.baton.trace.analyse.RankAnalysis;
import dev.baton.trace.log.LogAnalysis;
import dev.baton.trace.log.ServerLog;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * One rate from three sides, in output tokens/s a GPU: steps of the trace, lines of the log, figure of the client.
 *
 * @param batch requests in a decode step of one data-parallel rank; NaN when nothing says it
 * @param stepMillis median step of the traces; NaN without traces
 * @param gpusPerRank GPUs of one data-parallel rank
 * @param gpus of the server; 0 when nothing says it
 * @param fromTrace batch x tokens a step / step / GPUs; NaN when it cannot be had
 * @param fromLog median of the full decode lines outside the profile window, a GPU; NaN without a log
 * @param fromLogInWindow the same in the profile window
 * @param clients a client's records, judged
 * @param explanations of each gap
 * @param notes what a reader must know
 */
public record Throughput(
        double batch,
        double stepMillis,
        double gpusPerRank,
        int gpus,
        double fromTrace,
        double fromLog,
        double fromLogInWindow,
        List<Client> clients,
        List<String> explanations,
        List<String> notes) {
    private static final Pattern STEP_BATCH = Pattern.compile("step\\[DECODE bs=(\\d+)");
    /** Two sides that differ by less agree. */
    private static final double AGREE = 0.02;
    /** A client's rate this far above what the GPUs produced is refused. */
    private static final double POSSIBLE = 1.10;

    /**
     * A client's record.
     *
     * @param record as read
     * @param perGpu tokens/s a GPU; NaN when the GPUs are not known
     * @param refusal why it cannot be true; empty when it can
     */
    public record Client(ClientRecord record, double perGpu, String refusal) {}

    /**
     * What the caller knows better than the files.
     *
     * @param globalBatch requests in one step of the whole server
     * @param gpus of the server
     */
    public record Known(OptionalDouble globalBatch, OptionalInt gpus) {}

    /** Reconciles what is there; each of the three may be missing. */
    public static Throughput of(
            @Nullable RankSet traces, @Nullable ServerLog log, List<ClientRecord> clients, Known known) {
        List<String> notes = new ArrayList<>();
        List<String> explanations = new ArrayList<>();
        LogAnalysis lines = log == null ? null : LogAnalysis.of(log);
        int gpus = known.gpus().orElseGet(() -> gpus(log, traces));
        double gpusPerRank = gpusPerRank(log, gpus, known);
        double step = traces == null ? Double.NaN : stepMillis(traces);
        double batch = batch(traces, lines, log, gpus, gpusPerRank, known, notes);
        double accepted = lines == null
                ? 1
                : lines.ranks().stream()
                        .mapToDouble(LogAnalysis.RankRow::acceptLength)
                        .filter(l -> l > 1)
                        .max()
                        .orElse(1);
        double fromTrace = batch * accepted / (step / 1e3) / gpusPerRank;
        double outside = lines == null ? Double.NaN : perGpu(lines, false, gpusPerRank);
        double inside = lines == null ? Double.NaN : perGpu(lines, true, gpusPerRank);
        gaps(fromTrace, outside, inside, explanations);
        List<Client> judged = clients.stream()
                .map(c -> client(c, gpus, fromTrace, outside, explanations))
                .toList();
        return new Throughput(batch, step, gpusPerRank, gpus, fromTrace, outside, inside, judged, explanations, notes);
    }

    private static int argument(@Nullable ServerLog log, String name, int otherwise) {
        String value = log == null ? null : log.arguments().get(name);
        return value != null && value.matches("\\d{1,6}") ? Integer.parseInt(value) : otherwise;
    }

    private static int gpus(@Nullable ServerLog log, @Nullable RankSet traces) {
        if (log != null && log.arguments().containsKey("tp_size")) {
            int dp = isDpAttention(log) ? 1 : argument(log, "dp_size", 1);
            return argument(log, "tp_size", 1) * argument(log, "pp_size", 1) * dp;
        }
        return traces == null
                ? 0
                : traces.ranks().stream()
                        .mapToInt(r -> r.work().trace().info().worldSize())
                        .max()
                        .orElse(0);
    }

    private static boolean isDpAttention(ServerLog log) {
        return "True".equals(log.arguments().get("enable_dp_attention"));
    }

    /** With DP attention the server's GPUs are shared out among the data-parallel ranks. */
    private static double gpusPerRank(@Nullable ServerLog log, int gpus, Known known) {
        if (log == null || !log.arguments().containsKey("dp_size")) {
            return known.globalBatch().isPresent() && gpus > 0 ? gpus : 1;
        }
        return known.globalBatch().isPresent() ? gpus : Math.max(1.0, (double) gpus / argument(log, "dp_size", 1));
    }

    private static double stepMillis(RankSet traces) {
        return Medians.of(traces.ranks().stream()
                .flatMap(r -> r.steps().stream())
                .mapToDouble(s -> s.step().durationNanos() / 1e6)
                .toArray());
    }

    private static double batch(
            @Nullable RankSet traces,
            @Nullable LogAnalysis lines,
            @Nullable ServerLog log,
            int gpus,
            double gpusPerRank,
            Known known,
            List<String> notes) {
        if (known.globalBatch().isPresent()) {
            return known.globalBatch().getAsDouble();
        }
        double annotated = traces == null ? Double.NaN : annotatedBatch(traces);
        if (Double.isFinite(annotated)) {
            return annotated;
        }
        if (lines != null && lines.cap() > 0) {
            if (lines.windows().isEmpty() && traces != null) {
                notes.add("the log shows no profile window: that the traced steps had " + lines.cap()
                        + " requests each is a guess");
            }
            if (gpus == 0 || log == null || log.arguments().get("dp_size") == null) {
                notes.add("the log does not state dp_size and tp_size: one GPU a data-parallel rank is assumed; say"
                        + " --gpus and --batch if that is wrong (now " + gpusPerRank + " a rank)");
            }
            return lines.cap();
        }
        notes.add("nothing says how many requests a step had: give --batch (of the whole server) and --gpus");
        return Double.NaN;
    }

    private static double annotatedBatch(RankSet traces) {
        List<Double> sizes = new ArrayList<>();
        for (RankAnalysis rank : traces.ranks()) {
            rank.steps().forEach(s -> {
                Matcher m = STEP_BATCH.matcher(s.step().name());
                if (m.find()) {
                    sizes.add(Double.parseDouble(m.group(1)));
                }
            });
        }
        return sizes.isEmpty()
                ? Double.NaN
                : Medians.of(sizes.stream().mapToDouble(Double::doubleValue).toArray());
    }

    private static double perGpu(LogAnalysis lines, boolean inWindow, double gpusPerRank) {
        double[] medians = lines.ranks().stream()
                .mapToDouble(r -> inWindow
                        ? r.medianInWindow()
                        : Double.isFinite(r.medianAfterWindow()) ? r.medianAfterWindow() : r.medianFull())
                .filter(Double::isFinite)
                .toArray();
        return Medians.of(medians) / gpusPerRank;
    }

    private static void gaps(double trace, double outside, double inside, List<String> explanations) {
        if (!Double.isFinite(trace) || !Double.isFinite(outside)) {
            return;
        }
        double gap = trace / outside - 1;
        if (Math.abs(gap) <= AGREE) {
            explanations.add(text("Trace and log agree within %.1f%%.", 100 * Math.abs(gap)));
            return;
        }
        boolean windowExplains = Double.isFinite(inside) && Math.abs(trace / inside - 1) <= AGREE;
        if (gap < 0) {
            explanations.add(text(
                    "The trace lies %.1f%% below the log: %s",
                    -100 * gap,
                    windowExplains
                            ? text(
                                    "the profiler's cost. In the profile window the log says %,.0f too, within %.1f%% of"
                                            + " the trace.",
                                    inside, 100 * Math.abs(trace / inside - 1))
                            : "the profiler slows the steps it records, and more with Python stacks on."));
        } else {
            explanations.add(text(
                    "The log lies %.1f%% below the trace: the log counts wall time, so the time between steps (host"
                            + " work, prefill between decode steps, idle time, ramp) is in it; the trace's steps are"
                            + " device time only.",
                    100 * gap / (1 + gap)));
        }
    }

    private static Client client(
            ClientRecord c, int gpus, double fromTrace, double fromLog, List<String> explanations) {
        double perGpu = gpus > 0 ? c.outputThroughput() / gpus : Double.NaN;
        double produced = Math.max(orZero(fromTrace), orZero(fromLog));
        String refusal = "";
        double own = c.outputTokens() / c.seconds();
        if (Double.isFinite(own) && Math.abs(c.outputThroughput() / own - 1) > 0.05) {
            refusal = text(
                    "it states %,.0f tokens/s but %,.0f tokens in %.2f s are %,.0f",
                    c.outputThroughput(), c.outputTokens(), c.seconds(), own);
        } else if (produced > 0 && perGpu > POSSIBLE * produced) {
            refusal = text(
                    "%,.0f tokens/s a GPU are %.1f times what the GPUs produced by trace and log (%,.0f): the file is"
                            + " from another run, or its clock did not cover the generation",
                    perGpu, perGpu / produced, produced);
        } else if (Double.isFinite(c.concurrency())
                && c.medianItlMillis() > 0
                && c.outputThroughput() > 3 * c.concurrency() * 1e3 / c.medianItlMillis()) {
            refusal = text(
                    "%,.0f requests at %.2f ms a token cannot give %,.0f tokens/s",
                    c.concurrency(), c.medianItlMillis(), c.outputThroughput());
        } else if (produced > 0 && Double.isFinite(perGpu) && perGpu < (1 - AGREE) * produced) {
            explanations.add(text(
                    "The client (%s line %d) sees %.0f%% of what full steps produce: %s",
                    name(c.file()),
                    c.line(),
                    100 * perGpu / produced,
                    perGpu < 0.2 * produced
                            ? "so little that it is another run, or one that never filled the server."
                            : "it counts the whole run, with ramp, prefill and the drain at the end; full steps are the"
                                    + " steady state only."));
        }
        return new Client(c, perGpu, refusal);
    }

    private static Path name(Path file) {
        Path name = file.getFileName();
        return name == null ? file : name;
    }

    private static double orZero(double value) {
        return Double.isFinite(value) ? value : 0;
    }

    private static String text(String format, Object... values) {
        return String.format(Locale.ROOT, format, values);
    }
}
