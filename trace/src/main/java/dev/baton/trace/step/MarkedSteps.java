package dev.baton.trace.step;

import dev.baton.trace.read.EventKind;
import dev.baton.trace.read.Events;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.IntStream;

/** Steps by named marks on the host: work belongs to the mark in which it was launched. */
final class MarkedSteps {
    private MarkedSteps() {}

    static List<Step> find(Work work, StepFinder.LaunchTable launches, Pattern name, StepKind kind) {
        Events e = work.trace().events();
        int[] marks = IntStream.range(0, e.size())
                .filter(i -> e.kind(i) == EventKind.ANNOTATION
                        && name.matcher(e.name(i)).find())
                .boxed()
                .sorted(Comparator.comparingLong(e::startNanos))
                .mapToInt(Integer::intValue)
                .toArray();
        long[] starts = Arrays.stream(marks).mapToLong(e::startNanos).toArray();
        List<IntStream.Builder> members = new ArrayList<>();
        for (int i = 0; i < marks.length; i++) {
            members.add(IntStream.builder());
        }
        for (int k = 0; k < work.events().length; k++) {
            int mark = last(starts, launches.nanos()[k]);
            if (mark >= 0 && launches.nanos()[k] < e.endNanos(marks[mark])) {
                members.get(mark).add(work.events()[k]);
            }
        }
        List<Step> steps = new ArrayList<>();
        for (int i = 0; i < marks.length; i++) {
            int[] events = members.get(i).build().toArray();
            if (events.length > 0) {
                steps.add(Step.of(kind, e.name(marks[i]), e, events, e.durationNanos(marks[i])));
            }
        }
        return steps;
    }

    /** Index of the last start at or before {@code at}, -1 when there is none. */
    private static int last(long[] starts, long at) {
        int found = Arrays.binarySearch(starts, at);
        return found >= 0 ? found : -found - 2;
    }
}
