package dev.baton.trace.step;

import dev.baton.trace.read.EventKind;
import dev.baton.trace.read.Events;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.IntStream;

/**
 * Cuts a device's work into steps: by graph replays, else by step annotations, else by {@code ProfilerStep} marks, else by
 * a repeating sequence of kernels. What cannot be told apart is one step.
 */
public final class StepFinder {
    /** SGLang and Baton: {@code step[MODE bs=N]}; vLLM: {@code execute_context_N(..)_generation_N(..)}. */
    private static final List<Pattern> ANNOTATIONS =
            List.of(Pattern.compile("^step\\["), Pattern.compile("^execute_(\\w*context|model|new)"));

    private static final Pattern PROFILER_STEP = Pattern.compile("^ProfilerStep#?\\s*\\d+");

    private StepFinder() {}

    /**
     * The steps and how they were found.
     *
     * @param kind of all the steps
     * @param steps by start; at least one unless there is no work
     * @param notes what a reader should know
     */
    public record Found(StepKind kind, List<Step> steps, List<String> notes) {}

    /** Finds the steps of a device's work. */
    public static Found find(Work work) {
        List<String> notes = new ArrayList<>();
        if (work.events().length == 0) {
            return new Found(StepKind.WHOLE, List.of(), notes);
        }
        LaunchTable launches = LaunchTable.of(work);
        List<Step> annotated = annotated(work, launches);
        List<Step> replays = GraphReplays.find(work, notes);
        boolean isPiecewise = !annotated.isEmpty() && replays.size() > 2 * annotated.size();
        if (isPiecewise) {
            notes.add("a step launches about " + replays.size() / annotated.size()
                    + " graphs: the steps are those of the annotations");
        }
        if (!replays.isEmpty() && !isPiecewise) {
            return new Found(StepKind.GRAPH_REPLAY, named(replays, annotated), notes);
        }
        if (!annotated.isEmpty()) {
            return new Found(StepKind.ANNOTATION, annotated, notes);
        }
        List<Step> profiled = MarkedSteps.find(work, launches, PROFILER_STEP, StepKind.PROFILER_STEP);
        if (!profiled.isEmpty()) {
            return new Found(StepKind.PROFILER_STEP, profiled, notes);
        }
        List<Step> repeated = RepeatingSteps.find(work);
        if (!repeated.isEmpty()) {
            notes.add("steps are told apart by a repeating sequence of kernels only: a step may begin anywhere in it");
            return new Found(StepKind.REPETITION, repeated, notes);
        }
        notes.add("no steps could be told apart: all the work counts as one");
        return new Found(StepKind.WHOLE, List.of(whole(work)), notes);
    }

    /** A replay whose work an annotation holds gets that annotation's name and host time. */
    private static List<Step> named(List<Step> replays, List<Step> annotated) {
        List<Step> named = new ArrayList<>();
        for (Step replay : replays) {
            Step mark = annotated.stream()
                    .filter(a -> a.startNanos() <= replay.startNanos() && a.endNanos() >= replay.endNanos())
                    .findFirst()
                    .orElse(null);
            named.add(
                    mark == null
                            ? replay
                            : new Step(
                                    replay.kind(),
                                    replay.name() + " in " + mark.name(),
                                    replay.events(),
                                    replay.startNanos(),
                                    replay.endNanos(),
                                    mark.hostNanos()));
        }
        return named;
    }

    private static Step whole(Work work) {
        return Step.of(StepKind.WHOLE, "all work", work.trace().events(), work.events(), -1);
    }

    private static List<Step> annotated(Work work, LaunchTable launches) {
        for (Pattern pattern : ANNOTATIONS) {
            List<Step> steps = MarkedSteps.find(work, launches, pattern, StepKind.ANNOTATION);
            if (!steps.isEmpty()) {
                return steps;
            }
        }
        return List.of();
    }

    /** When the host launched each piece of work. */
    record LaunchTable(long[] nanos) {
        static LaunchTable of(Work work) {
            Events e = work.trace().events();
            int[] runtime = IntStream.range(0, e.size())
                    .filter(i -> e.kind(i) == EventKind.RUNTIME && e.correlation(i) >= 0)
                    .toArray();
            long[] ids = Arrays.stream(runtime)
                    .mapToLong(e::correlation)
                    .sorted()
                    .distinct()
                    .toArray();
            long[] launched = new long[ids.length];
            for (int i : runtime) {
                launched[Arrays.binarySearch(ids, e.correlation(i))] = e.startNanos(i);
            }
            long[] nanos = new long[work.events().length];
            for (int k = 0; k < nanos.length; k++) {
                int event = work.events()[k];
                int at = work.device() < 0 ? -1 : Arrays.binarySearch(ids, e.correlation(event));
                nanos[k] = at < 0 ? e.startNanos(event) : launched[at];
            }
            return new LaunchTable(nanos);
        }
    }
}
