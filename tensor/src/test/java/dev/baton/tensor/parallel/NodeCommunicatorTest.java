package dev.baton.tensor.parallel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.model.DType;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.TensorException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
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
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class NodeCommunicatorTest {
    private static final Duration LONG = Duration.ofSeconds(30);

    /** What one rank does. */
    private interface Body<T> {
        T run(Communicator communicator, Arena arena);
    }

    private static <T> List<T> run(List<Communicator> group, Body<T> body) throws Exception {
        try (ExecutorService pool = Executors.newFixedThreadPool(group.size());
                Arena arena = Arena.ofShared()) {
            List<Future<T>> futures = new ArrayList<>();
            for (Communicator communicator : group) {
                Callable<T> call = () -> body.run(communicator, arena);
                futures.add(pool.submit(call));
            }
            List<T> results = new ArrayList<>();
            for (Future<T> future : futures) {
                results.add(future.get(60, TimeUnit.SECONDS));
            }
            return results;
        }
    }

    private static Tensor random(Arena arena, long seed, int rows, int columns, int stride) {
        Tensor x = new Tensor(arena.allocate(4L * Math.max(1, rows * stride), 64), DType.F32, stride, rows, columns);
        Random random = new Random(seed);
        for (int row = 0; row < rows; row++) {
            for (int i = 0; i < columns; i++) {
                x.memory().set(ValueLayout.JAVA_FLOAT, 4L * (row * stride + i), random.nextFloat() - 0.5f);
            }
        }
        return x;
    }

    private static List<Float> values(Tensor x) {
        List<Float> values = new ArrayList<>();
        for (int row = 0; row < x.rows(); row++) {
            for (int i = 0; i < x.columns(); i++) {
                values.add(x.memory().get(ValueLayout.JAVA_FLOAT, 4 * (row * x.rowStride() + i)));
            }
        }
        return values;
    }

    /** A seeded sequence of collectives of seeded shapes; returns everything that came out of them. */
    private static List<Float> sequence(Communicator c, Arena arena, long seed, int collectives) {
        Random same = new Random(seed);
        List<Float> seen = new ArrayList<>();
        for (int i = 0; i < collectives; i++) {
            int rows = same.nextInt(5);
            int columns = 1 + same.nextInt(70);
            int stride = columns + same.nextInt(2) * 9;
            int kind = same.nextInt(7);
            int root = same.nextInt(c.size());
            long mine = seed * 1000 + i * 10L + c.rank();
            Tensor x = random(arena, mine, rows, columns, stride);
            Tensor large = random(arena, mine, rows * c.size(), columns, stride);
            switch (kind) {
                case 0 -> c.allReduce(x);
                case 1 -> c.broadcast(x, root);
                case 2 -> c.allGather(x, large);
                case 3 -> c.reduceScatter(large, x);
                case 4 -> seen.addAll(counts(c, mine));
                case 5 -> seen.addAll(values(scattered(c, arena, mine, columns, stride)));
                default -> c.barrier();
            }
            seen.addAll(values(x));
            if (kind == 2) {
                seen.addAll(values(large));
            }
        }
        return seen;
    }

    /** How many rows a rank has for each other one: seldom the same, often none. */
    private static int[] rowsFor(Communicator c, long seed) {
        return new Random(seed).ints(c.size(), -2, 5).map(n -> Math.max(0, n)).toArray();
    }

    private static List<Float> counts(Communicator c, long seed) {
        int[] received = new int[c.size()];
        c.exchangeCounts(rowsFor(c, seed), received);
        return IntStream.of(received).mapToObj(n -> (float) n).toList();
    }

    /** What all ranks have for this one. */
    private static Tensor scattered(Communicator c, Arena arena, long seed, int columns, int stride) {
        int[] send = rowsFor(c, seed);
        int[] receive = new int[c.size()];
        c.exchangeCounts(send, receive);
        Tensor x = random(arena, seed, IntStream.of(send).sum(), columns, stride);
        Tensor out = random(arena, 1, IntStream.of(receive).sum() + 1, columns, columns);
        c.allToAll(x, send, out, receive);
        return out;
    }

    @ParameterizedTest
    @CsvSource({"1,1,0", "2,1,0", "1,3,0", "2,2,0", "1,1,1", "2,1,2"})
    void everyCollectiveGivesTheBitsOfRanksInOneJvm(int first, int second, int third) throws Exception {
        int[] ranks = third == 0 ? new int[] {first, second} : new int[] {first, second, third};
        for (long seed = 1; seed <= 4; seed++) {
            long s = seed;
            List<List<Float>> expected =
                    run(LocalCommunicator.group(first + second + third, LONG), (c, arena) -> sequence(c, arena, s, 60));
            try (Meshes meshes = Meshes.connected(ranks.length, LONG)) {
                List<List<Float>> got = run(meshes.group(0, ranks, LONG), (c, arena) -> sequence(c, arena, s, 60));
                assertThat(got).isEqualTo(expected);
            }
        }
    }

    @Test
    void severalGroupsShareTheConnections() throws Exception {
        try (Meshes meshes = Meshes.connected(2, LONG)) {
            List<Communicator> a = meshes.group(0, new int[] {1, 1}, LONG);
            List<Communicator> b = meshes.group(7, new int[] {2, 1}, LONG);
            List<Communicator> all = new ArrayList<>(a);
            all.addAll(b);
            List<List<Float>> got = run(all, (c, arena) -> sequence(c, arena, c.size(), 100));
            assertThat(got.subList(0, 2))
                    .isEqualTo(run(LocalCommunicator.group(2, LONG), (c, arena) -> sequence(c, arena, 2, 100)));
            assertThat(got.subList(2, 5))
                    .isEqualTo(run(LocalCommunicator.group(3, LONG), (c, arena) -> sequence(c, arena, 3, 100)));
        }
    }

    @Test
    void tensorsLargerThanTheSocketsBuffersPassBothWays() throws Exception {
        try (Meshes meshes = Meshes.connected(2, LONG)) {
            List<Float> sums = run(meshes.group(0, new int[] {1, 1}, LONG), (c, arena) -> {
                Tensor x = random(arena, c.rank(), 2000, 2000, 2000);
                c.allReduce(x);
                return x.memory().get(ValueLayout.JAVA_FLOAT, 4L * 3_999_999);
            });
            assertThat(sums.get(0)).isEqualTo(sums.get(1)).isNotZero();
        }
    }

    private static void expectPeer(Callable<?> call, String... texts) {
        assertThatThrownBy(call::call)
                .isInstanceOfSatisfying(
                        TensorException.class, e -> assertThat(e.code()).isEqualTo(TensorException.Code.PEER))
                .hasMessageContainingAll(texts);
    }

    private static Callable<?> barrier(Communicator communicator) {
        return () -> {
            communicator.barrier();
            return null;
        };
    }

    @Test
    void anAbsentRankIsNamedWithItsNodeOnEveryNode() throws Exception {
        try (Meshes meshes = Meshes.connected(2, LONG)) {
            List<Communicator> group = meshes.group(0, new int[] {1, 2}, Duration.ofMillis(150));
            expectPeer(
                    barrier(group.get(0)), "waited PT0.15S in barrier for rank 1 on node 1 (test:1), rank 2 on node 1");
            expectPeer(barrier(group.get(1)), "node 0 (test:0): rank 0 waited PT0.15S in barrier");
        }
    }

    @Test
    void afailedRankWakesTheWaitingOnesOfEveryNode() throws Exception {
        try (Meshes meshes = Meshes.connected(3, LONG)) {
            List<Communicator> group = meshes.group(0, new int[] {1, 1, 1}, LONG);
            List<Throwable> errors = run(group, (c, arena) -> {
                if (c.rank() == 2) {
                    c.abort(new IllegalStateException("the kernel failed"));
                    return null;
                }
                try {
                    c.barrier();
                    return null;
                } catch (TensorException e) {
                    return e;
                }
            });
            assertThat(errors.subList(0, 2))
                    .allSatisfy(e -> assertThat(e)
                            .hasMessageContaining("node 2 (test:2): rank 2 failed")
                            .hasMessageContaining("the kernel failed"));
        }
    }

    @Test
    void aNodeThatEndsSaysSo() throws Exception {
        try (Meshes meshes = Meshes.connected(2, LONG)) {
            List<Communicator> group = meshes.group(0, new int[] {1, 1}, LONG);
            meshes.nodes.get(1).close("it was told to");
            expectPeer(barrier(group.get(0)), "node 1 (test:1) has ended: it was told to");
            assertThat(meshes.nodes.get(0).end())
                    .satisfies(end -> assertThat(end.ended()).isEqualTo(1));
        }
    }

    @Test
    void aBrokenConnectionEndsTheOthersToo() throws Exception {
        SocketChannel[] first = Meshes.pair();
        SocketChannel[] second = Meshes.pair();
        SocketChannel[] third = Meshes.pair();
        try (NodeMesh zero = NodeMesh.of(
                        0,
                        3,
                        List.of(new NodeMesh.Peer(1, "one", first[0]), new NodeMesh.Peer(2, "two", second[0])),
                        LONG);
                NodeMesh one = NodeMesh.of(
                        1,
                        3,
                        List.of(new NodeMesh.Peer(0, "zero", first[1]), new NodeMesh.Peer(2, "two", third[0])),
                        LONG)) {
            Communicator c =
                    NodeCommunicator.group(one, 0, new int[] {0, 1}, LONG).getFirst();
            // Node 2 dies: both of its connections close without a word.
            second[1].close();
            expectPeer(barrier(c), "node 2 (two)");
            third[1].close();
            assertThat(zero.end()).isNotNull();
        }
    }

    @Test
    void aNodeThatFallsSilentIsNoticed() throws Exception {
        SocketChannel[] pair = Meshes.pair();
        try (NodeMesh mesh = NodeMesh.of(0, 2, List.of(new NodeMesh.Peer(1, "one", pair[0])), Duration.ofMillis(300));
                Arena arena = Arena.ofConfined()) {
            Communicator c =
                    NodeCommunicator.group(mesh, 0, new int[] {0, 1}, LONG).getFirst();
            Tensor large = random(arena, 1, 3000, 3000, 3000);
            // Nobody reads at the other end: the writer is blocked until the silence is noticed.
            expectPeer(
                    () -> {
                        c.allReduce(large);
                        return null;
                    },
                    "nothing was heard of node 1 (one) for PT0.3S");
            pair[1].close();
        }
    }

    @Test
    void aStrangerIsNotUnderstood() throws Exception {
        SocketChannel[] pair = Meshes.pair();
        try (NodeMesh mesh = NodeMesh.of(0, 2, List.of(new NodeMesh.Peer(1, "one", pair[0])), LONG)) {
            Communicator c =
                    NodeCommunicator.group(mesh, 0, new int[] {0, 1}, LONG).getFirst();
            pair[1].write(ByteBuffer.wrap("GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: probe\r\n\r\n".getBytes()));
            expectPeer(barrier(c), "node 1 (one) is gone", "no message");
            pair[1].close();
        }
    }

    @Test
    void differentCallsAreRefusedOnBothNodes() throws Exception {
        try (Meshes meshes = Meshes.connected(2, LONG)) {
            List<Communicator> group = meshes.group(0, new int[] {1, 1}, LONG);
            assertThatThrownBy(() -> run(group, (c, arena) -> {
                        c.allReduce(random(arena, 0, 2, 3 + c.rank(), 8));
                        return true;
                    }))
                    .isInstanceOf(ExecutionException.class)
                    .cause()
                    .isInstanceOf(TensorException.class)
                    .hasMessageContaining("calls allReduce of F32[2, ");
            expectPeer(barrier(group.get(1)), "calls allReduce of F32[2, ");
        }
    }

    @Test
    void rowsThatNobodyExpectsAreRefusedOnBothNodes() throws Exception {
        try (Meshes meshes = Meshes.connected(2, LONG)) {
            List<Communicator> group = meshes.group(0, new int[] {1, 1}, LONG);
            assertThatThrownBy(() -> run(group, (c, arena) -> {
                        int[] rows = {1, 1};
                        int[] expected = {1, c.rank() == 1 ? 1 : 2};
                        c.allToAll(random(arena, 0, 2, 3, 3), rows, random(arena, 0, 4, 3, 3), expected);
                        return true;
                    }))
                    .isInstanceOf(ExecutionException.class)
                    .cause()
                    .hasMessageContaining("expects 2 rows of rank 1 in allToAll");
            expectPeer(barrier(group.get(1)), "expects 2 rows of rank 1 in allToAll");
        }
    }

    @Test
    void integersAreBroadcast() throws Exception {
        try (Meshes meshes = Meshes.connected(2, LONG)) {
            List<Integer> got = run(meshes.group(0, new int[] {1, 1}, LONG), (c, arena) -> {
                MemorySegment memory = arena.allocate(8, 64);
                memory.set(ValueLayout.JAVA_INT, 4, 40 + c.rank());
                c.broadcast(Tensor.dense(memory, DType.I32, 2), 1);
                return memory.get(ValueLayout.JAVA_INT, 4);
            });
            assertThat(got).containsExactly(41, 41);
        }
    }
}
