package dev.baton.trace.report;

import dev.baton.trace.TraceException;
import dev.baton.trace.diff.Comparison;
import dev.baton.trace.diff.Expectation;
import dev.baton.trace.diff.TraceDiff;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.ObjectWriteContext;
import tools.jackson.core.json.JsonFactory;

/** A comparison for the terminal, for programs and as a page. */
public final class DiffReport {
    private static final int MOST_KERNELS = 20;

    private DiffReport() {}

    /** What differs, most important first. */
    public static List<String> verdict(TraceDiff diff) {
        List<String> sentences = new ArrayList<>();
        for (Expectation.Judgement j : diff.judgements()) {
            sentences.add(
                    "Expected " + j.expectation().text() + ": " + j.outcome().title() + ". " + j.why() + ".");
        }
        diff.figures().stream()
                .filter(c -> c.name().equals("step"))
                .findFirst()
                .ifPresent(c -> sentences.add(String.format(
                        Locale.ROOT,
                        "A step takes %.2f ms in A and %.2f ms in B: %+.2f ms (%+.1f%%), %s.",
                        c.a().mean(),
                        c.b().mean(),
                        c.difference(),
                        100 * c.difference() / c.a().mean(),
                        sure(c))));
        List<Comparison> moved = diff.classes().stream()
                .filter(Comparison::isBeyondChance)
                .sorted(Comparator.comparingDouble(c -> -Math.abs(c.difference())))
                .limit(5)
                .toList();
        if (!moved.isEmpty()) {
            sentences.add("Kernel time moved in: "
                    + String.join(
                            ", ",
                            moved.stream()
                                    .map(c -> String.format(Locale.ROOT, "%s %+.2f ms", c.name(), c.difference()))
                                    .toList())
                    + " a step. Sums of classes do not add up to the step where kernels overlap.");
        }
        for (String name : List.of("overlap", "exposed", "idle")) {
            diff.figures().stream()
                    .filter(c -> c.name().equals(name) && c.isBeyondChance())
                    .findFirst()
                    .ifPresent(c -> sentences.add(String.format(
                            Locale.ROOT,
                            "%s: %.2f ms in A, %.2f ms in B (%+.2f).",
                            name.equals("overlap")
                                    ? "Communication hidden behind compute"
                                    : name.equals("exposed") ? "Exposed communication" : "Idle",
                            c.a().mean(),
                            c.b().mean(),
                            c.difference())));
        }
        return sentences;
    }

    private static String sure(Comparison c) {
        if (Double.isNaN(c.low())) {
            return "too few steps for an interval";
        }
        return String.format(
                Locale.ROOT,
                "95%% interval %+.2f to %+.2f, permutation p = %.3f%s",
                c.low(),
                c.high(),
                c.chance(),
                c.isBeyondChance() ? "" : ": not beyond chance");
    }

    /** For the terminal. */
    public static String text(TraceDiff diff) {
        StringBuilder text = new StringBuilder();
        verdict(diff).forEach(s -> text.append(s).append('\n'));
        text.append('\n').append(table("figure (ms a step)", diff.figures()));
        text.append('\n').append(table("kernel class (ms a step)", diff.classes()));
        TextTable kernels = new TextTable("kernel (ms a step)", "class", "A", "B", "B - A", "count A", "count B");
        diff.kernels().stream()
                .limit(12)
                .forEach(k -> kernels.row(
                        Names.shorten(k.comparison().name(), 56) + (k.partner().isEmpty() ? "" : " *"),
                        k.kernelClass().title(),
                        two(k.comparison().a().mean()),
                        two(k.comparison().b().mean()),
                        signed(k.comparison().difference()),
                        count(k.countA()),
                        count(k.countB())));
        text.append('\n').append(kernels);
        if (diff.kernels().stream().anyMatch(k -> !k.partner().isEmpty())) {
            text.append("* has another name in B: matched by class, launches and order\n");
        }
        diff.transfers().forEach(t -> text.append(t).append('\n'));
        diff.notes().forEach(n -> text.append("note: ").append(n).append('\n'));
        return text.toString();
    }

