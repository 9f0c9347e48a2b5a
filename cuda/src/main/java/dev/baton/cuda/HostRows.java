package dev.baton.cuda;

import dev.baton.tensor.Tensor;
import java.lang.foreign.MemorySegment;

/**
 * Rows of host memory that may lie apart, seen as one run of bytes.
 *
 * @param rowBytes bytes of a row; all of them where rows follow each other
 * @param strideBytes from the beginning of one row to that of the next
 * @param bytes of all rows
 */
record HostRows(MemorySegment memory, long rowBytes, long strideBytes, long bytes) {
    static HostRows of(Tensor tensor) {
        long size = tensor.dtype().bytes();
        long bytes = tensor.elements() * size;
        return tensor.isDense() || tensor.rows() == 1
                ? new HostRows(tensor.memory(), bytes, bytes, bytes)
                : new HostRows(tensor.memory(), tensor.columns() * size, tensor.rowStride() * size, bytes);
    }

    /** Puts bytes {@code [at, at + count)} of the run at the beginning of a buffer. */
    void pack(long at, long count, MemorySegment buffer) {
        for (long done = 0, part; done < count; done += part) {
            long row = (at + done) / rowBytes;
            long column = (at + done) % rowBytes;
            part = Math.min(count - done, rowBytes - column);
            MemorySegment.copy(memory, row * strideBytes + column, buffer, done, part);
        }
    }
}
