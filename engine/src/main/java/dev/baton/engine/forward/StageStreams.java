package dev.baton.engine.forward;

import dev.baton.engine.EngineException;
import dev.baton.engine.arch.Stage;
import dev.baton.engine.arch.Workspace;
import dev.baton.engine.arch.WorkspacePlan;
import dev.baton.engine.forward.RankObserver.Message;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.model.DType;
import dev.baton.tensor.Device;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.TensorException;
import dev.baton.tensor.parallel.PointToPoint;
import dev.baton.tensor.parallel.Transfer;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayDeque;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a pipeline stage hands to the next one: the residual stream of a step's tokens; and what the last stage hands back
 * to the first: the ids that it chose. Without a pipeline it is one stream and nothing is handed anywhere.
 *
 * <p>Streams live in two buffers that steps take in turn. While a step computes in one of them the next step's stream
 * arrives in the other, and the one before it leaves it, so that neither side waits for bytes: a receive is posted as soon
 * as its buffer is free, a send is waited for when its buffer is wanted again. Ids arrive in buffers that were posted when
 * their step began; they are taken when a step needs them, at the latest. So a first stage that waits for ids waits for
 * steps that need nothing more of it: no order of events can lock the stages, whatever the number of buffers.
 *
 * <p>One thread, the rank's.
 */
final class StageStreams {
    /** Steps whose streams have a place on one stage. */
    private static final int STREAM_BUFFERS = 2;

    private final Stage stage;
    private final PointToPoint links;
    private final Device device;
    private final boolean synchronous;
    /** Steps take them in turn. */
    private final Stream[] streams;
    /** First stage: buffers of ids, one for each step whose ids are on their way. */
    private final ArrayDeque<IdBuffer> freeIds = new ArrayDeque<>();

    private final ArrayDeque<Awaited> awaited = new ArrayDeque<>();
    /** Last stage: ids that leave. */
    private final ArrayDeque<IdBuffer> leaving = new ArrayDeque<>();

    private @Nullable RankObserver observer;
    private long steps;

    /** One step's place. */
    private static final class Stream {
        private final Workspace buffers;
        private @Nullable Transfer receive;
        private @Nullable Transfer send;
        /** The step whose stream is being sent. */
        private long sentStep;

        Stream(Workspace buffers) {
            this.buffers = buffers;
        }
    }

    /** I32 [maxRows] on the device and on the host. */
    private static final class IdBuffer {
        private final Tensor ids;
        private final MemorySegment host;
        private @Nullable Transfer send;
        /** The step whose ids are being sent. */
        private long sentStep;

        IdBuffer(Device device, int maxRows) {
            this.ids = device.allocate(DType.I32, maxRows);
            this.host = device.hostBuffer(4L * maxRows);
        }
    }

    /** A step whose ids have not been taken; row and position of each sequence, position -1 where nothing is sampled. */
    private record Awaited(long step, int[] rows, int[] positions, IdBuffer buffer, Transfer receive) {}

    /**
     * @param plan buffers of one stream
     * @param synchronous sends are waited for at once and receives posted when they are needed, as a pipeline without
     *     asynchronous messages does
     */
    StageStreams(
            Device device,
            WorkspacePlan plan,
            Stage stage,
            PointToPoint links,
            int maxTokens,
            int maxRows,
            boolean synchronous) {
        this.stage = stage;
        this.links = links;
        this.device = device;
        this.synchronous = synchronous;
        this.streams = new Stream[buffers(stage, links)];
        for (int i = 0; i < streams.length; i++) {
            streams[i] = new Stream(new Workspace(device, plan, maxTokens));
        }
        if (stage.size() > 1 && (stage.isFirst() || stage.isLast())) {
            for (int i = 0; i < links.depth(); i++) {
                (stage.isFirst() ? freeIds : leaving).add(new IdBuffer(device, maxRows));
            }
        }
        postReceives();
    }

    private static int buffers(Stage stage, PointToPoint links) {
        return stage.size() == 1 ? 1 : Math.min(STREAM_BUFFERS, links.depth());
    }

    /** Bytes of all streams. */
    static long bytes(WorkspacePlan plan, Stage stage, PointToPoint links, int maxTokens) {
        return buffers(stage, links) * plan.bytes(maxTokens);
    }

    void observe(@Nullable RankObserver next) {
        this.observer = next;
    }

    private Stream current() {
        return streams[(int) (steps % streams.length)];
    }

    /** The one stream of a model without a pipeline. */
    Workspace only() {
        if (stage.size() > 1) {
            throw new IllegalStateException("a step of a stage has a stream of its own");
        }
        return streams[0].buffers;
    }

    /** Begins a step: where its stream lies, on a later stage after it has arrived. */
    Workspace begin(StepPlan plan, StepTables tables) {
        Stream stream = current();
        release(stream);
        if (stage.isFirst()) {
            expectIds(plan, tables);
            return stream.buffers;
        }
        Transfer receive = stream.receive;
        if (receive == null) {
            receive = links.receive(stage.index() - 1, stream.buffers.allRows(stream.buffers.maxTokens()));
        }
        long start = System.nanoTime();
        stream.receive = null;
        Transfer.Moved moved = receive.await();
        tell(Message.STREAM_IN, plan.step(), stage.index() - 1, start, moved);
        if (moved.rows() != plan.tokens()) {
            throw new EngineException(
                    EngineException.Code.INTERNAL,
                    "stage " + stage.index() + " got the stream of " + moved.rows() + " tokens for step " + plan.step()
                            + " of " + plan.tokens());
        }
        return stream.buffers;
    }

