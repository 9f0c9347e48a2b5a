package dev.baton.lab.report;

import dev.baton.lab.LabException;
import dev.baton.lab.report.Summary.Spread;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeSet;
import java.util.function.Function;

/** {@code report.html}: one page that needs nothing beside itself. */
public final class HtmlReport {
    private static final String STYLE = """
            :root { color-scheme: light; }
            body { font: 15px/1.5 system-ui, sans-serif; color: #1d2733; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; }
            h1 { font-size: 1.6rem; margin-bottom: .2rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
            p.lead { color: #46566a; margin-top: 0; }
            table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
            th, td { text-align: right; padding: .35rem .6rem; border-bottom: 1px solid #e3e8ee; }
            td:not(.range):not(.no):not(.yes) { white-space: nowrap; }
            th:first-child, td:first-child { text-align: left; } thead th { border-bottom: 2px solid #9fb0c3; }
            .range { color: #6b7b8d; font-size: .85em; } .yes { color: #14713d; font-weight: 600; } .no { color: #6b7b8d; }
            .note { background: #fff6e0; border-left: 4px solid #d9a21f; padding: .5rem .8rem; margin: .5rem 0; }
            img { max-width: 100%; } pre { background: #f4f6f9; padding: .8rem; overflow-x: auto; font-size: .8rem; }
            """;

    private HtmlReport() {}

    /**
     * Writes the page.
     *
     * @param plots PNG files to put in
     * @param files texts of the run to show at the end, title to content
     */
    public static Path write(Summary summary, List<Path> plots, Map<String, String> files, Path folder) {
        StringBuilder page = new StringBuilder(1 << 16);
        page.append("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>")
                .append(escape(summary.experiment()))
                .append("</title><link rel=\"icon\" href=\"data:,\"><style>")
                .append(STYLE)
                .append("</style></head><body><h1>")
                .append(escape(summary.experiment()))
                .append("</h1><p class=\"lead\">")
                .append(escape(summary.description()))
                .append("</p><p class=\"lead\">")
                .append(escape(summary.startedAt()))
                .append(String.format(Locale.ROOT, ", %.0f s.</p>", summary.seconds()));
        summary.notes()
                .forEach(n ->
                        page.append("<div class=\"note\">").append(escape(n)).append("</div>"));
        conclusions(page, summary);
        differences(page, summary);
        figures(page, summary);
        for (Path plot : plots) {
            page.append("<p><img alt=\"")
                    .append(plot.getFileName())
                    .append("\" src=\"data:image/png;base64,")
                    .append(base64(plot))
                    .append("\"></p>");
        }
        ranks(page, summary);
        experts(page, summary);
        domains(page, summary);
        files.forEach((title, text) -> page.append("<h2>")
                .append(escape(title))
                .append("</h2><pre>")
                .append(escape(text))
                .append("</pre>"));
        page.append("</body></html>\n");
        Path file = folder.resolve("report.html");
        try {
            Files.writeString(file, page);
        } catch (IOException e) {
            throw new LabException(LabException.Code.IO, "cannot write " + file + ": " + e.getMessage(), e);
        }
        return file;
    }

    private static void conclusions(StringBuilder page, Summary summary) {
        if (summary.verdicts().isEmpty()) {
            return;
        }
        page.append("<h2>Conclusion</h2><ul>");
        summary.verdicts()
                .forEach(v -> page.append(v.holds() ? "<li><b class=\"yes\">yes:</b> " : "<li><b>no:</b> ")
                        .append(escape(v.words()))
                        .append("</li>"));
        page.append("</ul>");
    }

