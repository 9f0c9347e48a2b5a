package dev.baton.tensor.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.model.DType;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.TensorException;
import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;

class CpuDeviceTest {
    @Test
    void memoryIsAlignedZeroedAndCounted() {
        try (CpuDevice device = CpuDevice.open(1)) {
            Tensor a = device.allocate(DType.BF16, 3, 5);
            Tensor b = device.allocate(DType.F32, 7);
            assertThat(a.memory().address() % 64).isZero();
            assertThat(b.memory().address() % 64).isZero();
            assertThat(b.memory().toArray(java.lang.foreign.ValueLayout.JAVA_FLOAT))
                    .containsOnly(0f);
            assertThat(device.allocatedBytes()).isEqualTo(30 + 28);
        }
    }

    @Test
    void theLimitIsAClearError() {
        try (CpuDevice device = CpuDevice.open(CpuOptions.of(1).withMemoryLimitBytes(1000))) {
            device.allocate(DType.F32, 200);
            assertThatThrownBy(() -> device.allocate(DType.F32, 11, 5))
                    .isInstanceOfSatisfying(
                            TensorException.class,
                            e -> assertThat(e.code()).isEqualTo(TensorException.Code.OUT_OF_MEMORY))
                    .hasMessageContaining("220 bytes")
                    .hasMessageContaining("800 of 1000");
            assertThatThrownBy(() -> device.allocate(DType.F32, Long.MAX_VALUE, 5))
                    .isInstanceOfSatisfying(
                            TensorException.class,
                            e -> assertThat(e.code()).isEqualTo(TensorException.Code.OUT_OF_MEMORY));
            assertThat(device.allocate(DType.F32, 50).elements()).isEqualTo(50);
        }
    }

    @Test
    void placeKeepsNativeMemoryAndCopiesHeapMemory() {
        try (CpuDevice device = CpuDevice.open(1)) {
            Tensor own = device.allocate(DType.F32, 4);
            assertThat(device.place("own", own)).isSameAs(own);
            Tensor heap = new Tensor(MemorySegment.ofArray(new float[] {1, 2, 3, 4, 5, 6}), DType.F32, 3, 2, 2);
            Tensor placed = device.place("heap", heap);
            assertThat(placed.memory().isNative()).isTrue();
            float[] back = new float[4];
            device.toHost(placed, MemorySegment.ofArray(back));
            assertThat(back).containsExactly(1, 2, 4, 5);
        }
    }

    @Test
    void bytesGoInAndOut() {
        try (CpuDevice device = CpuDevice.open(1)) {
            Tensor t = device.allocate(DType.I32, 2, 2);
            device.toDevice(MemorySegment.ofArray(new int[] {1, 2, 3, 4}), t);
            int[] back = new int[4];
            device.toHost(t, MemorySegment.ofArray(back));
            assertThat(back).containsExactly(1, 2, 3, 4);
            assertThatThrownBy(() -> device.toDevice(MemorySegment.ofArray(new int[3]), t))
                    .isInstanceOf(TensorException.class)
                    .hasMessageContaining("16 bytes");
            assertThatThrownBy(() -> device.toHost(t.columnRange(0, 1), MemorySegment.ofArray(back)))
                    .isInstanceOf(TensorException.class)
                    .hasMessageContaining("dense");
        }
    }
}
