package dev.baton.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.baton.engine.parallel.LoadOptions;
import dev.baton.engine.parallel.ModelLoader;
import dev.baton.engine.parallel.ParallelShape;
import dev.baton.engine.parallel.PipelineOptions;
import dev.baton.engine.parallel.RankGroup;
import dev.baton.engine.request.EngineRequest;
import dev.baton.engine.request.RequestOutput;
import dev.baton.engine.schedule.SchedulerConfig;
import dev.baton.model.tokenizer.Tokenizer;
import dev.baton.protocol.FinishReason;
import dev.baton.protocol.SamplingParams;
import dev.baton.protocol.log.RetractLine;
import dev.baton.tensor.cpu.CpuDevice;
import dev.baton.tensor.cpu.CpuOptions;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The trained model answers alike whether its layers stand on one stage or on several, whatever the stages' pace. */
class PipelineServingTest {
    private static final Path FOLDER = Path.of(System.getProperty("baton.root", ".."), "models/baton-nano");
    private static final int CONTEXT = 192;

    private static ModelLoader loader;
    private static final List<int[]> PROMPTS = new ArrayList<>();
    private static List<List<Integer>> alone;

    @BeforeAll
    static void answersOnOneStage() throws IOException {
        assumeTrue(Files.exists(FOLDER.resolve("config.json")), FOLDER + " holds no model");
        loader = ModelLoader.open(FOLDER, LoadOptions.Format.SAFETENSORS, 1);
        List<int[]> fitting = new ArrayList<>();
        try (Tokenizer tokenizer = Tokenizer.load(FOLDER)) {
            for (String line : Files.readAllLines(FOLDER.resolve("eval.jsonl"))) {
                JsonNode node = new JsonMapper().readTree(line);
                if (node.get("prompt") != null) {
                    int[] ids = tokenizer.encode(node.get("prompt").asString(), true);
                    if (ids.length < 100) {
                        fitting.add(ids);
                    }
                }
            }
        } catch (RuntimeException e) {
            throw new IllegalStateException("the model's tokenizer", e);
        }
        for (int i = 0; i < 16; i++) {
            PROMPTS.add(fitting.get(i * fitting.size() / 16));
        }
        alone = answers(SchedulerConfig.DEFAULT, 1, 1, PipelineOptions.DEFAULT, 4096, group -> {}, line -> {});
        assertThat(alone).allSatisfy(ids -> assertThat(ids).hasSize(24)).doesNotHaveDuplicates();
    }

    @AfterAll
    static void closes() {
        if (loader != null) {
            loader.close();
        }
    }

    private static SchedulerConfig.Builder batches(int count) {
        return SchedulerConfig.DEFAULT.toBuilder().microBatches(count);
    }

    private static PipelineOptions messages(int count) {
        return new PipelineOptions(List.of(), count, false);
    }

    @Test
    void onTwoAndThreeStages() {
        assertThat(answers(batches(2).build(), 1, 2, messages(2), 4096, g -> {}, line -> {}))
                .isEqualTo(alone);
        assertThat(answers(batches(4).chunkedPrefillTokens(32).build(), 1, 3, messages(4), 4096, g -> {}, line -> {}))
                .isEqualTo(alone);
    }

    /** A scheduler that knows nothing of stages plans from the step in flight: the first stage waits for its ids. */
    @Test
    void plannedFromTheTokenPoolOneStepAhead() {
        assertThat(answers(SchedulerConfig.DEFAULT, 1, 2, messages(1), 4096, g -> {}, line -> {}))
                .isEqualTo(alone);
    }

    @Test
    void onTwoStagesOfTwoTensorParallelRanks() {
        assertThat(answers(batches(3).build(), 2, 2, messages(3), 4096, g -> {}, line -> {}))
                .isEqualTo(alone);
    }

    @Test
    void withRetractionForced() {
        AtomicInteger retracted = new AtomicInteger();
        SchedulerConfig config =
                batches(3).conservativeness(0).maxPrefillTokens(1).pageTokens(4).build();
        assertThat(answers(
                        config,
                        1,
                        2,
                        messages(3),
                        200,
                        g -> {},
                        line -> RetractLine.parse(line).ifPresent(r -> retracted.addAndGet(r.retracted()))))
                .isEqualTo(alone);
        assertThat(retracted).hasPositiveValue();
    }

