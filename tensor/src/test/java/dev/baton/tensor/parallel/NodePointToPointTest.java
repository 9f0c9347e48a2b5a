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
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;

/** Messages between ranks of several nodes: the contract of {@link LocalPointToPointTest} over connections. */
class NodePointToPointTest {
    private static final Duration LONG = Duration.ofSeconds(20);

    private static List<PointToPoint> group(Meshes meshes, int[] nodeOf, int depth, Duration deadline) {
        List<PointToPoint> all = new ArrayList<>();
        for (NodeMesh node : meshes.nodes) {
            all.addAll(NodePointToPoint.group(node, 3, nodeOf, depth, deadline));
        }
        return all;
    }

    @Test
    void aChainOverNodesWithRandomDelaysDeliversEveryMessageInOrderWhateverTheDepth() throws Exception {
        SplittableRandom random = new SplittableRandom(1);
        int[][] placements = {{0, 1}, {0, 1, 2}, {0, 0, 1}, {0, 1, 1, 2}};
        for (int seed = 0; seed < 16; seed++) {
            int[] nodeOf = placements[seed % placements.length];
            int depth = 1 + random.nextInt(3);
            int inFlight = 1 + random.nextInt(depth);
            try (Meshes meshes = Meshes.connected(nodeOf[nodeOf.length - 1] + 1, LONG)) {
                assertThat(ChainStage.run(group(meshes, nodeOf, depth, LONG), seed, 40, inFlight))
                        .as("seed " + seed)
                        .containsOnly(40);
            }
        }
    }

    @Test
    void anEarlySendWaitsForItsReceiverAndBothSidesTellWaitingFromMoving() throws Exception {
        try (Meshes meshes = Meshes.connected(2, LONG);
                Arena arena = Arena.ofShared()) {
            List<PointToPoint> group = group(meshes, new int[] {0, 1}, 2, LONG);
            Tensor target = matrix(arena, 4);
            Tensor message = matrix(arena, 3);
            fill(message, 5);
            Transfer early = group.get(0).send(1, List.of(message));
            LockSupport.parkNanos(3_000_000);
            assertThat(early.isDone()).isFalse();
            Transfer late = group.get(1).receive(0, List.of(target));
            Transfer.Moved received = late.await();
            assertThat(received.rows()).isEqualTo(3);
            assertThat(received.bytes()).isEqualTo(3 * COLUMNS * 4);
            assertThat(received.doneNanos()).isGreaterThanOrEqualTo(received.matchedNanos());
            requireFilled(target, 3, 5);
            Transfer.Moved sent = early.await();
            assertThat(sent.waitNanos()).isGreaterThanOrEqualTo(3_000_000);
            assertThat(sent.moveNanos()).isNotNegative();
            assertThat(sent.bytes()).isEqualTo(received.bytes());

            Transfer posted = group.get(1).receive(0, List.of(target));
            LockSupport.parkNanos(3_000_000);
            assertThat(posted.isDone()).isFalse();
            group.get(0).send(1, List.of(message.rowRange(0, 0))).await();
            assertThat(posted.await().rows()).isZero();
            assertThat(posted.await().waitNanos()).isGreaterThanOrEqualTo(3_000_000);
        }
    }

    @Test
    void severalTensorsTravelAsOneMessageAndRowsMayLieApartOnEitherSide() throws Exception {
        try (Meshes meshes = Meshes.connected(2, LONG);
                Arena arena = Arena.ofShared()) {
            List<PointToPoint> group = group(meshes, new int[] {0, 1}, 1, LONG);
            Tensor wide = Tensor.dense(arena.allocate(4L * 6 * 10), DType.F32, 6, 10);
            fill(wide, 0);
            Tensor ids = vector(arena, 2);
            ids.memory().setAtIndex(ValueLayout.JAVA_INT, 1, 77);
            Tensor wideTarget = Tensor.dense(arena.allocate(4L * 6 * 10), DType.F32, 6, 10);
            Tensor idsTarget = vector(arena, 9);
            Transfer send = group.get(0).send(1, List.of(wide.columnRange(1, COLUMNS), ids));
            Transfer receive = group.get(1).receive(0, List.of(wideTarget.columnRange(2, COLUMNS), idsTarget));
            assertThat(receive.await().bytes()).isEqualTo(6 * COLUMNS * 4 + 8);
            assertThat(send.await().bytes()).isEqualTo(6 * COLUMNS * 4 + 8);
            assertThat(wideTarget.memory().getAtIndex(ValueLayout.JAVA_FLOAT, 12))
                    .isEqualTo(11);
            assertThat(wideTarget.memory().getAtIndex(ValueLayout.JAVA_FLOAT, 9))
                    .isZero();
            assertThat(idsTarget.memory().getAtIndex(ValueLayout.JAVA_INT, 1)).isEqualTo(77);
        }
    }

