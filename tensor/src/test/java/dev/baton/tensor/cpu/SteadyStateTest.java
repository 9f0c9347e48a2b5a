package dev.baton.tensor.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import dev.baton.model.DType;
import dev.baton.tensor.AttentionBatch;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.Weight;
import java.lang.foreign.Arena;
import java.lang.management.ManagementFactory;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Operators allocate next to nothing once they are compiled. A vector that becomes an object, for want of inlining,
 * costs some 100 bytes each time, hundreds of thousands a call in the operators here.
 */
class SteadyStateTest {
    /** Views and slices of a call; far below one vector object a tile. */
    private static final long BYTES_A_CALL = 16 << 10;

    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    private final Arena arena = Arena.ofShared();
    private final Samples samples = new Samples(arena, 11);
    private final VectorOps ops = new VectorOps(new CpuWorkers(1, -1));

    @AfterEach
    void free() {
        ops.close();
        arena.close();
    }

    /** Runs until a hundred calls stay below the limit: compilation has no fixed moment; 60 s are the deadline. */
    private static void assertSettles(Runnable operator) {
        long deadline = System.nanoTime() + 60_000_000_000L;
        long bytes = Long.MAX_VALUE;
        while (bytes > 100 * BYTES_A_CALL && System.nanoTime() < deadline) {
            long before = THREADS.getCurrentThreadAllocatedBytes();
            for (int i = 0; i < 100; i++) {
                operator.run();
            }
            bytes = THREADS.getCurrentThreadAllocatedBytes() - before;
        }
        assertThat(bytes / 100).as("bytes allocated a call").isLessThanOrEqualTo(BYTES_A_CALL);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 3, 8, 67})
    void linear(int rows) {
        for (DType dtype : new DType[] {DType.BF16, DType.F32}) {
            Weight weight = Weight.of(samples.floats(dtype, 256, 256, 256));
            Tensor x = samples.floats(DType.F32, rows, 256, 256);
            Tensor out = samples.floats(rows, 256);
            assertSettles(() -> ops.linear(x, weight, out));
        }
    }

    @Test
    void attention() {
        Tensor keys = samples.floats(DType.BF16, 300, 128, 128);
        Tensor values = samples.floats(DType.BF16, 300, 128, 128);
        AttentionBatch decode = samples.batch(new int[] {1, 1}, new int[] {250, 200}, 300);
        AttentionBatch prefill = samples.batch(new int[] {70}, new int[] {70}, 300);
        Tensor q = samples.floats(DType.F32, 70, 14 * 64, 14 * 64);
        Tensor out = samples.floats(DType.F32, 70, 14 * 64, 14 * 64);
        assertSettles(
                () -> ops.attention(q.rowRange(0, 2), keys, values, decode, 14, 2, 64, 64, 0.125f, out.rowRange(0, 2)));
        assertSettles(() -> ops.attention(q, keys, values, prefill, 14, 2, 64, 64, 0.125f, out));
    }

    @Test
    void elementwise() {
        Tensor x = samples.floats(DType.F32, 64, 1024, 1024);
        Tensor y = samples.floats(DType.F32, 64, 1024, 1024);
        Tensor weight = samples.vector(DType.F32, 1024);
        assertSettles(() -> {
            ops.siluMul(x, y, y);
            ops.addRmsNorm(x, y, weight, 1e-6f, y);
        });
    }
}
