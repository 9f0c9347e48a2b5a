package dev.baton.tensor.parallel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.model.DType;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.TensorException;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;

class LocalPointToPointTest {
    private static final Duration LONG = Duration.ofSeconds(20);
    private static final int COLUMNS = 7;

    private static Tensor matrix(Arena arena, int rows) {
        return Tensor.dense(arena.allocate(4L * rows * COLUMNS, 64), DType.F32, rows, COLUMNS);
    }

    private static Tensor vector(Arena arena, int length) {
        return Tensor.dense(arena.allocate(4L * length, 64), DType.I32, length);
    }

    private static void fill(Tensor x, int value) {
        for (int i = 0; i < x.elements(); i++) {
            x.memory().setAtIndex(ValueLayout.JAVA_FLOAT, i, value + i);
        }
    }

    private static void requireFilled(Tensor x, int rows, int value) {
        for (int i = 0; i < rows * COLUMNS; i++) {
            if (x.memory().getAtIndex(ValueLayout.JAVA_FLOAT, i) != value + i) {
                throw new AssertionError("element " + i + " of message " + value + " is "
                        + x.memory().getAtIndex(ValueLayout.JAVA_FLOAT, i));
            }
        }
    }

    private static <T> List<T> all(ExecutorService pool, List<Callable<T>> bodies) throws Exception {
        List<Future<T>> futures = new ArrayList<>();
        for (Callable<T> body : bodies) {
            futures.add(pool.submit(body));
        }
        List<T> results = new ArrayList<>();
        for (Future<T> future : futures) {
            results.add(future.get(60, TimeUnit.SECONDS));
        }
        return results;
    }

    /** One stage of a chain that ends where it began: takes a message, adds one, hands it on; random pauses everywhere. */
    private static final class Stage implements Callable<Integer> {
        private final PointToPoint links;
        private final Arena arena;
        private final SplittableRandom random;
        private final int messages;
        private final int inFlight;

        Stage(PointToPoint links, Arena arena, int seed, int messages, int inFlight) {
            this.links = links;
            this.arena = arena;
            this.random = new SplittableRandom(seed * 31L + links.rank());
            this.messages = messages;
            this.inFlight = inFlight;
        }

        @Override
        public Integer call() {
            return links.rank() == 0 ? first() : later();
        }

        /** Sends message m; lets at most so many travel before it takes back the oldest. */
        private int first() {
            ArrayDeque<Integer> travelling = new ArrayDeque<>();
            ArrayDeque<Transfer> returns = new ArrayDeque<>();
            ArrayDeque<Tensor> returned = new ArrayDeque<>();
            ArrayDeque<Transfer> sends = new ArrayDeque<>();
            int right = 0;
            for (int m = 0; m < messages || !travelling.isEmpty(); ) {
                pause();
                if (m < messages && travelling.size() < inFlight) {
                    Tensor back = vector(arena, 1);
                    returns.addLast(links.receive(links.size() - 1, List.of(back)));
                    returned.addLast(back);
                    Tensor x = matrix(arena, 1 + m % 5);
                    fill(x, m * 1000);
                    if (sends.size() == links.depth()) {
                        sends.removeFirst().await();
                    }
                    sends.addLast(links.send(1, List.of(x)));
                    travelling.addLast(m++);
                    continue;
                }
                int sent = travelling.removeFirst();
                returns.removeFirst().await();
                int answer = returned.removeFirst().memory().getAtIndex(ValueLayout.JAVA_INT, 0);
                if (answer != sent * 1000 + links.size() - 2) {
                    throw new AssertionError("message " + sent + " came back as " + answer);
                }
                right++;
            }
            sends.forEach(Transfer::await);
            return right;
        }

