package dev.baton.cuda;

import dev.baton.cuda.driver.Gpu;
import dev.baton.cuda.driver.GpuEvent;
import dev.baton.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.stream.LongStream;

/**
 * Copies host tensors of any memory to the device by way of page-locked buffers in turn: several threads fill one, which also
 * reads what is mapped from files, while the device takes the others. Copied by the driver alone, such memory goes through the
 * one thread that calls.
 */
final class WeightStream {
    private static final int BUFFERS = 3;
    private static final long BUFFER_BYTES = 16 << 20;
    /** What a thread fills at once; less is not divided. */
    private static final long PIECE_BYTES = 1 << 20;

    /** Stands for any thread that does not own a confined arena. */
    private static final Thread OTHER = Thread.ofVirtual().unstarted(() -> {});

    private final Gpu gpu;
    private final MemorySegment[] buffers = new MemorySegment[BUFFERS];
    /** Behind the last copy out of each buffer. */
    private final GpuEvent[] taken = new GpuEvent[BUFFERS];

    private int next;

    WeightStream(Gpu gpu) {
        this.gpu = gpu;
        for (int b = 0; b < BUFFERS; b++) {
            buffers[b] = gpu.allocateHost(BUFFER_BYTES);
            taken[b] = gpu.event();
        }
    }

    /** Queues the copies of a matrix whose rows may lie apart to dense memory of the device; {@code host} may change at once. */
    void send(Tensor host, long target) {
        boolean dense = host.isDense() || host.rows() == 1;
        long size = host.dtype().bytes();
        long rowBytes = dense ? host.elements() * size : host.columns() * size;
        long strideBytes = dense ? rowBytes : host.rowStride() * size;
        long rows = dense ? 1 : host.rows();
        long bytes = rows * rowBytes;
        for (long at = 0; at < bytes; at += BUFFER_BYTES) {
            long count = Math.min(BUFFER_BYTES, bytes - at);
            MemorySegment buffer = buffers[next];
            taken[next].synchronize();
            fill(host.memory(), rowBytes, strideBytes, at, buffer, count);
            gpu.toDevice(buffer, target + at, count);
            taken[next].record();
            next = (next + 1) % BUFFERS;
        }
    }

    /** Bytes {@code [at, at + count)} of the rows, one behind the other. */
    static void fill(MemorySegment from, long rowBytes, long strideBytes, long at, MemorySegment buffer, long count) {
        LongStream pieces = LongStream.range(0, (count + PIECE_BYTES - 1) / PIECE_BYTES);
        boolean divided = count > PIECE_BYTES && from.isAccessibleBy(OTHER);
        (divided ? pieces.parallel() : pieces).forEach(piece -> {
            long end = Math.min(count, (piece + 1) * PIECE_BYTES);
            for (long done = piece * PIECE_BYTES, part; done < end; done += part) {
                long row = (at + done) / rowBytes;
                long column = (at + done) % rowBytes;
                part = Math.min(end - done, rowBytes - column);
                MemorySegment.copy(from, row * strideBytes + column, buffer, done, part);
            }
        });
    }

    /** When the device has taken everything. */
    void close() {
        for (int b = 0; b < BUFFERS; b++) {
            taken[b].close();
            gpu.freeHost(buffers[b]);
        }
    }
}
