package dev.baton.engine.forward;

import dev.baton.model.DType;
import dev.baton.tensor.Device;
import dev.baton.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Host memory from which slots and ids of cached prefixes are copied to a device that may still be busy with the step
 * before. Two halves take turns, a step each: when a step begins, the one before the last has been done
 * ({@link LateChoices}). One thread.
 */
final class PrefixStaging {
    private final Device device;
    /** Ints of one half. */
    private final int room;

    private final MemorySegment memory;
    private int half;
    private int used;

    PrefixStaging(Device device, int contextTokens) {
        this.device = device;
        // Slots and ids of one sequence always fit.
        this.room = 2 * contextTokens;
        this.memory = device.hostBuffer(8L * room);
    }

    /** What is copied from here on belongs to the next step. */
    void nextStep() {
        half = 1 - half;
        used = 0;
    }

    /** Queues a copy of {@code values} to {@code table}, from element {@code at} on. */
    void copy(int[] values, Tensor table, long at) {
        if (values.length == 0) {
            return;
        }
        if (used + values.length > room) {
            device.synchronize();
            used = 0;
        }
        long from = 4L * (half * (long) room + used);
        MemorySegment staged = memory.asSlice(from, 4L * values.length);
        MemorySegment.copy(values, 0, staged, ValueLayout.JAVA_INT, 0, values.length);
        device.toDevice(
                staged, Tensor.dense(table.memory().asSlice(4 * at, 4L * values.length), DType.I32, values.length));
        used += values.length;
    }
}
