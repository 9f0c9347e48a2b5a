package dev.baton.engine.parallel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.engine.EngineException;
import dev.baton.engine.arch.AllToAll;
import dev.baton.engine.arch.DispatchOptions;
import dev.baton.engine.arch.DispatchOptions.Overlap;
import dev.baton.engine.arch.RankCommunicators;
import dev.baton.engine.arch.WireFormat;
import dev.baton.engine.forward.Golden;
import dev.baton.engine.forward.PendingStep;
import dev.baton.engine.forward.RankObserver;
import dev.baton.engine.request.EngineRequest;
import dev.baton.engine.schedule.SchedulerConfig;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.protocol.SamplingParams;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.parallel.Communicator;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Attention groups with schedulers of their own go in step, whatever each of them has to do. */
class LockStepTest {
    private static final SchedulerConfig CONFIG =
            SchedulerConfig.DEFAULT.toBuilder().chunkedPrefillTokens(16).build();

    private static LoadOptions options(ParallelShape shape, int poolTokens) {
        return Golden.options(1)
                .with()
                .shape(shape)
                .maxStepTokens(32)
                .maxTotalTokens(poolTokens)
                .dispatch(new DispatchOptions(WireFormat.F32, 32, Overlap.TWO_BATCH))
                .build();
    }

    private static ParallelShape groups(int tp, int dp) {
        return ParallelShape.tensorParallel(tp).withDataParallelAttention(dp);
    }

    private static int[] prompt(Random random) {
        return random.ints(1 + random.nextInt(40), 3, 250).toArray();
    }

    @Test
    void everyRankExecutesTheSameCollectives() {
        try (LayoutEngine server = new LayoutEngine(Golden.QWEN3_MOE, options(groups(4, 2), 700), CONFIG)) {
            List<Calls> ranks = new ArrayList<>();
            for (RankGroup group : server.groups) {
                List<Calls> own = List.of(new Calls(), new Calls());
                ranks.addAll(own);
                group.setObservers(own::get).join();
            }
            Random random = new Random(5);
            List<CompletableFuture<List<Integer>>> answers = new ArrayList<>();
            for (int i = 0; i < 9; i++) {
                answers.addAll(server.ask(List.of(prompt(random)), 1 + random.nextInt(8)));
                if (i % 3 == 2) {
                    answers.removeFirst().join();
                }
            }
            answers.forEach(CompletableFuture::join);
            server.groups.forEach(group -> group.setObservers(null).join());
            List<String> common = ranks.getFirst().of(4);
            assertThat(common).hasSizeGreaterThan(50).anyMatch(call -> call.startsWith("allGather"));
            assertThat(ranks).allSatisfy(rank -> assertThat(rank.of(4)).isEqualTo(common));
            assertThat(ranks.get(0).of(2)).isNotEmpty().isEqualTo(ranks.get(1).of(2));
            assertThat(ranks.get(2).of(2)).isNotEmpty().isEqualTo(ranks.get(3).of(2));
            assertThat(ranks.stream().mapToInt(rank -> rank.idle).sum()).isPositive();
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4})
    void noTokenOfAnyGroupIsLostWhateverTheLayoutAndTheTraffic(int seed) {
        Random random = new Random(seed);
        ParallelShape shape = switch (seed) {
            case 1 -> groups(2, 2);
            case 2 -> groups(4, 2).withExpertParallel(4).withDense(true, true);
            case 3 -> groups(4, 4).withAllToAll(AllToAll.AUTO).withDense(true, false);
            default -> groups(4, 2).withAllToAll(AllToAll.NORMAL).withDense(true, true);
        };
        // About two requests a group fit, so that they lose their memory to each other.
        SchedulerConfig config =
                CONFIG.toBuilder().conservativeness(0).overlap(seed % 2 == 1).build();
        try (LayoutEngine server = new LayoutEngine(Golden.QWEN3_MOE, options(shape, 96), config)) {
            List<CompletableFuture<List<Integer>>> answers = new ArrayList<>();
            for (int i = 0; i < 24; i++) {
                answers.addAll(server.ask(List.of(prompt(random)), 1 + random.nextInt(30)));
                if (random.nextInt(4) == 0) {
                    server.engine.abort("r" + random.nextInt(i + 1));
                }
            }
            for (CompletableFuture<List<Integer>> answer : answers) {
                // An aborted one ends with an error.
                assertThat(answer.handle((ids, error) ->
                                        ids != null || error.getMessage().contains("Abort"))
                                .join())
                        .isTrue();
            }
            server.assertNothingLeaks();
        }
    }

