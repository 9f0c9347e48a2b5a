package dev.baton.lab.view;

import dev.baton.trace.align.RankSet;
import dev.baton.trace.analyse.Medians;
import dev.baton.trace.analyse.RankAnalysis;
import dev.baton.trace.analyse.StepMetrics;
import dev.baton.trace.classify.KernelClass;
import dev.baton.trace.read.Events;
import dev.baton.trace.report.Verdict;
import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.ObjectWriteContext;
import tools.jackson.core.json.JsonFactory;

/** What the page asks for, as JSON. Times are microseconds, clocks corrected. */
final class ViewData {
    /** Pieces of work of one rank in one answer: more than a screen can show. */
    private static final int MOST_EVENTS = 20_000;

    private static final int BINS = 60;

    private final JsonFactory json = new JsonFactory();
    private final RankSet set;
    private final List<String> notes;

    ViewData(RankSet set, List<String> notes) {
        this.set = set;
        this.notes = notes;
    }

    private interface Content {
        void write(JsonGenerator g);
    }

    private byte[] object(Content content) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (JsonGenerator g = json.createGenerator(ObjectWriteContext.empty(), out)) {
            g.writeStartObject();
            content.write(g);
            g.writeEndObject();
        }
        return out.toByteArray();
    }

    /** Unix time of an instant of a rank's trace, its clock's offset taken out. */
    private long time(int rankIndex, long nanos) {
        RankAnalysis rank = set.ranks().get(rankIndex);
        return rank.work().trace().info().baseNanos()
                + nanos
                - set.clocks().get(rankIndex).correctionNanos();
    }

    /** The verdict, and each rank with its steps. */
    byte[] ranks() {
        return object(g -> {
            strings(g, "verdict", Verdict.of(set));
            strings(g, "notes", notes);
            strings(
                    g,
                    "classes",
                    Arrays.stream(KernelClass.values()).map(KernelClass::title).toList());
            g.writeArrayPropertyStart("ranks");
            for (int r = 0; r < set.ranks().size(); r++) {
                RankAnalysis rank = set.ranks().get(r);
                g.writeStartObject();
                g.writeNumberProperty("rank", rank.rank());
                g.writeStringProperty("name", rank.displayName());
                g.writeArrayPropertyStart("steps");
                for (int s = 0; s < rank.steps().size(); s++) {
                    StepMetrics m = rank.steps().get(s);
                    g.writeStartObject();
                    g.writeStringProperty("name", m.step().name());
                    g.writeNumberProperty("ms", m.step().durationNanos() / 1e6);
                    g.writeNumberProperty("exposed", m.exposedNanos() / 1e6);
                    g.writeNumberProperty("wait", set.waitNanos()[r][s] / 1e6);
                    g.writeEndObject();
                }
                g.writeEndArray();
                g.writeEndObject();
            }
            g.writeEndArray();
        });
    }

    /** The work of one step on every rank that has it, in columns; times from the first rank's start. Empty for none. */
    byte[] step(int index) {
        long first = Long.MAX_VALUE;
        for (int r = 0; r < set.ranks().size(); r++) {
            List<StepMetrics> steps = set.ranks().get(r).steps();
            if (index >= 0 && index < steps.size()) {
                first = Math.min(first, time(r, steps.get(index).step().startNanos()));
            }
        }
        if (first == Long.MAX_VALUE) {
            return new byte[0];
        }
        long from = first;
        return object(g -> {
            Map<String, Integer> names = new LinkedHashMap<>();
            g.writeArrayPropertyStart("ranks");
            for (int r = 0; r < set.ranks().size(); r++) {
                if (index < set.ranks().get(r).steps().size()) {
                    rankStep(g, r, index, from, names);
                }
            }
            g.writeEndArray();
            strings(g, "names", new ArrayList<>(names.keySet()));
        });
    }

    private void rankStep(JsonGenerator g, int r, int index, long from, Map<String, Integer> names) {
        RankAnalysis rank = set.ranks().get(r);
        Events e = rank.work().trace().events();
        int[] all = rank.steps().get(index).step().events();
        int[] events = Arrays.copyOf(all, Math.min(all.length, MOST_EVENTS));
        g.writeStartObject();
        g.writeNumberProperty("rank", rank.rank());
        g.writeNumberProperty("left_out", all.length - events.length);
        column(g, "start", events, i -> (time(r, e.startNanos(i)) - from) / 1e3);
        column(g, "dur", events, i -> e.durationNanos(i) / 1e3);
        column(g, "cls", events, i -> rank.classOf(i).ordinal());
        column(g, "name", events, i -> names.computeIfAbsent(e.name(i), n -> names.size()));
        column(g, "event", events, i -> e.ordinal(i));
        g.writeEndObject();
    }

    private interface Cell {
        double of(int event);
    }

    private static void column(JsonGenerator g, String key, int[] events, Cell cell) {
        g.writeArrayPropertyStart(key);
        for (int i : events) {
            double value = cell.of(i);
            if (value == Math.rint(value) && Math.abs(value) < 1e15) {
                g.writeNumber((long) value);
            } else {
                g.writeNumber(value);
            }
        }
        g.writeEndArray();
    }

    /** One kernel on every rank: figures, and how its durations spread in shared bins. Empty when no rank has it. */
    byte[] kernel(String name) {
        List<double[]> durations = new ArrayList<>();
        for (RankAnalysis rank : set.ranks()) {
            Events e = rank.work().trace().events();
            durations.add(Arrays.stream(rank.work().events())
                    .filter(i -> e.name(i).equals(name))
                    .mapToDouble(i -> e.durationNanos(i) / 1e3)
                    .sorted()
                    .toArray());
        }
        double low = durations.stream().flatMapToDouble(Arrays::stream).min().orElse(Double.NaN);
        double high = durations.stream().flatMapToDouble(Arrays::stream).max().orElse(Double.NaN);
        if (Double.isNaN(low)) {
            return new byte[0];
        }
        double width = Math.max(1e-3, (high - low) / BINS);
        return object(g -> {
            g.writeStringProperty("name", name);
            g.writeNumberProperty("low", low);
            g.writeNumberProperty("width", width);
            g.writeNumberProperty("bins", BINS);
            g.writeArrayPropertyStart("ranks");
            for (int r = 0; r < durations.size(); r++) {
                double[] d = durations.get(r);
                int[] bins = new int[BINS];
                for (double value : d) {
                    bins[Math.min(BINS - 1, (int) ((value - low) / width))]++;
                }
                g.writeStartObject();
                g.writeNumberProperty("rank", set.ranks().get(r).rank());
                g.writeNumberProperty("count", d.length);
                g.writeNumberProperty("sum_ms", Arrays.stream(d).sum() / 1e3);
                g.writeNumberProperty("min", d.length == 0 ? 0 : d[0]);
                g.writeNumberProperty("median", d.length == 0 ? 0 : Medians.of(d));
                g.writeNumberProperty("p95", d.length == 0 ? 0 : Medians.quantile(d, 0.95));
                g.writeNumberProperty("max", d.length == 0 ? 0 : d[d.length - 1]);
                g.writeName("histogram");
                g.writeArray(bins, 0, bins.length);
                g.writeEndObject();
            }
            g.writeEndArray();
        });
    }

    private static void strings(JsonGenerator g, String key, List<String> values) {
        g.writeArrayPropertyStart(key);
        values.forEach(g::writeString);
        g.writeEndArray();
    }
}
