package dev.baton.engine.record;

import dev.baton.engine.arch.RankCommunicators;
import dev.baton.engine.forward.RankObserver;
import dev.baton.engine.schedule.ForwardMode;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.engine.schedule.StepResult;
import dev.baton.protocol.ProfileRequest;
import dev.baton.tensor.Ops;
import dev.baton.tensor.parallel.Communicator;
import dev.baton.trace.RankCoordinates;
import dev.baton.trace.record.Span;
import dev.baton.trace.record.SpanRing;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;

/**
 * One rank's part of one profile: decides step by step whether it is recorded, counts, and hands each finished window
 * on. Exactly {@code num_steps} steps are recorded (of each stage with {@code profile_by_stage}); idle steps count, as
 * in SGLang, but never by stage. Called on the rank's thread, {@link #close} between two steps.
 */
final class RankProfile implements RankObserver {
    private final RankCoordinates coordinates;
    private final ProfileRequest request;
    private final int[] replicaRanks;
    private final SpanSink sink;
    private final BiConsumer<RankProfile, Window> finished;
    private final Map<String, Window> open = new LinkedHashMap<>();
    private final long threadId = Thread.currentThread().threadId();
    private final String threadName = Thread.currentThread().getName();
    private @Nullable Window current;
    private long stepStart;
    private boolean closed;

    /**
     * A stretch of recorded steps.
     *
     * @param stage {@code ""}, {@code EXTEND} or {@code DECODE}: last part of the file's name
     */
    static final class Window {
        private final String stage;
        private final SpanRing ring = new SpanRing(SpanRing.DEFAULT_CAPACITY);
        private int steps;
        private boolean isDone;

        private Window(String stage) {
            this.stage = stage;
        }

        String stage() {
            return stage;
        }

        SpanRing ring() {
            return ring;
        }

        int steps() {
            return steps;
        }
    }

    /**
     * Made on the rank's thread.
     *
     * @param replicaRanks world rank of each rank of the replica
     */
    RankProfile(
            RankCoordinates coordinates,
            int[] replicaRanks,
            ProfileRequest request,
            BiConsumer<RankProfile, Window> finished) {
        this.coordinates = coordinates;
        this.request = request;
        this.finished = finished;
        this.sink = new SpanSink(!Boolean.FALSE.equals(request.recordShapes()));
        this.replicaRanks = replicaRanks;
        if (request.profileByStage()) {
            open.put(ForwardMode.EXTEND.name(), new Window(ForwardMode.EXTEND.name()));
            open.put(ForwardMode.DECODE.name(), new Window(ForwardMode.DECODE.name()));
        } else {
            open.put("", new Window(""));
        }
    }

    RankCoordinates coordinates() {
        return coordinates;
    }

    /** The rank's thread, for the trace's metadata. */
    Map<Long, String> threadNames() {
        return Map.of(threadId, threadName);
    }

    boolean recordsShapes() {
        return !Boolean.FALSE.equals(request.recordShapes());
    }

    @Override
    public Ops wrap(Ops ops) {
        return new RecordingOps(ops, sink);
    }

    @Override
    public Communicator wrap(RankCommunicators.Member group) {
        int[] worldRanks =
                group.ranks().stream().mapToInt(rank -> replicaRanks[rank]).toArray();
        return new RecordingCommunicator(group.communicator(), sink, worldRanks);
    }

    @Override
    public void stepBegan(StepPlan plan) {
        Long first = request.startStep();
        boolean isEarly = first != null && plan.step() < first;
        Window window =
                isEarly ? null : open.get(request.profileByStage() ? plan.mode().name() : "");
        current = window == null || window.isDone ? null : window;
        sink.openOn(current == null ? null : current.ring);
        stepStart = System.nanoTime();
    }

    @Override
    public void stepEnded(StepPlan plan, StepResult result) {
        Window window = current;
        if (window == null) {
            return;
        }
        sink.annotation(name(plan), stepStart, new Span.Step(plan.step(), plan.sequences(), plan.tokens()));
        sink.openOn(null);
        current = null;
        window.steps++;
        Integer most = request.numSteps();
        if (most != null && window.steps >= most) {
            finish(window);
        }
    }

    private long phaseStart;

    @Override
    public void phaseBegan(Phase phase) {
        phaseStart = System.nanoTime();
    }

    @Override
    public void phaseEnded(Phase phase) {
        sink.annotation("rank." + phase.name().toLowerCase(java.util.Locale.ROOT), phaseStart, null);
    }

    /** SGLang's step names. */
    private static String name(StepPlan plan) {
        return switch (plan.mode()) {
            case EXTEND -> "step[EXTEND bs=" + plan.sequences() + " toks=" + plan.tokens() + "]";
            case DECODE -> "step[DECODE bs=" + plan.sequences() + "]";
            case IDLE -> "step[IDLE bs=" + plan.sequences() + "]";
        };
    }

    private void finish(Window window) {
        if (!window.isDone) {
            window.isDone = true;
            finished.accept(this, window);
        }
    }

    /** Ends every window that is open; by stage, those that saw a step. */
    void close() {
        if (closed) {
            return;
        }
        closed = true;
        for (Window window : open.values()) {
            if (request.profileByStage() && window.steps == 0) {
                window.isDone = true;
            } else {
                finish(window);
            }
        }
    }

    /** True when nothing more will be recorded. */
    boolean isDone() {
        return open.values().stream().allMatch(w -> w.isDone);
    }
}
