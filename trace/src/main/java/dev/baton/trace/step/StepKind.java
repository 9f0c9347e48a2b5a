package dev.baton.trace.step;

/** By what the steps of a trace were told apart. */
public enum StepKind {
    /** All work of one graph launch. */
    GRAPH_REPLAY("graph replay"),
    /** Work launched inside an annotation such as {@code step[DECODE bs=32]}. */
    ANNOTATION("annotation"),
    /** Work launched inside a {@code ProfilerStep#N} mark. */
    PROFILER_STEP("ProfilerStep"),
    /** A sequence of kernels that comes again and again. */
    REPETITION("repeating kernels"),
    /** Nothing tells steps apart: all the work is one. */
    WHOLE("whole trace");

    private final String title;

    StepKind(String title) {
        this.title = title;
    }

    public String title() {
        return title;
    }
}