        private int later() {
            int last = links.size() - 1;
            int depth = links.depth();
            Tensor[] buffers = new Tensor[depth];
            Transfer[] receives = new Transfer[depth];
            Transfer[] sends = new Transfer[depth];
            for (int i = 0; i < depth; i++) {
                buffers[i] = matrix(arena, 5);
                receives[i] = links.receive(links.rank() - 1, List.of(buffers[i]));
            }
            for (int m = 0; m < messages; m++) {
                int i = m % depth;
                pause();
                int rows = receives[i].await().rows();
                requireFilled(buffers[i], rows, m * 1000 + links.rank() - 1);
                if (links.rank() == last) {
                    Tensor answer = vector(arena, 1);
                    answer.memory().setAtIndex(ValueLayout.JAVA_INT, 0, (int)
                            buffers[i].memory().getAtIndex(ValueLayout.JAVA_FLOAT, 0));
                    links.send(0, List.of(answer)).await();
                } else {
                    Tensor out = buffers[i].rowRange(0, rows);
                    fill(out, m * 1000 + links.rank());
                    sends[i] = links.send(links.rank() + 1, List.of(out));
                    // The buffer is read until the send has ended.
                    sends[i].await();
                }
                receives[i] = links.receive(links.rank() - 1, List.of(buffers[i]));
            }
            return messages;
        }

        private void pause() {
            switch (random.nextInt(6)) {
                case 0 -> LockSupport.parkNanos(random.nextInt(300_000));
                case 1 -> Thread.yield();
                default -> {}
            }
        }
    }

    @Test
    void aChainWithRandomDelaysDeliversEveryMessageInOrderWhateverTheDepth() throws Exception {
        SplittableRandom random = new SplittableRandom(1);
        for (int seed = 0; seed < 60; seed++) {
            int size = 2 + random.nextInt(3);
            int depth = 1 + random.nextInt(3);
            int messages = 40;
            // One message may travel, or as many as there are stages, or more; answers wait in posted buffers.
            int inFlight = 1 + random.nextInt(depth);
            try (ExecutorService pool = Executors.newFixedThreadPool(size);
                    Arena arena = Arena.ofShared()) {
                List<Callable<Integer>> stages = new ArrayList<>();
                for (PointToPoint links : LocalPointToPoint.group(size, depth, LONG)) {
                    stages.add(new Stage(links, arena, seed, messages, inFlight));
                }
                assertThat(all(pool, stages)).as("seed " + seed).containsOnly(messages);
            }
        }
    }

    @Test
    void aReceiveThatIsPostedEarlyLetsTheSenderGoOnAndAnEarlySendWaitsForItsReceiver() {
        List<PointToPoint> group = LocalPointToPoint.group(2, 2, LONG);
        try (Arena arena = Arena.ofShared()) {
            Tensor target = matrix(arena, 4);
            Tensor message = matrix(arena, 3);
            fill(message, 5);
            Transfer receive = group.get(1).receive(0, List.of(target));
            assertThat(receive.isDone()).isFalse();
            Transfer send = group.get(0).send(1, List.of(message));
            assertThat(send.isDone()).isTrue();
            assertThat(receive.isDone()).isTrue();
            Transfer.Moved moved = receive.await();
            assertThat(moved.rows()).isEqualTo(3);
            assertThat(moved.bytes()).isEqualTo(3 * COLUMNS * 4);
            assertThat(moved.matchedNanos()).isGreaterThanOrEqualTo(moved.postedNanos());
            assertThat(moved.doneNanos()).isGreaterThanOrEqualTo(moved.matchedNanos());
            requireFilled(target, 3, 5);

            Transfer early = group.get(0).send(1, List.of(message));
            assertThat(early.isDone()).isFalse();
            LockSupport.parkNanos(2_000_000);
            Transfer late = group.get(1).receive(0, List.of(target));
            assertThat(early.isDone()).isTrue();
            // The two parts of the same message, seen from both ends: one waited, the other did not.
            assertThat(early.await().waitNanos()).isGreaterThanOrEqualTo(2_000_000);
            assertThat(late.await().waitNanos()).isLessThan(early.await().waitNanos());
            assertThat(late.await().moveNanos()).isEqualTo(early.await().moveNanos());
        }
    }