    @Test
    void aGroupThatSleepsHoldsAllUntilItWakes() {
        try (LayoutEngine server = new LayoutEngine(Golden.QWEN3_MOE, options(groups(2, 2), 700), CONFIG)) {
            server.engine.slowDown(3600).join();
            List<CompletableFuture<List<Integer>>> answers =
                    server.ask(List.of(new int[] {5, 6, 7}, new int[] {8, 9}), 4);
            server.engine.slowDown(0).join();
            answers.forEach(answer -> assertThat(answer.join()).hasSize(4));
        }
    }

    @Test
    void aRankThatFailsEndsTheRequestsOfEveryGroup() {
        try (LayoutEngine server = new LayoutEngine(Golden.QWEN3_MOE, options(groups(2, 2), 700), CONFIG)) {
            server.groups
                    .get(1)
                    .setLayerListeners(rank -> (plan, layer) -> {
                        if (layer == 1 && plan.contextLength(0) > 20) {
                            throw new IllegalStateException("broken on purpose");
                        }
                    })
                    .join();
            List<CompletableFuture<List<Integer>>> answers =
                    server.ask(List.of(new int[] {5, 6, 7}, new int[] {8, 9, 10}, new int[] {4}, new int[] {3}), 60);
            for (CompletableFuture<List<Integer>> answer : answers) {
                assertThatThrownBy(() -> answer.get(30, TimeUnit.SECONDS)).hasMessageContaining("broken on purpose");
            }
            assertThatThrownBy(() -> server.engine.submit(
                            EngineRequest.of("late", new int[] {3}, SamplingParams.greedy(1)), output -> {}))
                    .isInstanceOf(EngineException.class)
                    .hasMessageContaining("broken on purpose");
        }
    }

    /** Writes down one rank's collectives, by the size of the group. */
    private static final class Calls implements RankObserver {
        private final List<String> calls = new ArrayList<>();
        private int idle;

        List<String> of(int size) {
            return calls.stream().filter(call -> call.endsWith("/" + size)).toList();
        }

        @Override
        public Communicator wrap(RankCommunicators.Member group) {
            Communicator real = group.communicator();
            return new Communicator() {
                @Override
                public int rank() {
                    return real.rank();
                }

                @Override
                public int size() {
                    return real.size();
                }

                private void note(String name, Tensor... tensors) {
                    calls.add(name + Arrays.toString(tensors) + "/" + real.size());
                }

                @Override
                public void allReduce(Tensor x) {
                    note("allReduce", x);
                    real.allReduce(x);
                }

                @Override
                public void allGather(Tensor x, Tensor out) {
                    note("allGather", x, out);
                    real.allGather(x, out);
                }

                @Override
                public void reduceScatter(Tensor x, Tensor out) {
                    note("reduceScatter", x, out);
                    real.reduceScatter(x, out);
                }

                @Override
                public void broadcast(Tensor x, int root) {
                    note("broadcast" + root, x);
                    real.broadcast(x, root);
                }

                @Override
                public void barrier() {
                    note("barrier");
                    real.barrier();
                }

                @Override
                public void abort(Throwable cause) {
                    real.abort(cause);
                }

                @Override
                public void close() {
                    real.close();
                }
            };
        }

        @Override
        public void stepBegan(StepPlan plan) {
            idle += plan.sequences() == 0 ? 1 : 0;
        }

        @Override
        public void stepEnded(StepPlan plan, PendingStep step) {}
    }
}
