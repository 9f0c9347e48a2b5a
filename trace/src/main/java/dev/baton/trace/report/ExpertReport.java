package dev.baton.trace.report;

import dev.baton.trace.analyse.Medians;
import dev.baton.trace.expert.ExpertAssessment;
import dev.baton.trace.expert.WhatIf;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;

/** Expert loads and what placements would give, for the terminal and as a page. */
public final class ExpertReport {
    private ExpertReport() {}

    /** How uneven, what it costs, what a placement would give, how sure. */
    public static List<String> verdict(ExpertAssessment a) {
        List<String> sentences = new ArrayList<>();
        if (!a.faults().isEmpty()) {
            sentences.add("Do not plan a placement from " + a.counts().source() + ": "
                    + a.faults().getFirst() + ".");
        }
        if (a.layers().isEmpty()) {
            return sentences;
        }
        ExpertAssessment.Layer worst = a.bySkew().getFirst();
        sentences.add(text(
                "The hottest expert of a layer gets %.2f times its mean (median of %d layers); worst is layer %d, where"
                        + " expert %d gets %.2f times the mean, %.1f%% of all tokens.",
                Medians.of(skews(a)),
                a.layers().size(),
                worst.number(),
                worst.hottest()[0],
                worst.skew(),
                100 * worst.shares()[0]));
        a.whatIf().stream()
                .max(Comparator.comparingDouble(w -> w.balanced() - w.trivial()))
                .ifPresent(w -> sentences.add(text(
                        "Most is to be gained at EP %d: laid out in order its busiest GPU gets %.1f times the mean"
                                + " (balancedness %.3f); EPLB with %d redundant experts brings that to %.2f (%.3f).",
                        w.gpus(), 1 / w.trivial(), w.trivial(), w.redundant(), 1 / w.balanced(), w.balanced())));
        ExpertAssessment.TracedStep traced = a.traced();
        if (traced != null) {
            a.whatIf().stream()
                    .filter(w -> w.gpus() == traced.gpus())
                    .min(Comparator.comparingDouble(traced::predict))
                    .ifPresent(best -> sentences.add(text(
                            "The traced step of %.2f ms (EP %d, balancedness %.3f) would take %.2f ms with EPLB and %d"
                                    + " redundant experts.",
                            traced.stepMillis(),
                            traced.gpus(),
                            traced.balancedness(),
                            traced.predict(best),
                            best.redundant())));
        }
        sentences.add(text(
                "How sure: %,.0f routed tokens a layer in %d recorded pass(es). A placement is judged by the counts it was"
                        + " planned from: on other traffic it balances less well.",
                Arrays.stream(a.counts().counts()[worst.number()]).sum(),
                a.counts().steps()));
        return sentences;
    }

    private static double[] skews(ExpertAssessment a) {
        return a.layers().stream().mapToDouble(ExpertAssessment.Layer::skew).toArray();
    }

    /** For the terminal. */
    public static String text(ExpertAssessment a) {
        StringBuilder s = new StringBuilder(head(a)).append('\n');
        a.faults().forEach(f -> s.append("fault: ").append(f).append('\n'));
        if (a.layers().isEmpty()) {
            return s.toString();
        }
        s.append(text(
                "hottest expert over the mean of its layer: %.2f (median layer), %.2f (worst)%n",
                Medians.of(skews(a)), Arrays.stream(skews(a)).max().orElse(0)));
        TextTable hottest = new TextTable("layer", "max / mean", "hottest experts (share of the layer's tokens)");
        a.bySkew().stream().limit(5).forEach(l -> hottest.row(l.number(), text("%.2f", l.skew()), experts(l)));
        TextTable table = new TextTable("EP size", "redundant", "trivial", "EPLB", "step ms");
        for (WhatIf w : a.whatIf()) {
            table.row(w.gpus(), w.redundant(), text("%.3f", w.trivial()), text("%.3f", w.balanced()), predicted(a, w));
        }
        s.append(hottest)
                .append("\nbalancedness (mean GPU over busiest GPU, mean over layers)\n")
                .append(table)
                .append(model(a));
        return s.toString();
    }

    private static String head(ExpertAssessment a) {
        return text(
                "%s: %d layers, %d of them with experts, %d experts, %d recorded pass(es)",
                a.counts().source(),
                a.counts().counts().length,
                a.layers().size(),
                a.counts().experts(),
                a.counts().steps());
    }

    private static String experts(ExpertAssessment.Layer l) {
        List<String> words = new ArrayList<>();
        for (int i = 0; i < l.hottest().length; i++) {
            words.add(text("%d (%.1f%%)", l.hottest()[i], 100 * l.shares()[i]));
        }
        return String.join(", ", words);
    }

