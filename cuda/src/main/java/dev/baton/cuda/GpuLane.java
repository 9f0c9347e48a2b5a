package dev.baton.cuda;

import dev.baton.cuda.driver.Gpu;
import dev.baton.cuda.driver.GpuEvent;
import dev.baton.cuda.driver.LockedPages;
import java.lang.foreign.MemorySegment;

/** Page-locked buffers of one thread in turn: one is filled while the device takes the others. */
final class GpuLane implements WeightLane {
    private static final int BUFFERS = 2;
    /**
     * Between two copies the device's copy engine rests for the time of 0.3 MB; the buffers of all threads together must stay
     * small enough for the processor's last cache.
     */
    private static final long BUFFER_BYTES = 2 << 20;

    private final Gpu gpu;
    private final LockedPages pages;
    private final MemorySegment[] buffers = new MemorySegment[BUFFERS];
    /** Behind the last copy out of each buffer. */
    private final GpuEvent[] taken = new GpuEvent[BUFFERS];

    private int next;

    /**
     * For the calling thread.
     *
     * @param gpu whose stream all lanes share
     */
    GpuLane(Gpu gpu) {
        this.gpu = gpu;
        gpu.use();
        this.pages = gpu.lockedPages(BUFFERS * BUFFER_BYTES);
        for (int b = 0; b < BUFFERS; b++) {
            buffers[b] = pages.memory().asSlice(b * BUFFER_BYTES, BUFFER_BYTES);
            taken[b] = gpu.untimedEvent();
        }
    }

    @Override
    public long pieceBytes() {
        return BUFFER_BYTES;
    }

    @Override
    public void send(HostRows rows, long at, long count, long target) {
        taken[next].synchronize();
        rows.pack(at, count, buffers[next]);
        gpu.toDevice(buffers[next], target + at, count);
        taken[next].record();
        next = (next + 1) % BUFFERS;
    }

    @Override
    public void arrived() {
        gpu.synchronize();
    }

    @Override
    public void close() {
        for (GpuEvent event : taken) {
            event.close();
        }
        pages.close();
    }
}