    @Test
    void severalTensorsTravelAsOneMessageAndRowsMayLieApart() {
        List<PointToPoint> group = LocalPointToPoint.group(2, 1, LONG);
        try (Arena arena = Arena.ofShared()) {
            Tensor wide = Tensor.dense(arena.allocate(4L * 6 * 10), DType.F32, 6, 10);
            fill(wide, 0);
            Tensor ids = vector(arena, 2);
            ids.memory().setAtIndex(ValueLayout.JAVA_INT, 1, 77);
            Tensor rows = matrix(arena, 6);
            Tensor idsTarget = vector(arena, 9);
            Transfer send = group.get(0).send(1, List.of(wide.columnRange(1, COLUMNS), ids));
            group.get(1).receive(0, List.of(rows, idsTarget)).await();
            assertThat(send.await().bytes()).isEqualTo(6 * COLUMNS * 4 + 8);
            assertThat(rows.memory().getAtIndex(ValueLayout.JAVA_FLOAT, COLUMNS))
                    .isEqualTo(11);
            assertThat(idsTarget.memory().getAtIndex(ValueLayout.JAVA_INT, 1)).isEqualTo(77);
        }
    }

    @Test
    void whatDoesNotFitAndWhatIsTooMuchIsRefused() {
        try (Arena arena = Arena.ofShared()) {
            List<PointToPoint> group = LocalPointToPoint.group(3, 1, LONG);
            Tensor small = matrix(arena, 2);
            Tensor large = matrix(arena, 3);
            assertThatThrownBy(() -> group.get(0).send(0, List.of(small))).hasMessageContaining("no other rank");
            assertThatThrownBy(() -> group.get(0).send(1, List.of())).hasMessageContaining("at least one tensor");
            group.get(0).send(1, List.of(large));
            assertThatThrownBy(() -> group.get(0).send(1, List.of(large)))
                    .hasMessageContaining("1 are open already; wait for one");
            assertThatThrownBy(() -> group.get(1).receive(0, List.of(small)))
                    .isInstanceOfSatisfying(
                            TensorException.class, e -> assertThat(e.code()).isEqualTo(TensorException.Code.SHAPE))
                    .hasMessageContaining("F32[3, 7], its buffer F32[2, 7]");
            // Both sides learn of it, and the group is of no use any more.
            assertThatThrownBy(() -> group.get(2).send(1, List.of(small))).hasMessageContaining("its buffer");
        }
    }

    @Test
    void aPeerThatFailsLeavesOrDoesNotComeEndsTheWait() throws Exception {
        try (Arena arena = Arena.ofShared();
                ExecutorService pool = Executors.newFixedThreadPool(1)) {
            List<PointToPoint> group = LocalPointToPoint.group(3, 1, LONG);
            CountDownLatch posted = new CountDownLatch(1);
            Future<Transfer.Moved> waiting = pool.submit(() -> {
                Transfer receive = group.get(1).receive(0, List.of(matrix(arena, 1)));
                posted.countDown();
                return receive.await();
            });
            posted.await();
            group.get(2).abort(new IllegalStateException("broken on purpose"));
            assertThatThrownBy(() -> waiting.get(20, TimeUnit.SECONDS))
                    .isInstanceOf(ExecutionException.class)
                    .cause()
                    .isInstanceOfSatisfying(
                            TensorException.class, e -> assertThat(e.code()).isEqualTo(TensorException.Code.PEER))
                    .hasMessageContaining("rank 1, receive from rank 0: rank 2 failed")
                    .hasRootCauseMessage("broken on purpose");

            List<PointToPoint> left = LocalPointToPoint.group(2, 1, LONG);
            Transfer orphan = left.get(0).send(1, List.of(matrix(arena, 1)));
            left.get(1).close();
            assertThatThrownBy(orphan::await).hasMessageContaining("rank 1 has left the group");

            List<PointToPoint> alone = LocalPointToPoint.group(2, 1, Duration.ofMillis(30));
            Transfer never = alone.get(0).send(1, List.of(matrix(arena, 1)));
            assertThatThrownBy(never::await)
                    .isInstanceOfSatisfying(
                            TensorException.class, e -> assertThat(e.code()).isEqualTo(TensorException.Code.PEER))
                    .hasMessageContaining("rank 0 waited PT0.03S in send to rank 1");
        }
    }
}