    private static TextTable table(String title, List<Comparison> comparisons) {
        TextTable table = new TextTable(title, "A", "B", "B - A", "95% interval", "p", "steps", "beyond chance");
        for (Comparison c : comparisons) {
            table.row(
                    c.name(),
                    two(c.a().mean()),
                    two(c.b().mean()),
                    signed(c.difference()),
                    interval(c),
                    Double.isNaN(c.chance()) ? "-" : String.format(Locale.ROOT, "%.3f", c.chance()),
                    c.a().values().length + "/" + c.b().values().length,
                    c.isBeyondChance() ? "yes" : "no");
        }
        return table;
    }

    /** As a page. */
    public static void page(TraceDiff diff, String nameA, String nameB, Path file) {
        Html page = new Html("Traces A and B", "A: " + nameA + ".  B: " + nameB + ".");
        page.verdict(verdict(diff)).notes(diff.notes());
        page.heading("Kernel time of a step by class");
        List<String> classes = diff.classes().stream().map(Comparison::name).toList();
        double[][] values = new double[2][classes.size()];
        for (int c = 0; c < classes.size(); c++) {
            values[0][c] = diff.classes().get(c).a().mean();
            values[1][c] = diff.classes().get(c).b().mean();
        }
        page.stackedBars(List.of("A", "B"), classes, values, "ms");
        page.heading("Figures of a step (ms)").table(head("figure"), rows(diff.figures()));
        page.heading("Kernel classes (ms a step)").table(head("class"), rows(diff.classes()));
        if (!diff.layers().isEmpty()) {
            page.heading("Where along the model: length of each layer, B minus A (us, median over steps)");
            double[][] columns = new double[diff.layers().size()][2];
            for (int l = 0; l < columns.length; l++) {
                double d = diff.layers().get(l)[1] - diff.layers().get(l)[0];
                columns[l] = new double[] {Math.max(0, d), Math.max(0, -d)};
            }
            page.stackedColumns("layer", List.of("longer in B", "shorter in B"), columns, "us");
        }
        page.heading("Kernels with the largest difference (ms a step)");
        List<List<Object>> rows = new ArrayList<>();
        for (TraceDiff.KernelPair k :
                diff.kernels().stream().limit(MOST_KERNELS).toList()) {
            rows.add(List.of(
                    Html.Cell.name(k.comparison().name()),
                    k.partner().isEmpty() ? "" : Html.Cell.name(k.partner()),
                    k.kernelClass().title(),
                    two(k.comparison().a().mean()),
                    two(k.comparison().b().mean()),
                    signed(k.comparison().difference()),
                    interval(k.comparison()),
                    count(k.countA()) + " / " + count(k.countB())));
        }
        page.table(List.of("kernel", "name in B", "class", "A", "B", "B - A", "95% interval", "launches A / B"), rows);
        if (!diff.transfers().isEmpty()) {
            page.heading("Exchanges: waiting for peers, moving bytes");
            diff.transfers().forEach(page::small);
        }
        page.small(
                "A sample is one step, averaged over the ranks of its side. Intervals are bootstrap percentiles of the"
                        + " difference of the means (4,000 seeded draws); p is the share of relabellings that differ as much."
                        + " Beyond chance: the interval excludes 0 and p is at most 0.05,"
                        + " which three steps a side can never reach.");
        page.write(file);
    }

    private static List<String> head(String first) {
        return List.of(first, "A", "B", "B - A", "95% interval", "p", "steps", "beyond chance");
    }

