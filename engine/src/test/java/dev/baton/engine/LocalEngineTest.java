package dev.baton.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import dev.baton.engine.request.EngineRequest;
import dev.baton.engine.request.RequestOutput;
import dev.baton.engine.schedule.AsyncRanks;
import dev.baton.engine.schedule.SchedulerConfig;
import dev.baton.engine.schedule.StepObserver;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.engine.schedule.StepResult;
import dev.baton.protocol.FinishReason;
import dev.baton.protocol.SamplingParams;
import dev.baton.protocol.log.DecodeLine;
import dev.baton.protocol.log.LogPrefix;
import dev.baton.protocol.log.PrefillLine;
import dev.baton.protocol.log.RankLabel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class LocalEngineTest {
    private static final int VOCABULARY = 101;
    private static final EngineInfo MODEL =
            new EngineInfo("/m", "Fake", "fake", VOCABULARY, 256, 0, 0, 0, 0, 1, 1, null, 0, 0);

    private final Map<String, List<RequestOutput>> outputs = new ConcurrentHashMap<>();
    private final List<String> lines = new CopyOnWriteArrayList<>();
    private final List<AsyncRanks> ranks = new CopyOnWriteArrayList<>();
    private volatile Consumer<StepPlan> beforeStep = plan -> {};
    private LocalEngine engine;

    @AfterEach
    void closes() {
        beforeStep = plan -> {};
        if (engine != null) {
            engine.close();
            assertThat(ranks).allMatch(r -> r.closed.get());
        }
    }

    private LocalEngine.Builder builder(SchedulerConfig config) {
        return LocalEngine.builder(MODEL, config, rank -> {
                    AsyncRanks made = new AsyncRanks(VOCABULARY, 2_000, 64, 256, plan -> beforeStep.accept(plan));
                    ranks.add(made);
                    return made;
                })
                .log(lines::add);
    }

    private void start(SchedulerConfig config) {
        engine = builder(config).build();
    }

    private void submit(String rid, int[] prompt, int newTokens) {
        submit(EngineRequest.of(rid, prompt, SamplingParams.greedy(newTokens)));
    }

    private void submit(EngineRequest request) {
        engine.submit(
                request,
                output -> outputs.computeIfAbsent(request.rid(), rid -> new CopyOnWriteArrayList<>())
                        .add(output));
    }

    private FinishReason finish(String rid) {
        await().atMost(20, TimeUnit.SECONDS)
                .pollDelay(Duration.ZERO)
                .pollInterval(Duration.ofMillis(2))
                .until(() -> {
                    List<RequestOutput> all = outputs.get(rid);
                    return all != null && all.getLast().isLast();
                });
        return outputs.get(rid).getLast().finish();
    }

    private List<Integer> ids(String rid) {
        return outputs.get(rid).stream()
                .flatMap(o -> Arrays.stream(o.newIds()).boxed())
                .toList();
    }

    private static int[] prompt(int seed, int length) {
        return IntStream.range(0, length)
                .map(i -> Math.floorMod(i < 20 ? i : seed * 31 + i * 7, VOCABULARY))
                .toArray();
    }

    private void idleWithoutLeaks() {
        await().atMost(10, TimeUnit.SECONDS)
                .until(() -> engine.states().stream().allMatch(s -> s.usedTokens() == 0));
        for (RankState state : engine.states()) {
            assertThat(state.freeTokens() + state.evictableTokens())
                    .isEqualTo(engine.info().maxTotalTokens());
            assertThat(state.runningRequests() + state.queuedRequests()).isZero();
        }
    }

    @ParameterizedTest
    @CsvSource({"1,true", "1,false", "2,true"})
    void manyRequestsAtOnceGetTheAnswersThatEachGetsAlone(int dataParallel, boolean overlap) {
        engine = builder(SchedulerConfig.DEFAULT.toBuilder()
                        .overlap(overlap)
                        .chunkedPrefillTokens(64)
                        .conservativeness(0.1)
                        .build())
                .dataParallel(dataParallel)
                .build();
        int requests = 200;
        for (int i = 0; i < requests; i++) {
            submit("r" + i, prompt(i, 1 + i % 150), 1 + i % 50);
        }
        for (int i = 0; i < requests; i++) {
            assertThat(finish("r" + i)).isEqualTo(new FinishReason.Length(1 + i % 50));
            assertThat(ids("r" + i))
                    .isEqualTo(
                            AsyncRanks.answer(VOCABULARY, prompt(i, 1 + i % 150), SamplingParams.greedy(1 + i % 50)));
        }
        idleWithoutLeaks();
    }

    @Test
    void zeroNewTokensPrefillsOnlyAndFillsTheCache() {
        start(SchedulerConfig.DEFAULT);
        submit("a", prompt(1, 100), 0);
        assertThat(finish("a")).isEqualTo(new FinishReason.Length(0));
        assertThat(ids("a")).isEmpty();
        submit("b", prompt(1, 100), 5);
        finish("b");
        assertThat(outputs.get("b").getFirst().cachedTokens()).isEqualTo(99);
        idleWithoutLeaks();
    }

    @Test
    void prefixesAreSharedOnlyWithinASalt() {
        start(SchedulerConfig.DEFAULT);
        for (String salt : Arrays.asList(null, "a", "a", "b", null)) {
            String rid = "r" + outputs.size();
            submit(new EngineRequest(rid, prompt(1, 100), SamplingParams.greedy(2), null, null, null, salt));
            finish(rid);
        }
        assertThat(IntStream.range(0, 5)
                        .map(i -> outputs.get("r" + i).getFirst().cachedTokens()))
                .containsExactly(0, 0, 99, 0, 99);
        idleWithoutLeaks();
    }

    @Test
    void requestsThatCannotBeServedAreRefusedWithTheReason() {
        start(SchedulerConfig.DEFAULT);
        refused("The input (256 tokens) is longer than the model's context length (256 tokens).", prompt(0, 256), 1);
        refused("Requested token count exceeds the model's maximum context length of 256 tokens", prompt(0, 200), 57);
        refused("input_ids must hold at least one token", new int[0], 1);
        refused("input_ids[1] is 101, but the vocabulary has ids 0 to 100", new int[] {1, 101}, 1);
        refused("input_ids[0] is -1", new int[] {-1}, 1);
        refused("takes prompts of fewer than 250 tokens", prompt(0, 252), 1);
        assertThatThrownBy(() -> submit(new EngineRequest("x", new int[] {1}, SamplingParams.greedy(1), null, null, 1)))
                .hasMessageContaining("data_parallel_rank must be in [0, 1), got 1");
        assertThatThrownBy(
                        () -> submit(EngineRequest.of("x", new int[] {1}, SamplingParams.DEFAULT.withTemperature(-1))))
                .isInstanceOfSatisfying(
                        EngineException.class,
                        e -> assertThat(e.code()).isEqualTo(EngineException.Code.INVALID_REQUEST))
                .hasMessageContaining("temperature must be non-negative");
        assertThat(outputs).isEmpty();
        assertThat(engine.load().getFirst().waitingRequests()).isZero();
    }

    private void refused(String message, int[] prompt, int newTokens) {
        assertThatThrownBy(() -> submit("x", prompt, newTokens))
                .isInstanceOfSatisfying(
                        EngineException.class,
                        e -> assertThat(e.code()).isEqualTo(EngineException.Code.INVALID_REQUEST))
                .hasMessageContaining(message);
    }

    @Test
    void newTokensAreCutToWhatFits() {
        start(SchedulerConfig.DEFAULT);
        submit("a", prompt(0, 200), 56);
        assertThat(finish("a")).isEqualTo(new FinishReason.Length(54));
    }

    @Test
    void aFullQueueRefusesAndTheRestIsServed() throws Exception {
        CountDownLatch go = new CountDownLatch(1);
        beforeStep = plan -> awaitQuietly(go);
        start(SchedulerConfig.DEFAULT.toBuilder()
                .maxQueuedRequests(3)
                .maxRunningRequests(1)
                .build());
        submit("run", prompt(0, 5), 3);
        await().until(() -> engine.load().getFirst().runningRequests() == 1 || !lines.isEmpty());
        for (int i = 0; i < 3; i++) {
            submit("q" + i, prompt(0, 5), 3);
        }
        assertThatThrownBy(() -> submit("one too many", prompt(0, 5), 3))
                .isInstanceOfSatisfying(
                        EngineException.class, e -> assertThat(e.code()).isEqualTo(EngineException.Code.QUEUE_FULL))
                .hasMessage("The request queue is full.");
        go.countDown();
        for (int i = 0; i < 3; i++) {
            assertThat(finish("q" + i)).isEqualTo(new FinishReason.Length(3));
        }
        submit("one too many", prompt(0, 5), 3);
        finish("one too many");
        idleWithoutLeaks();
    }

    @Test
    void aRidMayBeUsedAgainOnlyAfterItsEnd() {
        CountDownLatch go = new CountDownLatch(1);
        beforeStep = plan -> awaitQuietly(go);
        start(SchedulerConfig.DEFAULT);
        submit("a", prompt(0, 5), 2);
        assertThatThrownBy(() -> submit("a", prompt(0, 5), 2)).hasMessageContaining("still live");
        go.countDown();
        finish("a");
        outputs.clear();
        await().ignoreExceptions().until(() -> {
            submit("a", prompt(0, 5), 2);
            return true;
        });
        finish("a");
    }

    @Test
    void abortEndsWhatBeginsWithThePrefixWaitingOrRunning() {
        CountDownLatch go = new CountDownLatch(1);
        beforeStep = plan -> {
            if (plan.step() > 3) {
                awaitQuietly(go);
            }
        };
        start(SchedulerConfig.DEFAULT.toBuilder().maxRunningRequests(1).build());
        submit("job-1", prompt(0, 5), 200);
        await().until(() -> outputs.containsKey("job-1"));
        submit("job-2", prompt(1, 5), 200);
        submit("other", prompt(2, 5), 3);
        engine.abort("job-");
        go.countDown();
        assertThat(finish("job-1")).isInstanceOf(FinishReason.Abort.class);
        assertThat(ids("job-1")).hasSizeBetween(1, 199);
        assertThat(finish("job-2")).isEqualTo(new FinishReason.Abort("Abort in waiting queue", 0, ""));
        assertThat(finish("other")).isEqualTo(new FinishReason.Length(3));
        idleWithoutLeaks();
    }

    @Test
    void abortAllEndsEverything() {
        start(SchedulerConfig.DEFAULT.toBuilder().maxRunningRequests(4).build());
        for (int i = 0; i < 50; i++) {
            submit("r" + i, prompt(i, 30), 200);
        }
        engine.abortAll();
        for (int i = 0; i < 50; i++) {
            finish("r" + i);
        }
        idleWithoutLeaks();
    }

    @Test
    void flushEmptiesTheCacheOnlyWhenNothingLives() {
        CountDownLatch go = new CountDownLatch(1);
        beforeStep = plan -> awaitQuietly(go);
        start(SchedulerConfig.DEFAULT);
        submit("a", prompt(0, 50), 4);
        await().until(() -> !lines.isEmpty());
        assertThat(engine.flushCache().orTimeout(10, TimeUnit.SECONDS).join()).isFalse();
        go.countDown();
        finish("a");
        await().until(() -> engine.states().getFirst().evictableTokens() > 0);
        await().until(() -> engine.flushCache().join());
        submit("b", prompt(0, 50), 4);
        finish("b");
        assertThat(outputs.get("b").getFirst().cachedTokens()).isZero();
        assertThat(lines)
                .anyMatch(l -> l.endsWith("Cache flushed successfully!"))
                .anyMatch(l -> l.contains("Cache not flushed because there are pending requests. #queue-req: "));
    }

    @Test
    void slowDownSleepsBeforeEachStepAndEndsAtOnce() {
        start(SchedulerConfig.DEFAULT);
        engine.slowDown(3600).join();
        submit("a", prompt(0, 5), 3);
        await().until(() -> lines.stream().anyMatch(l -> l.endsWith("Scheduler.run_batch sleep 3600.0s")));
        submit("b", prompt(1, 5), 3);
        engine.abort("b");
        assertThat(finish("b")).isInstanceOf(FinishReason.Abort.class);
        assertThat(ranks.getFirst().steps).hasValue(0);
        engine.slowDown(0).orTimeout(10, TimeUnit.SECONDS).join();
        assertThat(finish("a")).isEqualTo(new FinishReason.Length(3));
        assertThat(lines.stream().filter(l -> l.contains("run_batch sleep"))).hasSize(1);
        engine.slowDown(0.001).join();
        submit("c", prompt(2, 5), 3);
        finish("c");
        assertThat(lines.stream().filter(l -> l.endsWith("Scheduler.run_batch sleep 0.001s")))
                .hasSizeGreaterThanOrEqualTo(3);
    }

    @ParameterizedTest
    @CsvSource({"1", "2"})
    void aFailedStepEndsEveryRequestAndRefusesLaterOnes(int dataParallel) {
        beforeStep = plan -> {
            if (plan.step() == 5) {
                throw new IllegalStateException("device lost");
            }
        };
        engine = builder(SchedulerConfig.DEFAULT.toBuilder()
                        .maxRunningRequests(2)
                        .build())
                .dataParallel(dataParallel)
                .build();
        // All are in before the step that fails.
        engine.slowDown(3600).join();
        for (int i = 0; i < 10; i++) {
            submit("r" + i, prompt(i, 10), 100);
        }
        engine.slowDown(0);
        for (int i = 0; i < 10; i++) {
            assertThat(finish("r" + i)).isInstanceOfSatisfying(FinishReason.Abort.class, a -> {
                assertThat(a.statusCode()).isEqualTo(500);
                assertThat(a.message()).contains("device lost");
            });
        }
        await().untilAsserted(() -> assertThatThrownBy(() -> submit("late", prompt(0, 5), 1))
                .isInstanceOfSatisfying(
                        EngineException.class, e -> assertThat(e.code()).isEqualTo(EngineException.Code.UNAVAILABLE))
                .hasMessageContaining("device lost"));
        assertThat(engine.flushCache()).failsWithin(Duration.ofSeconds(5));
        assertThat(engine.slowDown(1)).failsWithin(Duration.ofSeconds(5));
    }

    @Test
    void aStepThatNeverEndsTripsTheWatchdog() {
        CountDownLatch never = new CountDownLatch(1);
        beforeStep = plan -> awaitQuietly(never);
        start(SchedulerConfig.DEFAULT.toBuilder().watchdogSeconds(0.2).build());
        submit("a", prompt(0, 5), 3);
        assertThat(finish("a"))
                .isInstanceOfSatisfying(
                        FinishReason.Abort.class, a -> assertThat(a.message()).contains("Watchdog timeout"));
        never.countDown();
    }

    @Test
    void closeEndsLiveRequestsAndLaterOnesAreRefused() {
        start(SchedulerConfig.DEFAULT);
        engine.slowDown(3600).join();
        submit("a", prompt(0, 5), 100);
        engine.close();
        assertThat(finish("a"))
                .isInstanceOfSatisfying(
                        FinishReason.Abort.class,
                        a -> assertThat(a.statusCode()).isEqualTo(503));
        assertThatThrownBy(() -> submit("b", prompt(0, 5), 1)).isInstanceOf(EngineException.class);
    }

    @Test
    void requestsAreSpreadOverRanksAsAsked() {
        CountDownLatch go = new CountDownLatch(1);
        beforeStep = plan -> awaitQuietly(go);
        engine = builder(SchedulerConfig.DEFAULT)
                .dataParallel(3)
                .dispatch(DispatchPolicy.SHORTEST_QUEUE)
                .build();
        for (int i = 0; i < 4; i++) {
            submit(new EngineRequest("own" + i, prompt(i, 5), SamplingParams.greedy(2), null, null, 2));
        }
        for (int i = 0; i < 8; i++) {
            submit("r" + i, prompt(i, 5), 2);
        }
        await().until(() -> engine.load().stream()
                        .mapToInt(l -> l.runningRequests() + l.waitingRequests())
                        .sum()
                == 12);
        assertThat(engine.load().stream().map(l -> l.runningRequests() + l.waitingRequests()))
                .containsExactly(4, 4, 4);
        go.countDown();
        finish("r7");
        assertThat(DispatchPolicy.of("round_robin")).isEqualTo(DispatchPolicy.ROUND_ROBIN);
        assertThatThrownBy(() -> DispatchPolicy.of("fair")).hasMessageContaining("--load-balance-method");
    }

    @Test
    void observersSeeEveryStepAndListenersRunAfterIt() {
        List<Long> begun = new CopyOnWriteArrayList<>();
        List<Long> ended = new CopyOnWriteArrayList<>();
        AtomicInteger told = new AtomicInteger();
        engine = builder(SchedulerConfig.DEFAULT)
                .observers(rank -> List.of(new StepObserver() {
                    @Override
                    public void beforeStep(StepPlan plan) {
                        begun.add(plan.step());
                    }

                    @Override
                    public void afterStep(StepPlan plan, StepResult result) {
                        assertThat(result.step()).isEqualTo(plan.step());
                        ended.add(plan.step());
                    }
                }))
                .build();
        engine.onStepEnd(told::incrementAndGet);
        submit("a", prompt(0, 5), 5);
        finish("a");
        idleWithoutLeaks();
        await().until(() -> begun.size() == ended.size());
        assertThat(begun).isEqualTo(ended).startsWith(1L, 2L, 3L, 4L, 5L);
        assertThat(begun).isEqualTo(new ArrayList<>(begun).stream().sorted().toList());
        assertThat(told.get()).isGreaterThanOrEqualTo(begun.size());
        assertThat(engine.startProfile(null)).failsWithin(Duration.ofSeconds(1));
    }

    @Test
    void batchLinesStandInTheLogWithTheRanksName() {
        engine = builder(
                        SchedulerConfig.DEFAULT.toBuilder().decodeLogInterval(4).build())
                .labels(rank -> new RankLabel(rank, -1, 0, -1))
                .build();
        submit("a", prompt(0, 7), 20);
        finish("a");
        submit("b", prompt(0, 7), 1);
        finish("b");
        idleWithoutLeaks();
        List<PrefillLine> prefills =
                lines.stream().flatMap(l -> PrefillLine.parse(l).stream()).toList();
        assertThat(prefills.get(0)).isEqualTo(new PrefillLine(1, 7, 0, 0, 0, 0, null));
        assertThat(prefills.get(1).newTokens()).isEqualTo(1);
        assertThat(prefills.get(1).cachedTokens()).isEqualTo(6);
        List<DecodeLine> decodes =
                lines.stream().flatMap(l -> DecodeLine.parse(l).stream()).toList();
        assertThat(decodes).hasSize(4).allSatisfy(d -> {
            assertThat(d.runningRequests()).isEqualTo(1);
            assertThat(d.cuda()).isFalse();
            assertThat(d.generationThroughput()).isPositive();
        });
        assertThat(lines)
                .allSatisfy(l -> assertThat(
                                LogPrefix.parse(l).orElseThrow().prefix().rank())
                        .isEqualTo(new RankLabel(0, -1, 0, -1)));
        assertThat(engine.states().getFirst().lastGenerationThroughput()).isPositive();
        assertThat(engine.info().maxTotalTokens()).isEqualTo(2_000);
        assertThat(engine.info().maxRunningRequests()).isEqualTo(64);
    }

    private static void awaitQuietly(CountDownLatch latch) {
        try {
            latch.await(20, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