    @Test
    void withStagesThatPauseAtRandomWhateverTheDepthAndTheWayOfSending() {
        for (int seed = 0; seed < 4; seed++) {
            SplittableRandom random = new SplittableRandom(seed);
            int stages = 2 + random.nextInt(2);
            int batches = stages + random.nextInt(2);
            // Depth 1: one message from stage to stage, one buffer.
            PipelineOptions pipeline = new PipelineOptions(List.of(), 1 + seed % 2 * (batches - 1), seed == 2);
            long pauses = random.nextLong();
            Consumer<RankGroup> pausing = group -> group.setLayerListeners(rank -> {
                        SplittableRandom own = new SplittableRandom(pauses + rank);
                        return (plan, layer) -> {
                            if (own.nextInt(4) == 0) {
                                LockSupport.parkNanos(own.nextInt(3_000_000));
                            }
                        };
                    })
                    .join();
            assertThat(answers(batches(batches).build(), 1, stages, pipeline, 4096, pausing, line -> {}))
                    .as("seed " + seed)
                    .isEqualTo(alone);
        }
    }

    @Test
    void aStageThatFailsEndsEveryRequestWithItsCause() {
        LoadOptions options = loadOptions(1, 3, messages(3), 4096);
        RankGroup group = loader.start(options, (r, size) -> CpuDevice.open(CpuOptions.of(1)));
        AtomicInteger layers = new AtomicInteger();
        group.setLayerListeners(rank -> (plan, layer) -> {
                    if (rank == 1 && layers.incrementAndGet() == 20) {
                        throw new IllegalStateException("stage 1 broken on purpose");
                    }
                })
                .join();
        try (LocalEngine engine = LocalEngine.builder(info(), batches(3).build(), rank -> group)
                .log(line -> {})
                .build()) {
            List<CompletableFuture<List<Integer>>> pending = new ArrayList<>();
            for (int i = 0; i < PROMPTS.size(); i++) {
                pending.add(ask(engine, "r" + i, PROMPTS.get(i)));
            }
            for (CompletableFuture<List<Integer>> answer : pending) {
                assertThat(answer)
                        .failsWithin(Duration.ofSeconds(60))
                        .withThrowableThat()
                        .havingRootCause()
                        .withMessageContaining("stage 1 broken on purpose");
            }
        }
    }

    private static LoadOptions loadOptions(int tensorParallel, int stages, PipelineOptions pipeline, int poolTokens) {
        return LoadOptions.DEFAULT
                .with()
                .shape(ParallelShape.tensorParallel(tensorParallel).withPipelineParallel(stages))
                .pipeline(pipeline)
                .contextTokens(CONTEXT)
                .maxRunningRequests(16)
                .maxStepTokens(2048)
                .maxTotalTokens(poolTokens)
                .build();
    }

    private static EngineInfo info() {
        return new EngineInfo(
                FOLDER.toString(), "", "", loader.config().vocabSize(), CONTEXT, 0, 0, 0, 0, 1, 1, null, 0, 0);
    }

    private static List<List<Integer>> answers(
            SchedulerConfig config,
            int tensorParallel,
            int stages,
            PipelineOptions pipeline,
            int poolTokens,
            Consumer<RankGroup> prepared,
            Consumer<String> log) {
        LoadOptions options = loadOptions(tensorParallel, stages, pipeline, poolTokens);
        RankGroup group = loader.start(options, (r, size) -> CpuDevice.open(CpuOptions.of(1)));
        prepared.accept(group);
        try (LocalEngine engine = LocalEngine.builder(info(), config, rank -> group)
                .endTokenIds(new HashSet<>(loader.config().eosIds()))
                .log(log)
                .build()) {
            Map<Integer, CompletableFuture<List<Integer>>> pending = new LinkedHashMap<>();
            // The first step waits until all requests are there, so that every run schedules alike.
            engine.slowDown(3600).join();
            IntStream.range(0, PROMPTS.size()).forEach(i -> pending.put(i, ask(engine, "r" + i, PROMPTS.get(i))));
            engine.slowDown(0).join();
            List<List<Integer>> answers = pending.values().stream()
                    .map(answer -> answer.orTimeout(100, TimeUnit.SECONDS).join())
                    .toList();
            await().until(() -> engine.states().getFirst().usedTokens() == 0);
            return answers;
        }
    }

    private static CompletableFuture<List<Integer>> ask(LocalEngine engine, String rid, int[] ids) {
        CompletableFuture<List<Integer>> done = new CompletableFuture<>();
        List<Integer> all = new ArrayList<>();
        SamplingParams sampling =
                SamplingParams.greedy(24).toBuilder().ignoreEos(true).build();
        engine.submit(EngineRequest.of(rid, ids, sampling), (RequestOutput output) -> {
            for (int id : output.newIds()) {
                all.add(id);
            }
            if (output.finish() instanceof FinishReason.Abort abort) {
                done.completeExceptionally(new AssertionError(abort.message()));
            } else if (output.isLast()) {
                done.complete(List.copyOf(all));
            }
        });
        return done;
    }
}