    private static List<List<Object>> rows(List<Comparison> comparisons) {
        double most = comparisons.stream()
                .mapToDouble(c -> Math.abs(c.difference()))
                .max()
                .orElse(1);
        List<List<Object>> rows = new ArrayList<>();
        for (Comparison c : comparisons) {
            rows.add(List.of(
                    c.name(),
                    two(c.a().mean()),
                    two(c.b().mean()),
                    Html.Cell.heat(
                            signed(c.difference()), "", c.isBeyondChance() ? Math.abs(c.difference()) / most : 0),
                    interval(c),
                    Double.isNaN(c.chance()) ? "–" : String.format(Locale.ROOT, "%.3f", c.chance()),
                    c.a().values().length + " / " + c.b().values().length,
                    c.isBeyondChance() ? "yes" : "no"));
        }
        return rows;
    }

    /**
     * For programs.
     *
     * @throws TraceException IO naming the file
     */
    public static void json(TraceDiff diff, Path file) {
        try (OutputStream out = Files.newOutputStream(file);
                JsonGenerator g = new JsonFactory().createGenerator(ObjectWriteContext.empty(), out)) {
            g.writeStartObject();
            g.writeArrayPropertyStart("verdict");
            verdict(diff).forEach(g::writeString);
            g.writeEndArray();
            comparisons(g, "figures", diff.figures());
            comparisons(g, "classes", diff.classes());
            comparisons(
                    g,
                    "kernels",
                    diff.kernels().stream()
                            .map(TraceDiff.KernelPair::comparison)
                            .toList());
            g.writeArrayPropertyStart("expectations");
            for (Expectation.Judgement j : diff.judgements()) {
                g.writeStartObject();
                g.writeStringProperty("expect", j.expectation().text());
                g.writeStringProperty("outcome", j.outcome().title());
                number(g, "value", j.value());
                number(g, "low", j.low());
                number(g, "high", j.high());
                g.writeStringProperty("why", j.why());
                g.writeEndObject();
            }
            g.writeEndArray();
            g.writeArrayPropertyStart("notes");
            diff.notes().forEach(g::writeString);
            g.writeEndArray();
            g.writeEndObject();
        } catch (IOException e) {
            throw new TraceException(TraceException.Code.IO, "cannot write " + file + ": " + e.getMessage(), e);
        }
    }

    private static void comparisons(JsonGenerator g, String key, List<Comparison> comparisons) {
        g.writeArrayPropertyStart(key);
        for (Comparison c : comparisons) {
            g.writeStartObject();
            g.writeStringProperty("name", c.name());
            number(g, "a_ms", c.a().mean());
            number(g, "b_ms", c.b().mean());
            number(g, "difference_ms", c.difference());
            number(g, "low_ms", c.low());
            number(g, "high_ms", c.high());
            number(g, "p", c.chance());
            samples(g, "a_samples_ms", c.a().values());
            samples(g, "b_samples_ms", c.b().values());
            g.writeBooleanProperty("bimodal", c.a().isBimodal() || c.b().isBimodal());
            g.writeEndObject();
        }
        g.writeEndArray();
    }

    private static void samples(JsonGenerator g, String key, double[] values) {
        g.writeArrayPropertyStart(key);
        for (double v : values) {
            g.writeNumber(v);
        }
        g.writeEndArray();
    }

    private static void number(JsonGenerator g, String key, double value) {
        if (Double.isFinite(value)) {
            g.writeNumberProperty(key, value);
        } else {
            g.writeNullProperty(key);
        }
    }

    private static String interval(Comparison c) {
        return Double.isNaN(c.low()) ? "-" : signed(c.low()) + " to " + signed(c.high());
    }

    private static String two(double value) {
        return Double.isNaN(value) ? "-" : String.format(Locale.ROOT, "%.2f", value);
    }

    private static String signed(double value) {
        return String.format(Locale.ROOT, "%+.2f", value);
    }

    private static String count(double value) {
        return String.format(Locale.ROOT, value == Math.rint(value) ? "%.0f" : "%.1f", value);
    }
}
