package dev.baton.tensor.parallel;

import static dev.baton.tensor.parallel.ChainStage.COLUMNS;
import static dev.baton.tensor.parallel.ChainStage.fill;
import static dev.baton.tensor.parallel.ChainStage.matrix;
import static dev.baton.tensor.parallel.ChainStage.requireFilled;
import static dev.baton.tensor.parallel.ChainStage.vector;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.model.DType;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.TensorException;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.List;
import java.util.SplittableRandom;
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

    @Test
    void aChainWithRandomDelaysDeliversEveryMessageInOrderWhateverTheDepth() throws Exception {
        SplittableRandom random = new SplittableRandom(1);
        for (int seed = 0; seed < 60; seed++) {
            int size = 2 + random.nextInt(3);
            int depth = 1 + random.nextInt(3);
            int messages = 40;
            // One message may travel, or as many as there are stages, or more; answers wait in posted buffers.
            int inFlight = 1 + random.nextInt(depth);
            assertThat(ChainStage.run(LocalPointToPoint.group(size, depth, LONG), seed, messages, inFlight))
                    .as("seed " + seed)
                    .containsOnly(messages);
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
