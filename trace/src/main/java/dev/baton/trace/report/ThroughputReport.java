package dev.baton.trace.report;

import dev.baton.trace.reconcile.Throughput;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** One rate from three sides, for the terminal and as a page. */
public final class ThroughputReport {
    private ThroughputReport() {}

    /**
     * A bar of a chart.
     *
     * @param tokensPerSecond of one GPU
     * @param isRefused whether it cannot be true
     */
    public record Rate(String name, double tokensPerSecond, boolean isRefused) {}

    /** The rates that could be had for one GPU, in the order trace, log, client. */
    public static List<Rate> rates(Throughput t) {
        List<Rate> rates = new ArrayList<>();
        rates.add(new Rate("trace", t.fromTrace(), false));
        rates.add(new Rate("log, in the profile", t.fromLogInWindow(), false));
        rates.add(new Rate("log", t.fromLog(), false));
        t.clients()
                .forEach(c -> rates.add(new Rate(
                        "client " + c.record().file().getFileName() + ":"
                                + c.record().line(),
                        c.perGpu(),
                        !c.refusal().isEmpty())));
        rates.removeIf(r -> !Double.isFinite(r.tokensPerSecond()));
        return rates;
    }

    /** The rate to believe, why the others differ, what is refused; at least one sentence. */
    public static List<String> verdict(Throughput t) {
        List<String> sentences = new ArrayList<>();
        if (Double.isFinite(t.fromLog())) {
            sentences.add(text(
                    "A full GPU generates %,.0f tokens/s: the log's median outside the profile window%s.",
                    t.fromLog(),
                    Double.isFinite(t.fromTrace())
                            ? text(", against %,.0f from the traced steps", t.fromTrace())
                            : ""));
        } else if (Double.isFinite(t.fromTrace())) {
            sentences.add(text("A GPU generates %,.0f tokens/s in the traced steps.", t.fromTrace()));
        } else if (t.clients().isEmpty()) {
            sentences.add("Nothing here states a rate.");
        } else {
            sentences.add("Only the client states a rate: nothing here confirms it.");
        }
        sentences.addAll(t.explanations());
        t.clients().stream()
                .filter(c -> !c.refusal().isEmpty())
                .forEach(c -> sentences.add(text(
                        "Refused: the client's %,.0f tokens/s (%s line %d): %s.",
                        c.record().outputThroughput(),
                        c.record().file().getFileName(),
                        c.record().line(),
                        c.refusal())));
        long sides = (Double.isFinite(t.fromTrace()) ? 1 : 0)
                + (Double.isFinite(t.fromLog()) ? 1 : 0)
                + (t.clients().isEmpty() ? 0 : 1);
        sentences.add("How sure: " + sides + " of the three sides (trace, log, client) are here"
                + (sides < 2
                        ? "; a rate from one side alone is not checked by anything."
                        : Double.isFinite(t.fromLogInWindow())
                                ? "; the log covers the window in which the trace was recorded."
                                : "."));
        return sentences;
    }

    /** For the terminal. */
    public static String text(Throughput t) {
        StringBuilder s = new StringBuilder();
        if (Double.isFinite(t.fromTrace())) {
            s.append("trace   ").append(traceFormula(t)).append('\n');
        }
        if (Double.isFinite(t.fromLog())) {
            s.append(text("log     %,.0f tok/s/GPU, median of full decode lines", t.fromLog()));
            s.append(
                    Double.isFinite(t.fromLogInWindow())
                            ? text(" (%,.0f while profiling)%n", t.fromLogInWindow())
                            : "\n");
        }
        for (Throughput.Client c : t.clients()) {
            s.append(text(
                    "client  %,.0f tok/s%s  %s line %d%s%n",
                    c.record().outputThroughput(),
                    Double.isFinite(c.perGpu()) ? text(" = %,.0f tok/s/GPU", c.perGpu()) : "",
                    c.record().file().getFileName(),
                    c.record().line(),
                    c.refusal().isEmpty() ? "" : "  REFUSED: " + c.refusal()));
        }
        t.explanations().forEach(e -> s.append(e).append('\n'));
        t.notes().forEach(n -> s.append("note: ").append(n).append('\n'));
        return s.toString();
    }

