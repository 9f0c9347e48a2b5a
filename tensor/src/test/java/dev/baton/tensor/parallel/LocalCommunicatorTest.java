package dev.baton.tensor.parallel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.model.DType;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.TensorException;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class LocalCommunicatorTest {
    private static final Duration LONG = Duration.ofSeconds(20);

    /** What one rank does. */
    private interface Body<T> {
        T run(Communicator communicator, Arena arena);
    }

    private static <T> List<Future<T>> start(
            ExecutorService pool, List<Communicator> group, Arena arena, Body<T> body) {
        List<Future<T>> futures = new ArrayList<>();
        for (Communicator communicator : group) {
            Callable<T> call = () -> body.run(communicator, arena);
            futures.add(pool.submit(call));
        }
        return futures;
    }

    private static <T> List<T> onEveryRank(int size, Body<T> body) throws Exception {
        try (ExecutorService pool = Executors.newFixedThreadPool(size);
                Arena arena = Arena.ofShared()) {
            List<T> results = new ArrayList<>();
            for (Future<T> future : start(pool, LocalCommunicator.group(size, LONG), arena, body)) {
                results.add(future.get(60, TimeUnit.SECONDS));
            }
            return results;
        }
    }

    private static Tensor random(Arena arena, long seed, int rows, int columns, int stride) {
        Tensor x = new Tensor(arena.allocate(4L * rows * stride, 64), DType.F32, stride, rows, columns);
        Random random = new Random(seed);
        for (int row = 0; row < rows; row++) {
            for (int i = 0; i < columns; i++) {
                x.memory().set(ValueLayout.JAVA_FLOAT, 4L * (row * stride + i), random.nextFloat() - 0.5f);
            }
        }
        return x;
    }

    private static float[] values(Tensor x) {
        float[] values = new float[(int) x.elements()];
        for (int i = 0; i < values.length; i++) {
            long index = i / x.columns() * x.rowStride() + i % x.columns();
            values[i] = x.memory().get(ValueLayout.JAVA_FLOAT, 4 * index);
        }
        return values;
    }

    @ParameterizedTest
    @CsvSource({"1,3,7,7", "2,1,1,1", "2,5,67,80", "3,4,129,129", "5,2,3,3"})
    void allReduceSumsInRankOrderOnEveryRank(int size, int rows, int columns, int stride) throws Exception {
        float[] expected = new float[rows * columns];
        try (Arena arena = Arena.ofConfined()) {
            for (int r = 0; r < size; r++) {
                float[] x = values(random(arena, r, rows, columns, stride));
                for (int i = 0; i < x.length; i++) {
                    expected[i] = r == 0 ? x[i] : expected[i] + x[i];
                }
            }
        }
        List<float[]> sums = onEveryRank(size, (communicator, arena) -> {
            Tensor x = random(arena, communicator.rank(), rows, columns, stride);
            communicator.allReduce(x);
            return values(x);
        });
        assertThat(sums).allSatisfy(sum -> assertThat(sum).containsExactly(expected));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3})
    void gatherThenScatterOfEqualPartsMultipliesBySize(int size) throws Exception {
        List<Boolean> same = onEveryRank(size, (communicator, arena) -> {
            Tensor x = random(arena, 7 + communicator.rank(), 3, 21, 21);
            Tensor all = new Tensor(arena.allocate(4L * 40 * 3 * size, 64), DType.F32, 40, 3L * size, 21);
            communicator.allGather(x, all);
            for (int r = 0; r < size; r++) {
                assertThat(values(all.rowRange(3L * r, 3))).containsExactly(values(random(arena, 7 + r, 3, 21, 21)));
            }
            Tensor part = random(arena, 0, 3, 21, 21);
            communicator.reduceScatter(all, part);
            float[] mine = values(x);
            float[] scattered = values(part);
            for (int i = 0; i < mine.length; i++) {
                assertThat(scattered[i]).isCloseTo(size * mine[i], org.assertj.core.data.Offset.offset(1e-5f));
            }
            return true;
        });
        assertThat(same).hasSize(size).containsOnly(true);
    }

    @Test
    void broadcastCopiesTheRootsTensor() throws Exception {
        List<float[]> results = onEveryRank(3, (communicator, arena) -> {
            Tensor x = random(arena, communicator.rank(), 2, 9, 12);
            communicator.broadcast(x, 1);
            return values(x);
        });
        assertThat(results.get(0)).containsExactly(results.get(1));
        assertThat(results.get(2)).containsExactly(results.get(1));
    }

    @Test
    void manyCollectivesInARowKeepTheRanksTogether() throws Exception {
        List<Float> results = onEveryRank(3, (communicator, arena) -> {
            Tensor x = Tensor.dense(arena.allocate(4, 64), DType.F32, 1, 1);
            float total = 0;
            for (int i = 0; i < 2000; i++) {
                x.memory().set(ValueLayout.JAVA_FLOAT, 0, i % 7 + communicator.rank());
                communicator.allReduce(x);
                total += x.memory().get(ValueLayout.JAVA_FLOAT, 0);
            }
            return total;
        });
        float expected = 0;
        for (int i = 0; i < 2000; i++) {
            expected += 3 * (i % 7) + 3;
        }
        assertThat(results).containsOnly(expected);
    }

    @Test
    void anAbsentRankIsNamedAfterTheDeadline() {
        List<Communicator> group = LocalCommunicator.group(2, Duration.ofMillis(100));
        assertThatThrownBy(group.get(0)::barrier)
                .isInstanceOfSatisfying(
                        TensorException.class, e -> assertThat(e.code()).isEqualTo(TensorException.Code.PEER))
                .hasMessageContaining("for ranks [1]");
        assertThatThrownBy(group.get(1)::barrier)
                .as("the group stays failed")
                .isInstanceOf(TensorException.class)
                .hasMessageContaining("for ranks [1]");
    }

    @Test
    void aFailedRankWakesTheWaitingOnes() throws Exception {
        List<Communicator> group = LocalCommunicator.group(3, LONG);
        try (ExecutorService pool = Executors.newFixedThreadPool(2);
                Arena arena = Arena.ofShared()) {
            List<Future<Boolean>> waiting = start(pool, group.subList(0, 2), arena, (communicator, a) -> {
                communicator.barrier();
                return true;
            });
            group.get(2).abort(new IllegalStateException("the kernel failed"));
            for (Future<Boolean> future : waiting) {
                assertThatThrownBy(() -> future.get(10, TimeUnit.SECONDS))
                        .isInstanceOf(ExecutionException.class)
                        .cause()
                        .isInstanceOfSatisfying(
                                TensorException.class, e -> assertThat(e.code()).isEqualTo(TensorException.Code.PEER))
                        .hasMessageContaining("the kernel failed");
            }
        }
    }

    @Test
    void differentShapesAreRefusedOnBothSides() throws Exception {
        try (ExecutorService pool = Executors.newFixedThreadPool(2);
                Arena arena = Arena.ofShared()) {
            for (Future<Boolean> future : start(pool, LocalCommunicator.group(2, LONG), arena, (communicator, a) -> {
                communicator.allReduce(random(a, 0, 2, 3 + communicator.rank(), 8));
                return true;
            })) {
                assertThatThrownBy(() -> future.get(10, TimeUnit.SECONDS))
                        .isInstanceOf(ExecutionException.class)
                        .cause()
                        .isInstanceOf(TensorException.class)
                        .hasMessageContaining("calls allReduce");
            }
        }
    }
}
