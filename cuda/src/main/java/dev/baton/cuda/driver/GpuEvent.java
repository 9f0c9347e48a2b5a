package dev.baton.cuda.driver;

import dev.baton.tensor.TensorException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** A mark in a stream. Used by one thread: the stream's, or one of several that share it, see {@link Gpu#openBeside}. */
public final class GpuEvent implements AutoCloseable {
    private static final int NOT_READY = 600;
    private static final int WITHOUT_TIME = 2;

    private final long stream;
    private final long event;

    GpuEvent(long stream, boolean timed) {
        this.stream = stream;
        int flags = timed ? 0 : WITHOUT_TIME;
        this.event = Cuda.longOf("cuEventCreate", result -> (int) Calls.EVENT_CREATE.invokeExact(result, flags));
    }

    /** Puts the mark behind everything queued so far. */
    public void record() {
        Cuda.run("cuEventRecord", () -> (int) Calls.EVENT_RECORD.invokeExact(event, stream));
    }

    /** Waits until the stream has passed the mark. */
    public void synchronize() {
        Cuda.run("cuEventSynchronize", () -> (int) Calls.EVENT_SYNCHRONIZE.invokeExact(event));
    }

    /** Whether the stream has passed the mark; true as well when it was never put. */
    public boolean hasPassed() {
        int code;
        try {
            code = (int) Calls.EVENT_QUERY.invokeExact(event);
        } catch (Throwable e) {
            throw new TensorException(TensorException.Code.FAULT, "cuEventQuery: " + e, e);
        }
        if (code != 0 && code != NOT_READY) {
            throw Cuda.failure("cuEventQuery", code);
        }
        return code == 0;
    }

    /** Device time from an earlier mark to this one, both timed and passed, in milliseconds. */
    public float millisSince(GpuEvent earlier) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment result = arena.allocate(ValueLayout.JAVA_FLOAT);
            long from = earlier.event;
            Cuda.run("cuEventElapsedTime", () -> (int) Calls.EVENT_ELAPSED.invokeExact(result, from, event));
            return result.get(ValueLayout.JAVA_FLOAT, 0);
        }
    }

    @Override
    public void close() {
        Cuda.run("cuEventDestroy", () -> (int) Calls.EVENT_DESTROY.invokeExact(event));
    }
}
