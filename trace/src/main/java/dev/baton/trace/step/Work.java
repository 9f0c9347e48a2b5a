package dev.baton.trace.step;

import dev.baton.trace.read.EventKind;
import dev.baton.trace.read.Events;
import dev.baton.trace.read.Trace;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.TreeMap;
import java.util.stream.IntStream;

/**
 * What one device did, in order of start. In a trace of Baton on a CPU the operators of the compute threads stand for
 * kernels.
 *
 * @param trace it is part of
 * @param device index; -1 for a CPU's operators
 * @param events indices into the trace's events, by start
 */
public record Work(Trace trace, int device, int[] events) {
    private static final String BATON_OPERATOR = "baton::";

    /** The work of every device in the trace, by device index; empty when nothing ran on a device. */
    public static List<Work> of(Trace trace) {
        Events e = trace.events();
        TreeMap<Integer, IntStream.Builder> devices = new TreeMap<>();
        for (int i = 0; i < e.size(); i++) {
            if (e.kind(i).isDeviceWork()) {
                devices.computeIfAbsent(e.device(i), d -> IntStream.builder()).add(i);
            }
        }
        List<Work> all = new ArrayList<>();
        devices.forEach((device, events) ->
                all.add(new Work(trace, device, byStart(e, events.build().toArray()))));
        if (all.isEmpty()) {
            int[] operators = IntStream.range(0, e.size())
                    .filter(i -> e.kind(i) == EventKind.OPERATOR && e.name(i).startsWith(BATON_OPERATOR))
                    .toArray();
            if (operators.length > 0) {
                all.add(new Work(trace, -1, byStart(e, operators)));
            }
        }
        return all;
    }

    /** Sorted by start, then by position in the file. */
    static int[] byStart(Events e, int[] events) {
        long[] keys = new long[events.length];
        for (int i = 0; i < events.length; i++) {
            keys[i] = e.startNanos(events[i]);
        }
        if (isAscending(keys)) {
            return events;
        }
        return Arrays.stream(events)
                .boxed()
                .sorted((a, b) -> {
                    int byTime = Long.compare(e.startNanos(a), e.startNanos(b));
                    return byTime != 0 ? byTime : Integer.compare(a, b);
                })
                .mapToInt(Integer::intValue)
                .toArray();
    }

    private static boolean isAscending(long[] keys) {
        for (int i = 1; i < keys.length; i++) {
            if (keys[i] < keys[i - 1]) {
                return false;
            }
        }
        return true;
    }
}
