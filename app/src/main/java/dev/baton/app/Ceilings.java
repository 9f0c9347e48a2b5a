package dev.baton.app;

import dev.baton.cuda.CudaDevice;
import dev.baton.model.DType;
import dev.baton.tensor.Device;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.Weight;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Random;

/**
 * What a device reaches at best, measured: the bounds of all other figures of the same process.
 *
 * @param copyBytesPerSecond of a copy within its memory, bytes read and bytes written
 * @param operationsPerSecond of a square product of BF16 weights
 */
record Ceilings(double copyBytesPerSecond, double operationsPerSecond) {
    private static final int REPEATS = 11;

    static Ceilings measure(Device device) {
        boolean gpu = !device.info().kind().equals("cpu");
        return new Ceilings(copy(device, gpu ? 2L << 30 : 128L << 20), product(device, gpu ? 8192 : 512));
    }

    private static double copy(Device device, long bytes) {
        Tensor from = noise(device, DType.F32, bytes / 4096, 1024);
        Tensor to = device.allocate(DType.F32, bytes / 4096, 1024);
        double seconds = seconds(device, () -> {
            if (device instanceof CudaDevice cuda) {
                cuda.copy(from, to);
            } else {
                device.ops().copy(from, to);
            }
        });
        return 2 * bytes / seconds;
    }

    private static double product(Device device, int size) {
        Tensor weight = noise(device, DType.BF16, size, size);
        Tensor x = noise(device, device.activationType(), size, size);
        Tensor out = device.allocate(device.activationType(), size, size);
        double seconds = seconds(device, () -> device.ops().linear(x, Weight.of(weight), out));
        return 2.0 * size * size * size / seconds;
    }

    private static double seconds(Device device, Runnable work) {
        double[] times = new double[REPEATS];
        for (int i = -3; i < REPEATS; i++) {
            device.synchronize();
            long start = System.nanoTime();
            work.run();
            device.synchronize();
            if (i >= 0) {
                times[i] = (System.nanoTime() - start) * 1e-9;
            }
        }
        Arrays.sort(times);
        return times[REPEATS / 2];
    }

    /** Random values of about 0.01 and either sign: zeros would be faster than real data. */
    private static Tensor noise(Device device, DType type, long rows, long columns) {
        Tensor tensor = device.allocate(type, rows, columns);
        long bytes = rows * columns * type.bytes();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment piece = arena.allocate(Math.min(bytes, 16L << 20), 64);
            Random random = new Random(1);
            for (long i = 0; i < piece.byteSize() / 4; i++) {
                piece.setAtIndex(ValueLayout.JAVA_INT, i, random.nextInt() & 0x80ff80ff | 0x3c003c00);
            }
            for (long at = 0; at < bytes; at += piece.byteSize()) {
                long count = Math.min(piece.byteSize(), bytes - at);
                Tensor part = Tensor.dense(tensor.memory().asSlice(at, count), DType.U8, count);
                device.toDevice(piece, part);
            }
            device.synchronize();
        }
        return tensor;
    }
}
