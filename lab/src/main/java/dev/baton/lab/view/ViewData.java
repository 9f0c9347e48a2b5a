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
    /** Blocks in one answer, over all ranks and lanes: about a megabyte of JSON before packing. */
    private static final int MOST_BLOCKS = 80_000;

    /** Steps of all ranks together in one answer. */
    private static final int MOST_STEPS = 40_000;

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

    /** Where a step begins on the first rank that has it, in Unix nanoseconds; the largest long when none has it. */
    private long begin(int index) {
        long begin = Long.MAX_VALUE;
        for (int r = 0; r < set.ranks().size(); r++) {
            List<StepMetrics> steps = set.ranks().get(r).steps();
            if (index >= 0 && index < steps.size()) {
                begin = Math.min(begin, time(r, steps.get(index).step().startNanos()));
            }
        }
        return begin;
    }

    /** The verdict, and each rank with its steps; of very many steps the longest of each few. */
    byte[] ranks() {
        return object(g -> {
            strings(g, "verdict", Verdict.of(set));
            strings(g, "notes", notes);
            strings(
                    g,
                    "classes",
                    Arrays.stream(KernelClass.values()).map(KernelClass::title).toList());
            int steps =
                    set.ranks().stream().mapToInt(r -> r.steps().size()).max().orElse(0);
            int stride = 1 + (int) ((long) steps * set.ranks().size() / MOST_STEPS);
            g.writeNumberProperty("steps", steps);
            g.writeNumberProperty("stride", stride);
            g.writeArrayPropertyStart("ranks");
            for (int r = 0; r < set.ranks().size(); r++) {
                RankAnalysis rank = set.ranks().get(r);
                g.writeStartObject();
                g.writeNumberProperty("rank", rank.rank());
                g.writeStringProperty("name", rank.displayName());
                g.writeArrayPropertyStart("steps");
                for (int first = 0; first < rank.steps().size(); first += stride) {
                    int s = longest(
                            rank.steps(),
                            first,
                            Math.min(first + stride, rank.steps().size()));
                    StepMetrics m = rank.steps().get(s);
                    g.writeStartObject();
                    g.writeNumberProperty("index", s);
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

    private static int longest(List<StepMetrics> steps, int from, int to) {
        int longest = from;
        for (int s = from; s < to; s++) {
            boolean isLonger = steps.get(s).step().durationNanos()
                    > steps.get(longest).step().durationNanos();
            longest = isLonger ? s : longest;
        }
        return longest;
    }

    /**
     * A stretch of one step on every rank that has it, as blocks in columns; times from the first rank's start. Empty
     * when no rank has that step.
     *
     * @param from first microsecond shown
     * @param to last one; up to {@code from} for the whole step
     * @param blocks wanted a lane; fewer when there are many ranks
     * @param picked a kernel's name whose launches are given apart; empty for none
     */
    byte[] step(int index, double from, double to, int blocks, String picked) {
        long begin = begin(index);
        if (begin == Long.MAX_VALUE) {
            return new byte[0];
        }
        long last = begin;
        for (int r = 0; r < set.ranks().size(); r++) {
            List<StepMetrics> steps = set.ranks().get(r).steps();
            last = index < steps.size()
                    ? Math.max(last, time(r, steps.get(index).step().endNanos()))
                    : last;
        }
        double length = (last - begin) / 1e3;
        boolean isWhole = !(to > from);
        double shownFrom = isWhole ? 0 : from;
        double shownTo = isWhole ? length : to;
        int most =
                Math.clamp(MOST_BLOCKS / (2L * StepPicture.LANES * set.ranks().size()), 20, Math.max(20, blocks));
        return object(g -> {
            Map<String, Integer> names = new LinkedHashMap<>();
            g.writeNumberProperty("length", length);
            g.writeNumberProperty("from", shownFrom);
            g.writeNumberProperty("to", shownTo);
            g.writeArrayPropertyStart("ranks");
            for (int r = 0; r < set.ranks().size(); r++) {
                if (index < set.ranks().get(r).steps().size()) {
                    rankStep(g, new Shown(r, index, begin, shownFrom, shownTo, most), picked, names);
                }
            }
            g.writeEndArray();
            strings(g, "names", new ArrayList<>(names.keySet()));
        });
    }

    /**
     * What of a rank is asked for.
     *
     * @param rankIndex place of the rank in the set
     * @param begin where the step begins on the first rank, in Unix nanoseconds
     * @param from first microsecond shown
     * @param to last one
     * @param most blocks a lane
     */
    private record Shown(int rankIndex, int step, long begin, double from, double to, int most) {}

    /** The instant, microseconds after the step's begin, in nanoseconds of the rank's own trace. */
    private long nanos(int rankIndex, long begin, double micros) {
        return begin + Math.round(micros * 1e3) - time(rankIndex, 0);
    }

    private void rankStep(JsonGenerator g, Shown shown, String picked, Map<String, Integer> names) {
        int r = shown.rankIndex;
        RankAnalysis rank = set.ranks().get(r);
        Events e = rank.work().trace().events();
        long from = nanos(r, shown.begin, shown.from);
        long to = nanos(r, shown.begin, shown.to);
        long zero = shown.begin - time(r, 0);
        g.writeStartObject();
        g.writeNumberProperty("rank", rank.rank());
        g.writeNumberProperty("row", r);
        g.writeArrayPropertyStart("lanes");
        for (int lane = 0; lane < StepPicture.LANES; lane++) {
            List<StepPicture.Block> blocks = StepPicture.lane(rank, shown.step, lane, from, to, shown.most);
            g.writeStartObject();
            column(g, "start", blocks, b -> (b.startNanos() - zero) / 1e3);
            column(g, "dur", blocks, b -> (b.endNanos() - b.startNanos()) / 1e3);
            column(g, "busy", blocks, b -> b.busyNanos() / 1e3);
            column(g, "cls", blocks, b -> b.kernelClass().ordinal());
            column(g, "count", blocks, StepPicture.Block::count);
            column(g, "name", blocks, b -> names.computeIfAbsent(e.name(b.longestEvent()), n -> names.size()));
            g.writeEndObject();
        }
        g.writeEndArray();
        if (!picked.isEmpty()) {
            launches(g, shown, picked, from, to, zero);
        }
        g.writeEndObject();
    }

    /** The picked kernel's launches in the stretch; of more than a screen shows, every so manieth. */
    private void launches(JsonGenerator g, Shown shown, String picked, long from, long to, long zero) {
        RankAnalysis rank = set.ranks().get(shown.rankIndex);
        Events e = rank.work().trace().events();
        int name = StepPicture.nameId(rank, picked);
        int[] all = Arrays.stream(rank.steps().get(shown.step).step().events())
                .filter(i -> e.nameId(i) == name && e.startNanos(i) <= to && e.endNanos(i) >= from)
                .toArray();
        int stride = 1 + all.length / (2 * shown.most);
        List<Integer> some = new ArrayList<>();
        for (int i = 0; i < all.length; i += stride) {
            some.add(all[i]);
        }
        g.writeName("picked");
        g.writeStartObject();
        column(g, "start", some, i -> (e.startNanos(i) - zero) / 1e3);
        column(g, "dur", some, i -> e.durationNanos(i) / 1e3);
        g.writeEndObject();
    }

    private interface Cell<T> {
        double of(T row);
    }

    private static <T> void column(JsonGenerator g, String key, List<T> rows, Cell<T> cell) {
        g.writeArrayPropertyStart(key);
        for (T row : rows) {
            number(g, cell.of(row));
        }
        g.writeEndArray();
    }

    private static void number(JsonGenerator g, double value) {
        if (value == Math.rint(value) && Math.abs(value) < 1e15) {
            g.writeNumber((long) value);
        } else {
            g.writeNumber(value);
        }
    }

    /**
     * The work under a point of the picture: its kernel, which launch of the step it is, its event. Empty when there is
     * none.
     *
     * @param row the rank's place in the set
     * @param micros after the step's begin
     * @param slack microseconds beside it that still count
     */
    byte[] at(int index, int row, int lane, double micros, double slack) {
        if (row < 0
                || row >= set.ranks().size()
                || index < 0
                || index >= set.ranks().get(row).steps().size()) {
            return new byte[0];
        }
        RankAnalysis rank = set.ranks().get(row);
        long begin = begin(index);
        int event =
                StepPicture.eventAt(rank, index, lane, nanos(row, begin, micros), Math.max(0, Math.round(slack * 1e3)));
        if (event < 0) {
            return new byte[0];
        }
        Events e = rank.work().trace().events();
        long start = time(row, e.startNanos(event)) - begin;
        return object(g -> {
            g.writeStringProperty("name", e.name(event));
            g.writeNumberProperty("occurrence", StepPicture.occurrence(rank, index, event));
            g.writeStringProperty("class", rank.classOf(event).title());
            g.writeNumberProperty("rank", rank.rank());
            g.writeNumberProperty("start", start / 1e3);
            g.writeNumberProperty("dur", e.durationNanos(event) / 1e3);
            g.writeNumberProperty("event", e.ordinal(event));
        });
    }

    /**
     * One kernel on every rank: figures, and how its durations spread in shared bins. Empty when no rank has it.
     *
     * @param index of a step and
     * @param occurrence which of its launches is given beside, from 0; below 0 for none
     */
    byte[] kernel(String name, int index, int occurrence) {
        List<double[]> durations = new ArrayList<>();
        for (RankAnalysis rank : set.ranks()) {
            Events e = rank.work().trace().events();
            int id = StepPicture.nameId(rank, name);
            durations.add(Arrays.stream(rank.work().events())
                    .filter(i -> e.nameId(i) == id)
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
            g.writeStringProperty("class", kernelClass(name));
            g.writeNumberProperty("low", low);
            g.writeNumberProperty("width", width);
            g.writeNumberProperty("bins", BINS);
            g.writeArrayPropertyStart("ranks");
            for (int r = 0; r < durations.size(); r++) {
                g.writeStartObject();
                g.writeNumberProperty("rank", set.ranks().get(r).rank());
                distribution(g, durations.get(r), low, width);
                launch(g, r, name, index, occurrence);
                g.writeEndObject();
            }
            g.writeEndArray();
        });
    }

    private String kernelClass(String name) {
        for (RankAnalysis rank : set.ranks()) {
            int id = StepPicture.nameId(rank, name);
            if (id >= 0) {
                return rank.kernelClasses()[id].title();
            }
        }
        return "";
    }

    private static void distribution(JsonGenerator g, double[] d, double low, double width) {
        int[] bins = new int[BINS];
        for (double value : d) {
            bins[Math.min(BINS - 1, (int) ((value - low) / width))]++;
        }
        g.writeNumberProperty("count", d.length);
        g.writeNumberProperty("sum_ms", Arrays.stream(d).sum() / 1e3);
        g.writeNumberProperty("min", d.length == 0 ? 0 : d[0]);
        g.writeNumberProperty("median", d.length == 0 ? 0 : Medians.of(d));
        g.writeNumberProperty("p95", d.length == 0 ? 0 : Medians.quantile(d, 0.95));
        g.writeNumberProperty("max", d.length == 0 ? 0 : d[d.length - 1]);
        g.writeName("histogram");
        g.writeArray(bins, 0, bins.length);
    }

    /** The launch of that number in the step, from the begin of the step on the first rank. */
    private void launch(JsonGenerator g, int r, String name, int index, int occurrence) {
        RankAnalysis rank = set.ranks().get(r);
        if (occurrence < 0 || index < 0 || index >= rank.steps().size()) {
            return;
        }
        long begin = begin(index);
        int event = StepPicture.launch(rank, index, StepPicture.nameId(rank, name), occurrence);
        if (event >= 0) {
            Events e = rank.work().trace().events();
            g.writeNumberProperty("start", (time(r, e.startNanos(event)) - begin) / 1e3);
            g.writeNumberProperty("dur", e.durationNanos(event) / 1e3);
            g.writeNumberProperty("event", e.ordinal(event));
        }
    }

    private static void strings(JsonGenerator g, String key, List<String> values) {
        g.writeArrayPropertyStart(key);
        values.forEach(g::writeString);
        g.writeEndArray();
    }
}
