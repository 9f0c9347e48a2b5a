package dev.baton.cuda.nccl;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.cuda.CudaDevice;
import dev.baton.cuda.CudaOptions;
import dev.baton.model.DType;
import dev.baton.tensor.Graph;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.TensorException;
import dev.baton.tensor.parallel.Communicator;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Collectives of two GPUs, each with a thread of this JVM. */
@Tag("gpu")
class NcclGroupTest {
    private static final int RANKS = 2;
    private static final Duration DEADLINE = Duration.ofSeconds(30);

    @BeforeAll
    static void needsTwoGpus() {
        Assumptions.assumeTrue(CudaDevice.count() >= RANKS, "fewer than two GPUs: " + CudaDevice.count());
    }

    /** What a rank does. */
    @FunctionalInterface
    private interface Work {
        void run(CudaDevice device, Communicator group) throws Exception;
    }

    private static void onRanks(Work work) throws Exception {
        NcclGroup group = new NcclGroup(RANKS, DEADLINE);
        List<FutureTask<Void>> ranks = new ArrayList<>();
        for (int r = 0; r < RANKS; r++) {
            int rank = r;
            FutureTask<Void> task = new FutureTask<>(() -> {
                try (CudaDevice device = CudaDevice.open(CudaOptions.of(rank, DType.BF16));
                        Communicator mine = device.join(group, rank)) {
                    work.run(device, mine);
                }
                return null;
            });
            ranks.add(task);
            Thread.ofPlatform().name("rank" + r).daemon().start(task);
        }
        for (FutureTask<Void> rank : ranks) {
            try {
                rank.get(60, TimeUnit.SECONDS);
            } catch (ExecutionException e) {
                throw e.getCause() instanceof Exception cause ? cause : e;
            }
        }
    }

    private static Tensor floats(CudaDevice device, int rows, int columns, float first) {
        Tensor tensor = device.allocate(DType.F32, rows, columns);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment host = arena.allocate(4L * rows * columns, 64);
            for (int i = 0; i < rows * columns; i++) {
                host.setAtIndex(ValueLayout.JAVA_FLOAT, i, first + i);
            }
            device.toDevice(host, tensor);
            device.synchronize();
        }
        return tensor;
    }

    private static float[] read(CudaDevice device, Tensor tensor) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment host = arena.allocate(4 * tensor.elements(), 64);
            device.toHost(tensor, host);
            return host.toArray(ValueLayout.JAVA_FLOAT);
        }
    }

    @Test
    void collectivesGiveWhatTheySay() throws Exception {
        onRanks((device, group) -> {
            int rank = group.rank();
            Tensor sum = floats(device, 3, 5, 100 * rank);
            group.allReduce(sum);
            assertThat(read(device, sum)[14]).isEqualTo(100 + 2 * 14);

            Tensor all = device.allocate(DType.F32, 6, 5);
            group.allGather(floats(device, 3, 5, 1000 * rank), all);
            assertThat(read(device, all)[0]).isZero();
            assertThat(read(device, all)[15]).isEqualTo(1000);
            assertThat(read(device, all)[29]).isEqualTo(1014);

            Tensor part = device.allocate(DType.F32, 2, 5);
            group.reduceScatter(floats(device, 4, 5, 10 * rank), part);
            assertThat(read(device, part)[0]).isEqualTo(10 + 2 * (rank == 0 ? 0 : 10));

            Tensor told = floats(device, 2, 2, rank == 1 ? 7 : 0);
            group.broadcast(told, 1);
            assertThat(read(device, told)).containsExactly(7, 8, 9, 10);

            // Rank 0 keeps 1 row and sends 2; rank 1 sends 3 and keeps none.
            int[] send = rank == 0 ? new int[] {1, 2} : new int[] {3, 0};
            int[] receive = new int[2];
            group.exchangeCounts(send, receive);
            assertThat(receive).containsExactly(rank == 0 ? new int[] {1, 3} : new int[] {2, 0});
            Tensor out = device.allocate(DType.F32, 4, 2);
            group.allToAll(floats(device, 3, 2, 100 * rank), send, out, receive);
            assertThat(read(device, out)[0]).isEqualTo(rank == 0 ? 0 : 2);
            assertThat(read(device, out)[2]).isEqualTo(rank == 0 ? 100 : 4);
            group.barrier();
        });
    }

    @Test
    void graphsRecordCollectives() throws Exception {
        onRanks((device, group) -> {
            Tensor x = floats(device, 1, 4, group.rank());
            Tensor y = device.allocate(DType.F32, 1, 4);
            Runnable work = () -> {
                device.ops().add(y, x);
                group.allReduce(y);
                device.ops().add(y, x);
            };
            work.run();
            device.synchronize();
            try (Graph graph = device.capture(work)) {
                graph.launch();
                graph.launch();
                // y = own x, then both ranks' sum and own x again: s, 2s + d, ... computed on the host.
                float[] mine = {0, 0, 0, 0};
                float[] other = {0, 0, 0, 0};
                for (int round = 0; round < 3; round++) {
                    for (int i = 0; i < 4; i++) {
                        float both = mine[i] + other[i] + 2 * i + 1;
                        mine[i] = both + group.rank() + i;
                        other[i] = both + 1 - group.rank() + i;
                    }
                }
                assertThat(read(device, y)).containsExactly(mine);
                // Beside collectives that no graph has.
                Tensor told = floats(device, 1, 1, group.rank());
                group.broadcast(told, 1);
                graph.launch();
                assertThat(read(device, told)).containsExactly(1);
            }
        });
    }

    @Test
    void aRankThatFailsEndsTheOthersWait() {
        long start = System.nanoTime();
        assertThatThrownBy(() -> onRanks((device, group) -> {
                    Tensor x = floats(device, 256, 1024, 0);
                    group.allReduce(x);
                    device.synchronize();
                    if (group.rank() == 1) {
                        Thread.sleep(300);
                        group.abort(new IllegalStateException("planted"));
                        throw new TensorException(TensorException.Code.FAULT, "planted");
                    }
                    group.allReduce(x);
                    device.synchronize();
                    group.allReduce(x);
                }))
                .isInstanceOf(TensorException.class)
                .hasMessageContaining("planted");
        assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(Duration.ofSeconds(50));
    }

    @Test
    void anotherShapeOfResultOrAnotherTypeIsRefused() throws Exception {
        onRanks((device, group) -> {
            Tensor x = device.allocate(DType.F32, 4, 8);
            Tensor ids = device.allocate(DType.I32, 4);
            assertThatThrownBy(() -> group.allGather(x, x)).hasMessageContaining("allGather");
            assertThatThrownBy(() -> group.allReduce(ids)).hasMessageContaining("F32 or BF16");
            assertThatThrownBy(() -> group.allReduce(x.columnRange(0, 4))).hasMessageContaining("dense");
        });
    }
}
