package dev.baton.tensor.cpu;

import dev.baton.model.DType;
import dev.baton.tensor.Tensor;
import jdk.incubator.vector.FloatVector;

/** Where a {@link MatrixProduct} puts its sums: adds k-blocks in ascending order, and the bias last. */
final class ProductResult {
    private int k;
    private long bias;
    private DType biasType = DType.F32;
    private long out;
    private long outStride;

    /** Address and stride in bytes of rows of floats. */
    void output(long address, long stride) {
        this.out = address;
        this.outStride = stride;
    }

    /** A product over k elements, without bias. */
    void noBias(int k) {
        this.k = k;
        this.bias = 0;
    }

    /** One bias an output feature. */
    void bias(Tensor biases) {
        this.bias = Native.address(biases);
        this.biasType = biases.dtype();
    }

    /** Biases of the features n, n + spread, ... to {@link Scratch#bias}. */
    void loadBias(int n, int spread, int features, Scratch scratch) {
        if (bias == 0) {
            return;
        }
        for (int i = 0; i < features; i++) {
            scratch.bias[i] = Native.element(biasType, bias + (n + (long) i * spread) * biasType.bytes());
        }
    }

    /** Adds up the accumulators of {@code count} rows by 8 features and puts the first {@code features} into out. */
    void store(int row, int count, int n, int spread, int features, int k0, int kCount, Scratch scratch) {
        float[] sums = scratch.sums;
        Lanes.sum(scratch.lanes, count * MatrixProduct.TILE, sums);
        if (spread > 1 || features < MatrixProduct.TILE || Lanes.COUNT < MatrixProduct.TILE) {
            place(row, count, n, spread, 0, features, MatrixProduct.TILE, k0, kCount, scratch);
            return;
        }
        boolean last = bias != 0 && k0 + kCount == k;
        for (int i = 0; i < count; i++) {
            long target = out + (row + i) * outStride + 4L * n;
            FloatVector value = FloatVector.fromArray(Lanes.EIGHT, sums, i * MatrixProduct.TILE);
            if (k0 > 0) {
                value = FloatVector.fromMemorySegment(Lanes.EIGHT, Native.ALL, target, Native.ORDER)
                        .add(value);
            }
            if (last) {
                value = value.add(FloatVector.fromArray(Lanes.EIGHT, scratch.bias, 0));
            }
            value.intoMemorySegment(Native.ALL, target, Native.ORDER);
        }
    }

    /**
     * Puts sums [count, width] into out one by one: features {@code first} to {@code first + features} of the tile.
     */
    void place(
            int row,
            int count,
            int n,
            int spread,
            int first,
            int features,
            int width,
            int k0,
            int kCount,
            Scratch scratch) {
        boolean last = bias != 0 && k0 + kCount == k;
        for (int i = 0; i < count; i++) {
            long target = out + (row + i) * outStride + 4L * (n + first * spread);
            for (int j = 0; j < features; j++) {
                float value = scratch.sums[i * width + j];
                if (k0 > 0) {
                    value = Native.floatAt(target) + value;
                }
                if (last) {
                    value += scratch.bias[first + j];
                }
                Native.setFloat(target, value);
                target += 4L * spread;
            }
        }
    }
}