    private static void differences(StringBuilder page, Summary summary) {
        if (summary.comparisons().isEmpty()) {
            return;
        }
        page.append("<h2>What differs</h2><table><thead><tr><th>figure</th><th>cell</th><th>")
                .append(escape(summary.baseline()))
                .append(
                        "</th><th>cell's median</th><th>ratio</th><th>larger than the spread?</th></tr></thead><tbody>");
        for (Summary.Comparison c : summary.comparisons()) {
            page.append("<tr><td>")
                    .append(escape(c.metric()))
                    .append("</td><td>")
                    .append(escape(c.cell()))
                    .append("</td>");
            page.append(String.format(
                    Locale.ROOT,
                    "<td>%.1f</td><td>%.1f</td><td>%.2f</td>",
                    c.baselineMedian(),
                    c.cellMedian(),
                    c.ratio()));
            String verdict = c.words().substring(c.words().lastIndexOf("), ") + 3);
            page.append(c.largerThanSpread() ? "<td class=\"yes\">yes: " : "<td class=\"no\">no: ")
                    .append(escape(verdict))
                    .append("</td></tr>");
        }
        page.append("</tbody></table>");
    }

    private static void figures(StringBuilder page, Summary summary) {
        page.append("<h2>Figures, median and range over the repeats</h2><table><thead><tr><th></th>");
        summary.cells()
                .forEach(c -> page.append("<th>").append(escape(c.name())).append("</th>"));
        page.append("</tr></thead><tbody>");
        row(page, summary, "repeats", c -> "" + c.repeats());
        row(page, summary, "requests completed / lost", c -> c.completed() + " / " + c.failed());
        spread(page, summary, "output tokens/s", Summary.Cell::outputThroughput);
        spread(page, summary, "total tokens/s", Summary.Cell::totalThroughput);
        spread(page, summary, "TTFT mean (ms)", Summary.Cell::meanTtftMs);
        spread(page, summary, "TTFT p99 (ms)", Summary.Cell::p99TtftMs);
        spread(page, summary, "TPOT mean (ms)", Summary.Cell::meanTpotMs);
        spread(page, summary, "TPOT p99 (ms)", Summary.Cell::p99TpotMs);
        spread(page, summary, "ITL mean (ms)", Summary.Cell::meanItlMs);
        spread(page, summary, "ITL p99 (ms)", Summary.Cell::p99ItlMs);
        spread(page, summary, "latency mean (ms)", Summary.Cell::meanE2eMs);
        spread(page, summary, "latency p99 (ms)", Summary.Cell::p99E2eMs);
        row(page, summary, "answers right", c -> c.accuracy() == null ? "&ndash;" : percent(c.accuracy()));
        if (summary.cells().stream().anyMatch(c -> !c.ranks().isEmpty())) {
            spread(page, summary, "full-batch tokens/s a rank", Summaries::fullBatchRate);
            spread(page, summary, "full-batch step (ms)", Summaries::fullBatchStepMs);
        }
        if (summary.cells().stream().anyMatch(c -> !c.experts().isEmpty())) {
            spread(page, summary, "expert balancedness", "%.3f", Summaries::balancedness);
        }
        page.append("</tbody></table>");
    }

    private static void ranks(StringBuilder page, Summary summary) {
        if (summary.cells().stream().allMatch(c -> c.ranks().isEmpty())) {
            return;
        }
        page.append(
                        "<h2>Steps of full batches, rank by rank</h2><table><thead><tr><th>cell</th><th>repeat</th><th>server</th><th>rank</th>")
                .append(
                        "<th>tokens</th><th>steps (ms)</th><th>median (ms)</th><th>tokens/s (trace)</th><th>tokens/s (log)</th></tr></thead><tbody>");
        for (Summary.Cell cell : summary.cells()) {
            for (Summary.RankSteps r : cell.ranks()) {
                StringBuilder steps = new StringBuilder();
                for (double ms : r.stepMs()) {
                    steps.append(steps.isEmpty() ? "" : " ").append(String.format(Locale.ROOT, "%.1f", ms));
                }
                Double logged = r.logTokensPerSecond();
                page.append("<tr><td>")
                        .append(escape(cell.name()))
                        .append("</td><td>")
                        .append(r.repeat())
                        .append("</td><td>")
                        .append(escape(r.server()));
                page.append("</td><td>")
                        .append(escape(r.rank()))
                        .append("</td><td>")
                        .append(r.batch())
                        .append("</td><td class=\"range\">")
                        .append(steps);
                page.append(String.format(
                        Locale.ROOT, "</td><td>%.2f</td><td>%.0f</td><td>", r.medianStepMs(), r.tokensPerSecond()));
                page.append(logged == null ? "&ndash;" : String.format(Locale.ROOT, "%.0f", logged))
                        .append("</td></tr>");
            }
        }
        page.append("</tbody></table>");
    }

