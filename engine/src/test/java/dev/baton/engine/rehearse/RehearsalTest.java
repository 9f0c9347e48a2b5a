package dev.baton.engine.rehearse;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.engine.EngineException;
import dev.baton.engine.parallel.CommunicatorSupplier;
import dev.baton.engine.parallel.ParallelShape;
import dev.baton.model.DType;
import dev.baton.tensor.Device;
import dev.baton.tensor.Ops;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.TensorException;
import dev.baton.tensor.cpu.CpuDevice;
import dev.baton.tensor.cpu.CpuOptions;
import dev.baton.tensor.parallel.Communicator;
import dev.baton.tensor.parallel.LocalCommunicator;
import dev.baton.tensor.parallel.PointToPoint;
import dev.baton.tensor.parallel.Transfer;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.lang.reflect.Proxy;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.function.BiConsumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class RehearsalTest {
    private static final Duration LONG = Duration.ofSeconds(30);
    /** An empty message takes 7 us, a byte 1 ns. */
    private static final LinkModel MODEL = new LinkModel(7_000, 1e9);

    /** What passes on each rank's own clock while all do the same. */
    private static List<Long> passed(int ranks, BiConsumer<Communicator, Arena> action) throws Exception {
        List<Communicator> group = LocalCommunicator.group(ranks, LONG);
        List<Future<Long>> futures = new ArrayList<>();
        List<Long> passed = new ArrayList<>();
        try (ExecutorService pool = Executors.newFixedThreadPool(ranks);
                Arena arena = Arena.ofShared()) {
            for (Communicator communicator : group) {
                FakeClock clock = new FakeClock();
                Callable<Long> call = () -> {
                    long start = clock.nanoTime();
                    action.accept(new RehearsedCommunicator(communicator, new RankLink(MODEL, clock)), arena);
                    return clock.nanoTime() - start;
                };
                futures.add(pool.submit(call));
            }
            for (Future<Long> future : futures) {
                passed.add(future.get(30, TimeUnit.SECONDS));
            }
        }
        return passed;
    }

    private static Tensor tensor(Arena arena, int rows) {
        return Tensor.dense(arena.allocate(400L * rows, 64), DType.F32, rows, 100);
    }

    @Test
    void collectivesTakeWhatTheFormulaSaysOnEveryRank() throws Exception {
        // 6 rows of 400 bytes.
        assertThat(passed(3, (c, arena) -> c.allReduce(tensor(arena, 6)))).containsOnly(4 * 7_000 + 2L * 2 * 2_400 / 3);
        assertThat(passed(3, (c, arena) -> c.allGather(tensor(arena, 2), tensor(arena, 6))))
                .containsOnly(2 * 7_000 + 2L * 800);
        assertThat(passed(3, (c, arena) -> c.reduceScatter(tensor(arena, 6), tensor(arena, 2))))
                .containsOnly(2 * 7_000 + 2L * 800);
        assertThat(passed(3, (c, arena) -> c.broadcast(tensor(arena, 6), 1))).containsOnly(2 * 7_000 + 2_400L);
        assertThat(passed(2, (c, arena) -> {
                    int[] rows = {1, 3};
                    int[] come = {rows[c.rank()], rows[c.rank()]};
                    c.allToAll(tensor(arena, 4), rows, tensor(arena, 6), come);
                }))
                .as("rank 0 sends 3 rows and gets 1, rank 1 the other way round")
                .containsOnly(7_000 + 1_200L);
        assertThat(passed(4, (c, arena) -> c.barrier())).containsOnly(2 * 7_000L);
        assertThat(passed(5, (c, arena) -> c.barrier())).containsOnly(3 * 7_000L);
    }

    @Test
    void theResultsAreThoseOfTheRealCollective() throws Exception {
        passed(2, (c, arena) -> {
            Tensor x = tensor(arena, 1);
            x.memory().set(ValueLayout.JAVA_FLOAT, 0, 1 + c.rank());
            c.allReduce(x);
            assertThat(x.memory().get(ValueLayout.JAVA_FLOAT, 0)).isEqualTo(3);
            assertThat(c.size()).isEqualTo(2);
        });
    }

    @Test
    void messagesOfOneRankPassOneAfterTheOtherAndLatenciesOverlap() {
        FakeClock clock = new FakeClock();
        RankLink link = new RankLink(MODEL, clock);
        long start = clock.nanoTime();
        assertThat(link.reserve(clock.nanoTime(), MODEL.send(1_000)) - start).isEqualTo(8_000);
        assertThat(link.reserve(clock.nanoTime(), MODEL.send(500)) - start).isEqualTo(8_500);
        clock.pass(20_000);
        assertThat(link.reserve(clock.nanoTime(), MODEL.send(500)) - start)
                .as("a free link begins at once")
                .isEqualTo(27_500);
        assertThat(MODEL.allToAll(300, 900).totalNanos()).isEqualTo(7_900);
    }

    @Test
    void aMessageBetweenStagesTravelsWhileTheRankDoesSomethingElse() {
        FakeClock clock = new FakeClock();
        long ready = clock.nanoTime() + 500;
        // In memory the bytes moved in no time.
        Transfer.Moved moved = new Transfer.Moved(6, 2_400, clock.nanoTime(), ready, ready + 1);
        PointToPoint link =
                new RehearsedPointToPoint(always(moved), new RankLink(MODEL, clock), new RankLink(MODEL, clock), clock);
        Transfer early = link.receive(0, List.of());
        assertThat(early.isDone()).isFalse();
        assertThat(early.await()).isEqualTo(new Transfer.Moved(6, 2_400, ready - 500, ready, ready + 9_400));
        assertThat(clock.nanoTime()).isEqualTo(ready + 9_400);

        Transfer late = link.send(0, List.of());
        assertThat(late.isDone()).as("what leaves does not wait for what came").isTrue();
        long before = clock.nanoTime();
        late.await();
        assertThat(clock.nanoTime()).as("nothing is left to wait for").isEqualTo(before);
    }

    @Test
    void expertsThatMoveTravelOverTheLinkToo() {
        FakeClock clock = new FakeClock();
        long ready = clock.nanoTime();
        CommunicatorSupplier real = CommunicatorSupplier.local(ParallelShape.tensorParallel(2), LONG);
        PointToPoint link = new RehearsedGroups(real, MODEL, rank -> clock)
                .messages(always(new Transfer.Moved(6, 2_400, ready, ready, ready + 1)));
        link.send(1, List.of()).await();
        assertThat(clock.nanoTime()).isEqualTo(ready + 9_400);
        assertThat(real.messages(link)).as("the machine's own network").isSameAs(link);
        assertThat(Rehearsal.of(List.of("link=7us,1GB/s")).communicators(real).messages(link))
                .isInstanceOf(RehearsedPointToPoint.class);
    }

    /** Messages of rank 0 that have moved as given. */
    private static PointToPoint always(Transfer.Moved moved) {
        Transfer transfer = new Transfer() {
            @Override
            public boolean isDone() {
                return true;
            }

            @Override
            public Moved await() {
                return moved;
            }
        };
        return (PointToPoint) Proxy.newProxyInstance(
                PointToPoint.class.getClassLoader(),
                new Class<?>[] {PointToPoint.class},
                (proxy, method, arguments) -> method.getReturnType() == int.class ? (Object) 0 : transfer);
    }

    @Test
    void aSlowRankTakesAMultipleOfWhatItsOperatorsTake() {
        FakeClock clock = new FakeClock();
        Ops ops = (Ops) Proxy.newProxyInstance(
                Ops.class.getClassLoader(), new Class<?>[] {Ops.class}, (proxy, method, arguments) -> {
                    clock.pass(100);
                    return null;
                });
        try (Arena arena = Arena.ofConfined()) {
            long start = clock.nanoTime();
            SlowDevice.ops(ops, 2.5, clock).add(tensor(arena, 1), tensor(arena, 1));
            assertThat(clock.nanoTime() - start).isEqualTo(250);
        }
    }

    @Test
    void aSlowDeviceIsTheDeviceAndItsErrorsAreItsOwn() {
        try (Device device = SlowDevice.of(CpuDevice.open(CpuOptions.of(1)), 1.5, Clock.REAL)) {
            Tensor x = device.allocate(DType.F32, 2, 3);
            Tensor y = device.allocate(DType.F32, 2, 3);
            y.memory().set(ValueLayout.JAVA_FLOAT, 4, 5);
            device.ops().add(x, y);
            assertThat(x.memory().get(ValueLayout.JAVA_FLOAT, 4)).isEqualTo(5);
            assertThatThrownBy(() -> device.ops().add(x, device.allocate(DType.F32, 2, 4)))
                    .isInstanceOf(TensorException.class);
        }
    }

    @Test
    void realTimePasses() {
        long start = System.nanoTime();
        new RankLink(new LinkModel(3_000_000, 1e9), Clock.REAL).pass(MODEL.barrier(1));
        new RankLink(new LinkModel(3_000_000, 1e9), Clock.REAL).pass(new LinkModel.Cost(3_000_000, 1_000_000));
        assertThat(System.nanoTime() - start).isGreaterThanOrEqualTo(4_000_000);
    }

    @ParameterizedTest
    @CsvSource({
        "'link=50us,10GB/s', 50000, 1e10",
        "'link=1.5ms,200Mb/s', 1500000, 2.5e7",
        "'link=800ns,400Gb/s', 800, 5e10",
        "'link=0us,12.5KB/s', 0, 12500"
    })
    void aLinkIsReadWithItsUnits(String word, long latency, double bandwidth) {
        assertThat(Rehearsal.of(List.of(word)).link()).isEqualTo(new LinkModel(latency, bandwidth));
    }

    @Test
    void everythingGivenIsInTheNote() {
        Rehearsal rehearsal = Rehearsal.of(List.of("slow-rank=3:2.5", "link=50us,10GB/s", "slow-rank=1:2"));
        assertThat(rehearsal.note()).isEqualTo("link of 50 us and 10 GB/s, rank 1 slower by 2, rank 3 slower by 2.5");
        assertThat(rehearsal.slowRanks()).isEqualTo(Map.of(1, 2.0, 3, 2.5));
        assertThat(rehearsal.isOn()).isTrue();
        assertThat(Rehearsal.OFF.isOn()).isFalse();
        assertThat(Rehearsal.OFF.note()).isEmpty();
        assertThatThrownBy(() -> rehearsal.requireRanks(3)).hasMessageContaining("ranks 0 to 2");
    }

    @ParameterizedTest
    @ValueSource(strings = {"link=50,10GB/s", "link=50us", "link=50us,0GB/s", "slow-rank=1", "slow-rank=1:0.5", "wan"})
    void whatIsNotUnderstoodIsRefusedWithAnExample(String word) {
        assertThatThrownBy(() -> Rehearsal.of(List.of(word)))
                .isInstanceOfSatisfying(
                        EngineException.class, e -> assertThat(e.code()).isEqualTo(EngineException.Code.CONFIGURATION))
                .hasMessageContaining("--rehearse")
                .hasMessageContaining(word);
    }

    @Test
    void onlyGroupsOfSeveralRanksAreModelled() {
        ParallelShape shape = ParallelShape.tensorParallel(2);
        try (Device device = CpuDevice.open(CpuOptions.of(1))) {
            CommunicatorSupplier real = CommunicatorSupplier.local(shape, LONG);
            var groups =
                    Rehearsal.of(List.of("link=1us,1GB/s")).communicators(real).join(0, device);
            assertThat(groups.tensor().communicator()).isInstanceOf(RehearsedCommunicator.class);
            assertThat(groups.all())
                    .allSatisfy(member -> assertThat(member.communicator() instanceof RehearsedCommunicator)
                            .isEqualTo(member.size() > 1));
            assertThat(Rehearsal.OFF.communicators(real)).isSameAs(real);
        }
    }
}
