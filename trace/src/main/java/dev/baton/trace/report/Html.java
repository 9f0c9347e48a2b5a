package dev.baton.trace.report;

import dev.baton.trace.TraceException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.function.IntFunction;

/** Builds a page that needs nothing beside itself: tables and charts in place. */
public final class Html {
    /** Colours of series, readable side by side and in grey. */
    static final String[] COLOURS = {
        "#3b6ea8", "#7fb3d8", "#d9822b", "#c7ccd4", "#5a9a63", "#a3567e", "#e0b84c", "#6d5fa8", "#4fb0ae", "#9a6b45",
        "#8c8c8c"
    };

    private static final String STYLE = """
            :root { color-scheme: light; }
            body { font: 14px/1.5 system-ui, sans-serif; color: #1d2733; margin: 2rem auto; max-width: 74rem; padding: 0 1rem; }
            h1 { font-size: 1.5rem; margin-bottom: .2rem; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .4rem; }
            p.lead, p.small { color: #46566a; margin-top: 0; } p.small { font-size: .85rem; }
            .verdict { background: #eef4fa; border-left: 4px solid #3b6ea8; padding: .6rem 1rem; margin: 1rem 0; }
            .verdict p { margin: .25rem 0; } .verdict p:first-child { font-weight: 600; }
            .wide { overflow-x: auto; }
            table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .88rem; }
            th, td { text-align: right; padding: .25rem .5rem; border-bottom: 1px solid #e3e8ee; white-space: nowrap; }
            th:first-child, td:first-child { text-align: left; } thead th { border-bottom: 2px solid #9fb0c3; }
            td.name { font-family: ui-monospace, monospace; font-size: .8rem; max-width: 25rem; overflow: hidden; text-overflow: ellipsis; }
            .note { background: #fff6e0; border-left: 4px solid #d9a21f; padding: .4rem .8rem; margin: .4rem 0; }
            svg { max-width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: #1d2733; }
            .legend span { display: inline-block; margin-right: 1rem; } .legend i { display: inline-block; width: .8rem; height: .8rem; margin-right: .3rem; vertical-align: -1px; }
            """;

    private final StringBuilder page = new StringBuilder(1 << 16);

    public Html(String title, String lead) {
        page.append("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>")
                .append(escape(title))
                .append("</title><link rel=\"icon\" href=\"data:,\"><style>")
                .append(STYLE)
                .append("</style></head><body><h1>")
                .append(escape(title))
                .append("</h1><p class=\"lead\">")
                .append(escape(lead))
                .append("</p>");
    }

    public Html verdict(List<String> sentences) {
        page.append("<div class=\"verdict\">");
        sentences.forEach(s -> page.append("<p>").append(escape(s)).append("</p>"));
        page.append("</div>");
        return this;
    }

    public Html heading(String text) {
        page.append("<h2>").append(escape(text)).append("</h2>");
        return this;
    }

    public Html small(String text) {
        page.append("<p class=\"small\">").append(escape(text)).append("</p>");
        return this;
    }

    public Html notes(List<String> notes) {
        notes.forEach(n -> page.append("<div class=\"note\">").append(escape(n)).append("</div>"));
        return this;
    }

    /** A table; a cell may be a {@link Cell} with colour or hover text, anything else is printed. */
    public Html table(List<String> head, List<? extends List<?>> rows) {
        page.append("<div class=\"wide\"><table><thead><tr>");
        head.forEach(h -> page.append("<th>").append(escape(h)).append("</th>"));
        page.append("</tr></thead><tbody>");
        for (List<?> row : rows) {
            page.append("<tr>");
            for (Object value : row) {
                if (value instanceof Cell cell) {
                    page.append("<td")
                            .append(cell.isName ? " class=\"name\"" : "")
                            .append(cell.colour.isEmpty() ? "" : " style=\"background:" + cell.colour + "\"")
                            .append(" title=\"")
                            .append(escape(cell.hover))
                            .append("\">")
                            .append(escape(cell.text))
                            .append("</td>");
                } else {
                    page.append("<td>").append(escape(String.valueOf(value))).append("</td>");
                }
            }
            page.append("</tr>");
        }
        page.append("</tbody></table></div>");
        return this;
    }

    /**
     * @param text shown
     * @param hover shown under the pointer
     * @param colour of the ground; empty for none
     * @param isName whether it is a kernel's name
     */
    public record Cell(String text, String hover, String colour, boolean isName) {
        /** A kernel's name, shortened, with the whole name under the pointer. */
        public static Cell name(String name) {
            return new Cell(Names.shorten(name, 90), name, "", true);
        }

        /** A number on a ground that grows from white to orange with {@code share} (0 to 1). */
        public static Cell heat(String text, String hover, double share) {
            double s = Double.isFinite(share) ? Math.clamp(share, 0, 1) : 0;
            String colour = String.format(
                    Locale.ROOT, "rgb(%d,%d,%d)", (int) (255 - 20 * s), (int) (255 - 115 * s), (int) (255 - 195 * s));
            return new Cell(text, hover, colour, false);
        }
    }