    private static String traceFormula(Throughput t) {
        return text(
                "%,.0f requests / %.2f ms a step / %s GPU(s) = %,.0f tok/s/GPU",
                t.batch(),
                t.stepMillis(),
                text(t.gpusPerRank() == Math.rint(t.gpusPerRank()) ? "%.0f" : "%.2f", t.gpusPerRank()),
                t.fromTrace());
    }

    /**
     * Writes the page.
     *
     * @param notes of the files
     * @throws dev.baton.trace.TraceException IO naming the file
     */
    public static void page(Throughput t, List<String> notes, Path file) {
        Html page = new Html(
                "Throughput from three sides",
                "Output tokens/s of one GPU" + (t.gpus() > 0 ? "; the server has " + t.gpus() + " GPUs." : "."));
        page.verdict(verdict(t));
        page.notes(t.notes());
        page.notes(notes);
        List<Rate> rates = rates(t);
        if (!rates.isEmpty()) {
            page.heading("Tokens/s of one GPU");
            double[][] values = rates.stream()
                    .map(r -> r.isRefused()
                            ? new double[] {0, r.tokensPerSecond()}
                            : new double[] {r.tokensPerSecond(), 0})
                    .toArray(double[][]::new);
            boolean hasRefused = rates.stream().anyMatch(Rate::isRefused);
            page.stackedBars(
                    rates.stream().map(Rate::name).toList(),
                    hasRefused ? List.of("stands", "refused") : List.of("tokens/s"),
                    values,
                    "tok/s");
        }
        sources(page, t);
        page.small(
                "Trace: requests of a step / median step / GPUs of a data-parallel rank. Log: median of the decode lines"
                        + " at the most running requests, outside the profile window. Client: its whole run, with ramp and drain. A"
                        + " client's figure is refused when its own tokens and seconds contradict it, when it is over 1.1 times what"
                        + " the GPUs produced, or when its concurrency and token latency cannot give it.");
        page.write(file);
    }

    private static void sources(Html page, Throughput t) {
        page.heading("How each comes about");
        List<List<Object>> rows = new ArrayList<>();
        if (Double.isFinite(t.fromTrace())) {
            rows.add(List.of("trace", traceFormula(t), number(t.fromTrace()), "–"));
        }
        if (Double.isFinite(t.fromLogInWindow())) {
            rows.add(List.of("log, in the profile", "median of full decode lines", number(t.fromLogInWindow()), "–"));
        }
        if (Double.isFinite(t.fromLog())) {
            rows.add(List.of("log", "median of full decode lines", number(t.fromLog()), "–"));
        }
        for (Throughput.Client c : t.clients()) {
            String tokens = Double.isFinite(c.record().outputTokens())
                            && Double.isFinite(c.record().seconds())
                    ? text(
                            "%,.0f tokens in %.2f s",
                            c.record().outputTokens(), c.record().seconds())
                    : "as stated";
            rows.add(List.of(
                    "client " + c.record().file().getFileName() + ":"
                            + c.record().line(),
                    tokens + text(" = %,.0f tok/s", c.record().outputThroughput()),
                    number(c.perGpu()),
                    c.refusal().isEmpty() ? "no" : Html.Cell.heat("yes", c.refusal(), 1)));
        }
        page.table(List.of("side", "from", "tok/s/GPU", "refused"), rows);
    }

    private static String number(double value) {
        return Double.isFinite(value) ? text("%,.0f", value) : "–";
    }

    private static String text(String format, Object... values) {
        return String.format(Locale.ROOT, format, values);
    }
}
