package dev.baton.engine.record;

import dev.baton.engine.arch.RankCommunicators;
import dev.baton.engine.forward.PendingStep;
import dev.baton.engine.forward.RankObserver;
import dev.baton.engine.schedule.ForwardMode;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.protocol.ProfileRequest;
import dev.baton.tensor.Device;
import dev.baton.tensor.Ops;
import dev.baton.tensor.parallel.Communicator;
import dev.baton.tensor.parallel.Transfer;
import dev.baton.trace.RankCoordinates;
import dev.baton.trace.record.Span;
import dev.baton.trace.record.SpanRing;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;

/**
 * One rank's part of one profile: decides step by step whether it is recorded, counts, and hands each finished window
 * on. Exactly {@code num_steps} steps are recorded (of each stage with {@code profile_by_stage}); idle steps count, as
 * in SGLang, but never by stage. Called on the rank's thread, {@link #close} between two steps.
 */
final class RankProfile implements RankObserver {
    /** Added to a thread's number: the row of its messages. */
    private static final long MESSAGE_ROW = 1_000_000;

    private final RankCoordinates coordinates;
    private final ProfileRequest request;
    private final int[] replicaRanks;
    private final SpanSink sink;
    private final BiConsumer<RankProfile, Window> finished;
    private final Map<String, Window> open = new LinkedHashMap<>();
    private final long threadId = Thread.currentThread().threadId();
    private final String threadName = Thread.currentThread().getName();
    private @Nullable DeviceRecording deviceWork;
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
        /** First and last time of each recorded step, one after the other. */
        private final List<Long> times = new ArrayList<>();

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

        private boolean contains(long nanos) {
            for (int i = 0; i < times.size(); i += 2) {
                if (nanos >= times.get(i) && nanos <= times.get(i + 1)) {
                    return true;
                }
            }
            return false;
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

    /** The rank's threads, for the trace's metadata, and in a pipeline the row of its messages. */
    Map<Long, String> threadNames() {
        Map<Long, String> names = new HashMap<>(sink.helpers());
        names.put(threadId, threadName);
        if (coordinates.ppSize() > 1) {
            names.put(threadId + MESSAGE_ROW, threadName + ", messages");
        }
        return names;
    }

    boolean recordsShapes() {
        return !Boolean.FALSE.equals(request.recordShapes());
    }

    @Override
    public void attach(Device device) {
        this.deviceWork = new DeviceRecording(device.activity(), request.activities());
    }

    /** Only where nothing else would show what a step consists of, or where it is asked for. */
    @Override
    public boolean watchesOperators() {
        return request.activities().contains(ProfileRequest.OPERATORS)
                || deviceWork == null
                || !deviceWork.showsSteps();
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
        if (current != null && deviceWork != null) {
            deviceWork.start();
        }
        stepStart = System.nanoTime();
    }

    @Override
    public void stepEnded(StepPlan plan, PendingStep step) {
        Window window = current;
        if (window == null) {
            return;
        }
        sink.annotation(plan.title(), stepStart, new Span.Step(plan.step(), plan.sequences(), plan.tokens()));
        sink.openOn(null);
        current = null;
        window.times.add(stepStart);
        window.times.add(System.nanoTime());
        window.steps++;
        Integer most = request.numSteps();
        if (most != null && window.steps >= most) {
            finish(window);
        }
    }

    /**
     * A message appears twice. On the thread's row stands how long the thread turned to it, under SGLang's names, in two
     * parts: waiting for the peer, moving bytes. On a row of its own, as a collective of both ranks, stands what of its
     * time the thread waited for, or its mere movement when nobody did.
     */
    @Override
    public void exchanged(Message message, long step, int stage, long startNanos, long endNanos, Transfer.Moved moved) {
        boolean out = message == Message.STREAM_OUT || message == Message.IDS_OUT;
        boolean ids = message == Message.IDS_OUT || message == Message.IDS_IN;
        if (ids) {
            String name = out ? "send_res_dict_to_next_stage" : "recv_res_dict_from_prev_stage";
            sink.annotation(name, startNanos, endNanos, null);
        }
        sink.annotation(out ? "send_tensor_dict" : "recv_tensor_dict", startNanos, endNanos, null);
        long matched = Math.clamp(moved.matchedNanos(), startNanos, endNanos);
        sink.annotation("wait_for_peer", startNanos, matched, null);
        sink.annotation("move_bytes", matched, Math.clamp(moved.doneNanos(), matched, endNanos), null);
        boolean waited = moved.doneNanos() > startNanos;
        int here = replicaRanks[coordinates.pp() * coordinates.tpSize() + coordinates.tp()];
        int there = replicaRanks[stage * coordinates.tpSize() + coordinates.tp()];
        sink.message(
                threadId + MESSAGE_ROW,
                out ? "send" : "recv",
                waited ? Math.max(startNanos, moved.postedNanos()) : moved.matchedNanos(),
                moved.doneNanos(),
                moved.bytes(),
                (ids ? "pp_ids " : "pp_stream ") + step,
                new int[] {Math.min(here, there), Math.max(here, there)});
    }

    private long phaseStart;

    @Override
    public void phaseBegan(Phase phase) {
        phaseStart = System.nanoTime();
    }

    @Override
    public void phaseEnded(Phase phase) {
        sink.annotation(phase.title(), phaseStart, null);
    }

    private void finish(Window window) {
        if (!window.isDone) {
            window.isDone = true;
            if (deviceWork != null) {
                deviceWork.finish(window.ring, window::contains);
            }
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