    /**
     * Horizontal bars, each stacked of the series' values.
     *
     * @param values [bar][series]
     */
    public Html stackedBars(List<String> bars, List<String> series, double[][] values, String unit) {
        legend(series);
        double most = 1e-12;
        for (double[] bar : values) {
            double sum = 0;
            for (double v : bar) {
                sum += v;
            }
            most = Math.max(most, sum);
        }
        int height = 22 * bars.size() + 10;
        page.append("<svg viewBox=\"0 0 1100 ").append(height).append("\" width=\"1100\" role=\"img\">");
        for (int b = 0; b < bars.size(); b++) {
            double x = 170;
            double sum = 0;
            text(160, 22 * b + 17, "end", bars.get(b));
            for (int s = 0; s < series.size(); s++) {
                double width = 820 * values[b][s] / most;
                rect(
                        x,
                        22 * b + 4,
                        width,
                        17,
                        COLOURS[s % COLOURS.length],
                        series.get(s) + ": " + number(values[b][s]) + " " + unit);
                x += width;
                sum += values[b][s];
            }
            text(x + 6, 22 * b + 17, "start", number(sum) + " " + unit);
        }
        page.append("</svg>");
        return this;
    }

    /**
     * Columns, each stacked of the series' values, for many columns.
     *
     * @param values [column][series]
     */
    public Html stackedColumns(String axis, List<String> series, double[][] values, String unit) {
        legend(series);
        double most = 1e-12;
        for (double[] column : values) {
            double sum = 0;
            for (double v : column) {
                sum += v;
            }
            most = Math.max(most, sum);
        }
        double width = Math.min(40, 1010.0 / Math.max(1, values.length));
        page.append("<svg viewBox=\"0 0 1100 270\" width=\"1100\" role=\"img\">");
        for (int tick = 0; tick <= 4; tick++) {
            double y = 225 - 200.0 * tick / 4;
            page.append(String.format(
                    Locale.ROOT, "<line x1=\"70\" x2=\"1090\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#e3e8ee\"/>", y, y));
            text(64, y + 4, "end", number(most * tick / 4));
        }
        text(64, 14, "end", unit);
        for (int c = 0; c < values.length; c++) {
            double y = 225;
            for (int s = 0; s < series.size(); s++) {
                double height = 200 * values[c][s] / most;
                y -= height;
                rect(
                        74 + c * width,
                        y,
                        Math.max(1, width - 1),
                        height,
                        COLOURS[s % COLOURS.length],
                        axis + " " + c + ", " + series.get(s) + ": " + number(values[c][s]) + " " + unit);
            }
            if (values.length <= 30 || c % 5 == 0) {
                text(74 + (c + 0.5) * width, 240, "middle", "" + c);
            }
        }
        text(580, 260, "middle", axis);
        page.append("</svg>");
        return this;
    }

    /**
     * A line of a chart.
     *
     * @param x ascending
     * @param y one for each
     */
    public record Line(String name, double[] x, double[] y) {}

    /** A moment to mark on the axis below. */
    public record Mark(String label, double x) {}

    /** Lines over one axis from 0, with marked moments; lines of very many points are drawn by their means. */
    public Html lines(String axis, String unit, List<Line> lines, List<Mark> marks) {
        LineChart.draw(page, axis, unit, lines, marks);
        return this;
    }

    private void legend(List<String> series) {
        legend(page, series, s -> COLOURS[s % COLOURS.length]);
    }

    static void legend(StringBuilder page, List<String> series, IntFunction<String> colour) {
        page.append("<p class=\"legend\">");
        for (int s = 0; s < series.size(); s++) {
            page.append("<span><i style=\"background:")
                    .append(colour.apply(s))
                    .append("\"></i>")
                    .append(escape(series.get(s)))
                    .append("</span>");
        }
        page.append("</p>");
    }

    private void rect(double x, double y, double width, double height, String colour, String hover) {
        page.append(String.format(
                        Locale.ROOT,
                        "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"%s\"><title>",
                        x,
                        y,
                        width,
                        height,
                        colour))
                .append(escape(hover))
                .append("</title></rect>");
    }

    private void text(double x, double y, String anchor, String text) {
        text(page, x, y, anchor, text);
    }

    static void text(StringBuilder page, double x, double y, String anchor, String text) {
        page.append(String.format(Locale.ROOT, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor))
                .append(escape(text))
                .append("</text>");
    }

    /** About three digits. */
    static String number(double value) {
        double size = Math.abs(value);
        return String.format(Locale.ROOT, size >= 100 ? "%,.0f" : size >= 10 ? "%.1f" : "%.2f", value);
    }

    /**
     * Writes the page.
     *
     * @throws TraceException IO naming the file
     */
    public void write(Path file) {
        try {
            Files.writeString(file, page + "</body></html>\n");
        } catch (IOException e) {
            throw new TraceException(TraceException.Code.IO, "cannot write " + file + ": " + e.getMessage(), e);
        }
    }

    static String escape(String text) {
        return text.replace("&", "&amp;")
                .replace("<", "&lt;")
                .replace(">", "&gt;")
                .replace("\"", "&quot;");
    }
}
