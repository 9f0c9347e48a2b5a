package dev.baton.trace.report;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/** Lines over a common axis, as SVG in a page. */
final class LineChart {
    /** Of {@link Html#COLOURS}: those that a thin line on white shows. */
    private static final int[] LINE_COLOURS = {0, 2, 4, 5, 8, 7, 9, 6};

    private static final int MOST_POINTS = 500;
    private static final double LEFT = 80;
    private static final double RIGHT = 1090;
    private static final double TOP = 40;
    private static final double BOTTOM = 225;

    private final StringBuilder page;
    private final double from;
    private final double to;
    private final double most;

    private LineChart(StringBuilder page, double from, double to, double most) {
        this.page = page;
        this.from = from;
        this.to = to;
        this.most = most;
    }

    static void draw(StringBuilder page, String axis, String unit, List<Html.Line> lines, List<Html.Mark> marks) {
        double from =
                lines.stream().flatMapToDouble(l -> Arrays.stream(l.x())).min().orElse(0);
        double to =
                lines.stream().flatMapToDouble(l -> Arrays.stream(l.x())).max().orElse(1);
        double highest = lines.stream()
                .flatMapToDouble(l -> Arrays.stream(l.y()))
                .filter(Double::isFinite)
                .max()
                .orElse(1);
        double step = round(Math.max(1e-9, highest) / 4);
        LineChart chart =
                new LineChart(page, from, Math.max(to, from + 1e-9), step * Math.ceil(Math.max(1e-9, highest) / step));
        Html.legend(
                page,
                lines.stream().map(Html.Line::name).toList(),
                i -> Html.COLOURS[LINE_COLOURS[i % LINE_COLOURS.length]]);
        page.append("<svg viewBox=\"0 0 1100 265\" width=\"1100\" role=\"img\">");
        chart.axes(axis, unit, step);
        for (int i = 0; i < lines.size(); i++) {
            chart.line(lines.get(i), Html.COLOURS[LINE_COLOURS[i % LINE_COLOURS.length]]);
        }
        chart.marks(marks);
        page.append("</svg>");
    }

    /** The next of 1, 2, 5, 10, ... */
    private static double round(double value) {
        double ten = Math.pow(10, Math.floor(Math.log10(value)));
        return ten * (value <= ten ? 1 : value <= 2 * ten ? 2 : value <= 5 * ten ? 5 : 10);
    }

    private double x(double value) {
        return LEFT + (RIGHT - LEFT) * (value - from) / (to - from);
    }

    private double y(double value) {
        return BOTTOM - (BOTTOM - TOP) * value / most;
    }

    private void axes(String axis, String unit, double step) {
        for (double tick = 0; tick <= most * 1.0001; tick += step) {
            add(
                    "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#e3e8ee\"/>",
                    LEFT, RIGHT, y(tick), y(tick));
            Html.text(page, LEFT - 6, y(tick) + 4, "end", label(tick));
        }
        Html.text(page, LEFT - 6, TOP - 24, "end", unit);
        double across = round((to - from) / 8);
        for (double tick = Math.ceil(from / across) * across; tick <= to; tick += across) {
            Html.text(page, x(tick), BOTTOM + 16, "middle", label(tick));
        }
        Html.text(page, (LEFT + RIGHT) / 2, BOTTOM + 36, "middle", axis);
    }

    private static String label(double value) {
        return value == Math.rint(value)
                ? String.format(Locale.ROOT, "%,.0f", value)
                : String.format(Locale.ROOT, Math.abs(value) < 0.1 ? "%.3f" : "%.2f", value);
    }

    private void line(Html.Line line, String colour) {
        int points = line.x().length;
        int stride = (points + MOST_POINTS - 1) / MOST_POINTS;
        page.append("<polyline fill=\"none\" stroke-width=\"1.5\" stroke=\"")
                .append(colour)
                .append("\" points=\"");
        for (int p = 0; p < points; p += stride) {
            int end = Math.min(points, p + stride);
            double mean = Arrays.stream(line.y(), p, end)
                    .filter(Double::isFinite)
                    .average()
                    .orElse(Double.NaN);
            if (Double.isFinite(mean)) {
                add("%.1f,%.1f ", x(line.x()[p]), y(mean));
            }
        }
        page.append("\"><title>").append(Html.escape(line.name())).append("</title></polyline>");
    }

    /** Marks close to each other have their labels on two heights. */
    private void marks(List<Html.Mark> marks) {
        for (int i = 0; i < marks.size(); i++) {
            double x = x(marks.get(i).x());
            add(
                    "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#1d2733\" stroke-dasharray=\"4 3\"/>",
                    x, x, TOP - 4, BOTTOM);
            boolean isRight = x > (LEFT + RIGHT) / 2;
            Html.text(
                    page,
                    x + (isRight ? -4 : 4),
                    TOP - 8 - 14 * (i % 2),
                    isRight ? "end" : "start",
                    marks.get(i).label());
        }
    }

    private void add(String format, Object... values) {
        page.append(String.format(Locale.ROOT, format, values));
    }
}