    private static String predicted(ExpertAssessment a, WhatIf w) {
        ExpertAssessment.TracedStep traced = a.traced();
        return traced == null ? "-" : text("%.2f", traced.predict(w));
    }

    private static String model(ExpertAssessment a) {
        ExpertAssessment.TracedStep traced = a.traced();
        return traced == null
                ? ""
                : text(
                        "predicted step = %.2f ms traced - %.2f ms expert GEMM x (1 - %.3f / balancedness)%n",
                        traced.stepMillis(), traced.expertMillis(), traced.balancedness());
    }

    /**
     * Writes the page.
     *
     * @param all recordings, each with a part of its own
     * @param gpus group sizes of the balancedness by layer
     * @param notes on all of them
     * @throws dev.baton.trace.TraceException IO naming the file
     */
    public static void page(List<ExpertAssessment> all, int[] gpus, List<String> notes, Path file) {
        Html page = new Html(
                "Expert loads",
                String.join("; ", all.stream().map(ExpertReport::head).toList()));
        List<String> sentences = new ArrayList<>();
        for (ExpertAssessment a : all) {
            String source = all.size() > 1 ? a.counts().source() + ": " : "";
            verdict(a).forEach(s -> sentences.add(source + s));
        }
        page.verdict(sentences);
        page.notes(notes);
        for (ExpertAssessment a : all) {
            page.notes(
                    a.faults().stream().map(f -> a.counts().source() + ": " + f).toList());
            if (!a.layers().isEmpty()) {
                part(page, a, gpus, all.size() > 1 ? a.counts().source() + ": " : "");
            }
        }
        page.small(
                "Balancedness is the mean GPU's tokens over the busiest GPU's, 1 being perfect. \"In order\" lays experts"
                        + " out by number. EPLB is DeepSeek's algorithm.");
        page.write(file);
    }

    private static void part(Html page, ExpertAssessment a, int[] gpus, String source) {
        page.heading(source + "What placements give");
        double worst = a.whatIf().stream().mapToDouble(WhatIf::trivial).min().orElse(0);
        List<List<Object>> rows = new ArrayList<>();
        for (WhatIf w : a.whatIf()) {
            rows.add(List.of(
                    "EP " + w.gpus(),
                    w.redundant(),
                    Html.Cell.heat(text("%.3f", w.trivial()), "", (1 - w.trivial()) / Math.max(1e-9, 1 - worst)),
                    Html.Cell.heat(text("%.3f", w.balanced()), "", (1 - w.balanced()) / Math.max(1e-9, 1 - worst)),
                    text("%.2f", 1 / w.trivial()),
                    text("%.2f", 1 / w.balanced()),
                    predicted(a, w)));
        }
        page.table(
                List.of(
                        "group",
                        "redundant experts",
                        "balancedness in order",
                        "with EPLB",
                        "busiest GPU / mean in order",
                        "with EPLB",
                        "predicted step ms"),
                rows);
        if (a.traced() != null) {
            page.small(model(a).strip()
                    + ". The rest of the step, waiting for the slowest rank included, stays as traced, so"
                    + " the true gain from a badly balanced run is larger.");
        }
        page.heading(source + "Hottest expert over the mean, by layer");
        int last = a.layers().getLast().number();
        double[][] columns = new double[last + 1][1];
        a.layers().forEach(l -> columns[l.number()][0] = l.skew());
        page.stackedColumns("layer", List.of("tokens of the hottest expert / mean"), columns, "times");
        layers(page, a, gpus, source);
    }

    private static void layers(Html page, ExpertAssessment a, int[] gpus, String source) {
        page.heading(source + "Layers, most uneven first");
        List<String> head = new ArrayList<>(List.of("layer", "max / mean", "hottest experts (share)"));
        Arrays.stream(gpus).forEach(g -> head.add("balancedness EP " + g));
        List<List<Object>> rows = new ArrayList<>();
        for (ExpertAssessment.Layer l : a.bySkew()) {
            List<Object> row = new ArrayList<>(List.of(l.number(), text("%.2f", l.skew()), experts(l)));
            for (double b : l.balancedness()) {
                row.add(Double.isNaN(b) ? "–" : Html.Cell.heat(text("%.3f", b), "", 1 - b));
            }
            rows.add(row);
        }
        page.table(head, rows);
    }

    private static String text(String format, Object... values) {
        return String.format(Locale.ROOT, format, values);
    }
}