    @Test
    void messagesLargerThanTheSocketsBuffersPassBothWaysWhileTheirRanksDoSomethingElse() throws Exception {
        try (Meshes meshes = Meshes.connected(2, LONG);
                Arena arena = Arena.ofShared()) {
            List<PointToPoint> group = group(meshes, new int[] {0, 1}, 1, LONG);
            int rows = 600_000;
            Tensor out = matrix(arena, rows);
            Tensor[] in = {matrix(arena, rows), matrix(arena, rows)};
            out.memory().setAtIndex(ValueLayout.JAVA_FLOAT, (long) rows * COLUMNS - 1, 42);
            List<Transfer> all = new ArrayList<>();
            for (int rank = 0; rank < 2; rank++) {
                all.add(group.get(rank).send(1 - rank, List.of(out)));
            }
            for (int rank = 0; rank < 2; rank++) {
                all.add(group.get(rank).receive(1 - rank, List.of(in[rank])));
            }
            all.forEach(Transfer::await);
            for (Tensor x : in) {
                assertThat(x.memory().getAtIndex(ValueLayout.JAVA_FLOAT, (long) rows * COLUMNS - 1))
                        .isEqualTo(42);
            }
        }
    }

    @Test
    void whatDoesNotFitIsToldOnBothNodes() throws Exception {
        try (Meshes meshes = Meshes.connected(2, LONG);
                Arena arena = Arena.ofShared()) {
            List<PointToPoint> group = group(meshes, new int[] {0, 1}, 1, LONG);
            assertThatThrownBy(() -> group.get(0).send(0, List.of(matrix(arena, 1))))
                    .hasMessageContaining("no other rank");
            group.get(0).send(1, List.of(matrix(arena, 3)));
            assertThatThrownBy(() -> group.get(0).send(1, List.of(matrix(arena, 3))))
                    .hasMessageContaining("1 are open already; wait for one");
            Transfer receive = group.get(1).receive(0, List.of(matrix(arena, 2)));
            assertThatThrownBy(receive::await)
                    .isInstanceOfSatisfying(
                            TensorException.class, e -> assertThat(e.code()).isEqualTo(TensorException.Code.SHAPE))
                    .hasMessageContaining("F32[3, 7], its buffer F32[2, 7]");
            // The connection tells it the other node a moment later.
            Transfer[] next = new Transfer[1];
            assertThatThrownBy(() -> {
                        next[0] = group.get(0).receive(1, List.of(matrix(arena, 1)));
                        next[0].await();
                    })
                    .hasMessageContaining("its buffer F32[2, 7]");
        }
    }

    @Test
    void aPeerThatFailsLeavesOrDoesNotComeEndsTheWaitOnEveryNode() throws Exception {
        try (Arena arena = Arena.ofShared()) {
            try (Meshes meshes = Meshes.connected(3, LONG)) {
                List<PointToPoint> group = group(meshes, new int[] {0, 1, 2}, 1, LONG);
                Transfer waiting = group.get(1).receive(0, List.of(matrix(arena, 1)));
                group.get(2).abort(new IllegalStateException("broken on purpose"));
                assertThatThrownBy(waiting::await)
                        .isInstanceOfSatisfying(
                                TensorException.class, e -> assertThat(e.code()).isEqualTo(TensorException.Code.PEER))
                        .hasMessageContainingAll("rank 1, receive from rank 0 on node 0", "broken on purpose");
            }
            try (Meshes meshes = Meshes.connected(2, LONG)) {
                List<PointToPoint> group = group(meshes, new int[] {0, 1}, 1, LONG);
                Transfer orphan = group.get(0).send(1, List.of(matrix(arena, 1)));
                group.get(0).close();
                assertThatThrownBy(orphan::await).hasMessageContaining("rank 0 has left the group");
            }
            try (Meshes meshes = Meshes.connected(2, LONG)) {
                List<PointToPoint> group = group(meshes, new int[] {0, 1}, 1, Duration.ofMillis(60));
                Transfer never = group.get(0).send(1, List.of(matrix(arena, 1)));
                assertThatThrownBy(never::await)
                        .hasMessageContaining("rank 0 waited PT0.06S in send to rank 1 on node 1 (test:1)");
                assertThatThrownBy(() -> group.get(1)
                                .receive(0, List.of(matrix(arena, 1)))
                                .await())
                        .hasMessageContaining("rank 0 waited PT0.06S");
            }
        }
    }
}
