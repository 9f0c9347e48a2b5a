package dev.baton.tensor;

import dev.baton.model.DType;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * A view of device memory: one to three dimensions, row-major, the last dimension dense. Rows (the last-but-one
 * dimension) may lie further apart than their length, so that a column range or a shard is a view and not a copy.
 *
 * <p>{@link #memory} starts at element 0. On a CPU device it can be read and written; on a CUDA device it carries only
 * the device address and the size. A tensor does not own its memory: the device or the mapped file does.
 */
public final class Tensor {
    private final MemorySegment memory;
    private final DType dtype;
    private final long[] shape;
    private final long rowStride;

    /**
     * @param memory starts at element 0
     * @param rowStride elements from one row to the next, at least the row's length
     */
    public Tensor(MemorySegment memory, DType dtype, long rowStride, long... shape) {
        if (shape.length < 1 || shape.length > 3) {
            throw new TensorException(
                    TensorException.Code.SHAPE, "a tensor has 1 to 3 dimensions, not " + Arrays.toString(shape));
        }
        long columns = shape[shape.length - 1];
        long rows = 1;
        for (int i = 0; i + 1 < shape.length; i++) {
            rows *= shape[i];
        }
        if (rowStride < columns) {
            throw new TensorException(
                    TensorException.Code.SHAPE, "row stride " + rowStride + " is less than the row length " + columns);
        }
        long needed = rows == 0 ? 0 : ((rows - 1) * rowStride + columns) * dtype.bytes();
        if (memory.byteSize() < needed) {
            throw new TensorException(
                    TensorException.Code.SHAPE,
                    "shape " + Arrays.toString(shape) + " of " + dtype + " needs " + needed + " bytes, the memory has "
                            + memory.byteSize());
        }
        this.memory = memory;
        this.dtype = dtype;
        this.rowStride = rowStride;
        this.shape = shape.clone();
    }

    /** A dense tensor over {@code memory}. */
    public static Tensor dense(MemorySegment memory, DType dtype, long... shape) {
        return new Tensor(memory, dtype, shape[shape.length - 1], shape);
    }

    public MemorySegment memory() {
        return memory;
    }

    public DType dtype() {
        return dtype;
    }

    public int dimensions() {
        return shape.length;
    }

    /** Length of dimension {@code i}. */
    public long size(int i) {
        return shape[i];
    }

    public long[] shape() {
        return shape.clone();
    }

    /** Product of all dimensions but the last. */
    public int rows() {
        long rows = 1;
        for (int i = 0; i + 1 < shape.length; i++) {
            rows *= shape[i];
        }
        return Math.toIntExact(rows);
    }

    /** Length of the last dimension. */
    public int columns() {
        return Math.toIntExact(shape[shape.length - 1]);
    }

    /** Elements from one row to the next. */
    public long rowStride() {
        return rowStride;
    }

    public boolean isDense() {
        return rowStride == columns();
    }

    public long elements() {
        long product = 1;
        for (long s : shape) {
            product *= s;
        }
        return product;
    }

    /** Rows {@code [from, from + count)} of a one or two dimensional tensor (elements of a vector), sharing memory. */
    public Tensor rowRange(long from, long count) {
        if (shape.length == 1) {
            return new Tensor(memory.asSlice(from * dtype.bytes()), dtype, Math.max(count, 1), count);
        }
        if (shape.length != 2 || from < 0 || count < 0 || from + count > shape[0]) {
            throw new TensorException(TensorException.Code.SHAPE, "rows [" + from + ", +" + count + ") of " + this);
        }
        return new Tensor(memory.asSlice(from * rowStride * dtype.bytes()), dtype, rowStride, count, shape[1]);
    }

    /** Columns {@code [from, from + count)} of a two dimensional tensor, sharing memory. */
    public Tensor columnRange(long from, long count) {
        if (shape.length != 2 || from < 0 || count < 0 || from + count > shape[1]) {
            throw new TensorException(TensorException.Code.SHAPE, "columns [" + from + ", +" + count + ") of " + this);
        }
        return new Tensor(memory.asSlice(from * dtype.bytes()), dtype, rowStride, shape[0], count);
    }

    /** Matrix {@code i} of a three dimensional tensor, sharing memory. */
    public Tensor matrix(long i) {
        if (shape.length != 3 || i < 0 || i >= shape[0]) {
            throw new TensorException(TensorException.Code.SHAPE, "matrix " + i + " of " + this);
        }
        return new Tensor(
                memory.asSlice(i * shape[1] * rowStride * dtype.bytes()), dtype, rowStride, shape[1], shape[2]);
    }

    /** The same dense elements in another shape. */
    public Tensor reshape(long... newShape) {
        Tensor reshaped = new Tensor(memory, dtype, newShape[newShape.length - 1], newShape);
        if (!isDense() || reshaped.elements() != elements()) {
            throw new TensorException(
                    TensorException.Code.SHAPE, this + " does not reshape to " + Arrays.toString(newShape));
        }
        return reshaped;
    }

    @Override
    public String toString() {
        return dtype + Arrays.toString(shape) + (isDense() ? "" : " stride " + rowStride);
    }
}