    private static void experts(StringBuilder page, Summary summary) {
        if (summary.cells().stream().allMatch(c -> c.experts().isEmpty())) {
            return;
        }
        page.append(
                "<h2>Experts under full batches</h2><p class=\"lead\">Balancedness is the ranks' mean tokens over the"
                        + " busiest rank's, all passes together, mean over the layers: 1 is perfect. A rank's load is its tokens"
                        + " over the mean rank's, in the layer where it has most.</p><table><thead><tr><th>cell</th><th>repeat</th><th>server</th><th>passes</th>"
                        + "<th>balancedness</th><th>load of each rank</th></tr></thead><tbody>");
        for (Summary.Cell cell : summary.cells()) {
            for (Summary.ExpertLoad load : cell.experts()) {
                StringBuilder ranks = new StringBuilder();
                for (double share : load.rankLoads()) {
                    ranks.append(String.format(Locale.ROOT, "%.2f ", share));
                }
                Double balancedness = load.balancedness();
                page.append("<tr><td>").append(escape(cell.name()));
                page.append("</td><td>")
                        .append(load.repeat())
                        .append("</td><td>")
                        .append(escape(load.server()));
                page.append("</td><td>").append(load.passes()).append("</td><td>");
                page.append(balancedness == null ? "&ndash;" : String.format(Locale.ROOT, "%.3f", balancedness));
                page.append("</td><td class=\"range\">").append(ranks).append("</td></tr>");
            }
        }
        page.append("</tbody></table>");
    }

    private static void domains(StringBuilder page, Summary summary) {
        TreeSet<String> domains = new TreeSet<>();
        summary.cells().forEach(c -> domains.addAll(c.accuracyByDomain().keySet()));
        if (domains.isEmpty()) {
            return;
        }
        page.append("<h2>Right answers by domain</h2><table><thead><tr><th></th>");
        summary.cells()
                .forEach(c -> page.append("<th>").append(escape(c.name())).append("</th>"));
        page.append("</tr></thead><tbody>");
        for (String domain : domains) {
            row(page, summary, domain, c -> {
                Double accuracy = c.accuracyByDomain().get(domain);
                return accuracy == null ? "&ndash;" : percent(accuracy);
            });
        }
        page.append("</tbody></table>");
    }

    private static String percent(double share) {
        return String.format(Locale.ROOT, "%.1f%%", 100 * share);
    }

    private static void spread(
            StringBuilder page, Summary summary, String label, Function<Summary.Cell, Spread> figure) {
        spread(page, summary, label, "%.1f", figure);
    }

    private static void spread(
            StringBuilder page, Summary summary, String label, String number, Function<Summary.Cell, Spread> figure) {
        row(page, summary, label, c -> {
            Spread s = figure.apply(c);
            if (s.values().length == 0) {
                return "&ndash;";
            }
            String range = s.values().length < 2
                    ? ""
                    : String.format(
                            Locale.ROOT,
                            " <span class=\"range\">" + number + "&thinsp;&ndash;&thinsp;" + number + "</span>",
                            s.min(),
                            s.max());
            return String.format(Locale.ROOT, number, s.median()) + range;
        });
    }

    private static void row(StringBuilder page, Summary summary, String label, Function<Summary.Cell, String> html) {
        page.append("<tr><td>").append(escape(label)).append("</td>");
        summary.cells().forEach(c -> page.append("<td>").append(html.apply(c)).append("</td>"));
        page.append("</tr>");
    }

    private static String base64(Path file) {
        try {
            return Base64.getEncoder().encodeToString(Files.readAllBytes(file));
        } catch (IOException e) {
            throw new LabException(LabException.Code.IO, "cannot read " + file + ": " + e.getMessage(), e);
        }
    }

    private static String escape(String text) {
        return text.replace("&", "&amp;")
                .replace("<", "&lt;")
                .replace(">", "&gt;")
                .replace("\"", "&quot;");
    }
}