    /** Ends a step: its stream goes on to the next stage, if there is one, and what is free awaits what comes. */
    void end(StepPlan plan) {
        Stream stream = current();
        if (!stage.isLast()) {
            long start = System.nanoTime();
            Transfer send = links.send(stage.index() + 1, stream.buffers.allRows(plan.tokens()));
            stream.send = send;
            stream.sentStep = plan.step();
            if (synchronous || send.isDone()) {
                tell(Message.STREAM_OUT, plan.step(), stage.index() + 1, start, send.await());
                stream.send = null;
            }
        }
        steps++;
        postReceives();
    }

    /** Waits until the stream's bytes have left. */
    private void release(Stream stream) {
        Transfer send = stream.send;
        if (send != null) {
            long start = System.nanoTime();
            stream.send = null;
            tell(Message.STREAM_OUT, stream.sentStep, stage.index() + 1, start, send.await());
        }
    }

    /** Posts a receive for each of the next steps whose buffer is free, in their order. */
    private void postReceives() {
        if (stage.isFirst() || synchronous) {
            return;
        }
        for (int i = 0; i < streams.length; i++) {
            Stream stream = streams[(int) ((steps + i) % streams.length)];
            if (stream.receive != null) {
                continue;
            }
            Transfer send = stream.send;
            if (send != null && !send.isDone()) {
                return;
            }
            release(stream);
            stream.receive = links.receive(stage.index() - 1, stream.buffers.allRows(stream.buffers.maxTokens()));
        }
    }

    /** First stage: takes the ids that have come, and waits for those that the step reads. */
    void takeIds(StepPlan plan, StepTables tables) {
        int needed = 0;
        int i = 0;
        for (Awaited ids : awaited) {
            i++;
            if (ids.receive.isDone() || isRead(plan, ids)) {
                needed = i;
            }
        }
        for (; needed > 0; needed--) {
            takeOldest(tables);
        }
    }

    private static boolean isRead(StepPlan plan, Awaited ids) {
        for (int b = 0; b < plan.sequences(); b++) {
            if (plan.inputIds()[plan.tokenStart()[b]] >= 0) {
                continue;
            }
            for (int s = 0; s < ids.rows.length; s++) {
                if (ids.rows[s] == plan.rows()[b] && ids.positions[s] == plan.starts()[b]) {
                    return true;
                }
            }
        }
        return false;
    }

    private void takeOldest(StepTables tables) {
        Awaited oldest = awaited.removeFirst();
        long start = System.nanoTime();
        Transfer.Moved moved = oldest.receive.await();
        tell(Message.IDS_IN, oldest.step, stage.size() - 1, start, moved);
        IdBuffer buffer = oldest.buffer;
        device.toHost(buffer.ids.rowRange(0, moved.rows()), buffer.host);
        for (int b = 0; b < oldest.rows.length; b++) {
            if (oldest.positions[b] >= 0) {
                tables.store(oldest.rows[b], oldest.positions[b], buffer.host.getAtIndex(ValueLayout.JAVA_INT, b));
            }
        }
        freeIds.addLast(buffer);
    }

    /** First stage: the step's ids will come back; called before its stream is sent. */
    private void expectIds(StepPlan plan, StepTables tables) {
        if (!returnsIds(plan)) {
            return;
        }
        if (freeIds.isEmpty()) {
            takeOldest(tables);
        }
        IdBuffer buffer = freeIds.removeFirst();
        int[] positions = new int[plan.sequences()];
        for (int b = 0; b < positions.length; b++) {
            positions[b] = plan.samples()[b] ? plan.contextLength(b) : -1;
        }
        Transfer receive = links.receive(stage.size() - 1, List.of(buffer.ids));
        awaited.addLast(new Awaited(plan.step(), plan.rows(), positions, buffer, receive));
    }

    /** Last stage: tells the first one what was chosen, one id a sequence. */
    void returnIds(StepPlan plan, int[] ids) {
        if (!returnsIds(plan)) {
            return;
        }
        IdBuffer buffer = leaving.removeFirst();
        release(buffer);
        long start = System.nanoTime();
        MemorySegment.copy(ids, 0, buffer.host, ValueLayout.JAVA_INT, 0, plan.sequences());
        Tensor message = buffer.ids.rowRange(0, plan.sequences());
        device.toDevice(buffer.host, message);
        Transfer send = links.send(0, List.of(message));
        buffer.send = send;
        buffer.sentStep = plan.step();
        leaving.addLast(buffer);
        if (synchronous || send.isDone()) {
            tell(Message.IDS_OUT, plan.step(), 0, start, send.await());
            buffer.send = null;
        }
    }

    /** Waits until the ids have left. */
    private void release(IdBuffer buffer) {
        Transfer send = buffer.send;
        if (send != null) {
            long start = System.nanoTime();
            buffer.send = null;
            tell(Message.IDS_OUT, buffer.sentStep, 0, start, send.await());
        }
    }

    private boolean returnsIds(StepPlan plan) {
        if (stage.size() == 1) {
            return false;
        }
        for (boolean samples : plan.samples()) {
            if (samples) {
                return true;
            }
        }
        return false;
    }

    /** Waits until what is under way has arrived, so that this stage can leave. */
    void drain() {
        try {
            for (Stream stream : streams) {
                release(stream);
            }
            for (Awaited ids : awaited) {
                ids.receive.await();
            }
            for (IdBuffer buffer : leaving) {
                release(buffer);
            }
        } catch (TensorException failed) {
            // The stages have failed or a neighbour has left before: whoever waited for a step has been told.
            awaited.clear();
        }
    }

    private void tell(Message message, long step, int peer, long start, Transfer.Moved moved) {
        RankObserver watching = observer;
        if (watching != null) {
            watching.exchanged(message, step, peer, start, System.nanoTime(), moved);
        }
    }
}
