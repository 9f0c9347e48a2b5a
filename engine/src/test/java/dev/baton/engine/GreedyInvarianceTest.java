package dev.baton.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.baton.engine.parallel.LoadOptions;
import dev.baton.engine.parallel.ModelLoader;
import dev.baton.engine.request.EngineRequest;
import dev.baton.engine.request.RequestOutput;
import dev.baton.engine.schedule.SchedulePolicy;
import dev.baton.engine.schedule.SchedulerConfig;
import dev.baton.model.config.ModelConfig;
import dev.baton.model.tokenizer.Tokenizer;
import dev.baton.protocol.FinishReason;
import dev.baton.protocol.SamplingParams;
import dev.baton.protocol.log.RetractLine;
import dev.baton.tensor.cpu.CpuDevice;
import dev.baton.tensor.cpu.CpuOptions;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The trained model of the repository answers alike however its requests are scheduled. */
class GreedyInvarianceTest {
    private static final Path FOLDER = Path.of(System.getProperty("baton.root", ".."), "models/baton-nano");
    private static final int CONTEXT = 256;

    private record Answer(String text, List<Integer> ids) {}

    private static ModelLoader loader;
    private static Tokenizer tokenizer;
    private static final Map<String, int[]> PROMPTS = new LinkedHashMap<>();
    private static Map<String, Answer> alone;

    @BeforeAll
    static void answersEachPromptAlone() throws IOException {
        assumeTrue(Files.exists(FOLDER.resolve("config.json")), FOLDER + " holds no model");
        loader = ModelLoader.open(FOLDER, LoadOptions.Format.SAFETENSORS, 1);
        tokenizer = Tokenizer.load(FOLDER);
        JsonMapper json = new JsonMapper();
        List<int[]> fitting = new ArrayList<>();
        for (String line : Files.readAllLines(FOLDER.resolve("eval.jsonl"))) {
            JsonNode node = json.readTree(line);
            if (node.get("prompt") == null) {
                continue;
            }
            int[] ids = tokenizer.encode(node.get("prompt").asString(), true);
            if (ids.length < 120) {
                fitting.add(ids);
            }
        }
        for (int i = 0; i < 32; i++) {
            PROMPTS.put("p" + i, fitting.get(i * fitting.size() / 32));
        }
        SchedulerConfig plain = SchedulerConfig.DEFAULT.toBuilder()
                .maxRunningRequests(1)
                .radixCache(false)
                .overlap(false)
                .build();
        alone = answers(plain, 4096, 1);
        assertThat(alone.values().stream().filter(a -> a.ids().size() > 3)).hasSizeGreaterThan(8);
    }

    @AfterAll
    static void closes() throws Exception {
        if (tokenizer != null) {
            tokenizer.close();
            loader.close();
        }
    }

    private static SchedulerConfig.Builder config() {
        return SchedulerConfig.DEFAULT.toBuilder();
    }

    @Test
    void allAtOnceWithOverlapAndPrefixCache() {
        assertThat(answers(config().build(), 8192, 1)).isEqualTo(alone);
    }

    @Test
    void withoutPrefixCacheAndWithoutOverlap() {
        assertThat(answers(config().radixCache(false).overlap(false).build(), 8192, 1))
                .isEqualTo(alone);
    }

    @Test
    void inSmallChunksOnPagesOfSixteenByLongestPrefix() {
        SchedulerConfig config = config().chunkedPrefillTokens(32)
                .pageTokens(16)
                .policy(SchedulePolicy.LPM)
                .build();
        assertThat(answers(config, 8192, 1)).isEqualTo(alone);
    }

    @Test
    void withRetractionForced() {
        AtomicInteger retracted = new AtomicInteger();
        SchedulerConfig config =
                // One request a step, and nothing kept free for the running ones.
                config().conservativeness(0).maxPrefillTokens(1).pageTokens(4).build();
        Map<String, Answer> answers = answers(
                config, 240, 1, line -> RetractLine.parse(line).ifPresent(r -> retracted.addAndGet(r.retracted())));
        assertThat(answers).isEqualTo(alone);
        assertThat(retracted).hasPositiveValue();
    }

    @Test
    void onTwoTensorParallelRanks() {
        assertThat(answers(config().chunkedPrefillTokens(64).build(), 8192, 2)).isEqualTo(alone);
    }

    private static Map<String, Answer> answers(SchedulerConfig config, int poolTokens, int tensorParallel) {
        return answers(config, poolTokens, tensorParallel, line -> {});
    }

    private static Map<String, Answer> answers(
            SchedulerConfig config, int poolTokens, int tensorParallel, Consumer<String> log) {
        ModelConfig model = loader.config();
        LoadOptions options = LoadOptions.DEFAULT
                .with()
                .tensorParallel(tensorParallel)
                .contextTokens(CONTEXT)
                .maxRunningRequests(32)
                .maxStepTokens(4096)
                .maxTotalTokens(poolTokens)
                .build();
        EngineInfo info = new EngineInfo(
                FOLDER.toString(), "", "", model.vocabSize(), CONTEXT, 0, 0, 0, 0, tensorParallel, 1, null, 0, 0);
        try (LocalEngine engine = LocalEngine.builder(
                        info, config, rank -> loader.start(options, (r, size) -> CpuDevice.open(CpuOptions.of(1))))
                .endTokenIds(new HashSet<>(model.eosIds()))
                .tokenizer(tokenizer)
                .log(log)
                .build()) {
            Map<String, CompletableFuture<Answer>> pending = new LinkedHashMap<>();
            // The first step waits until all requests are there, so that every run schedules alike.
            engine.slowDown(3600).join();
            PROMPTS.forEach((rid, ids) -> pending.put(rid, ask(engine, rid, ids)));
            engine.slowDown(0).join();
            Map<String, Answer> answers = new LinkedHashMap<>();
            pending.forEach((rid, answer) ->
                    answers.put(rid, answer.orTimeout(100, TimeUnit.SECONDS).join()));
            await().until(() -> engine.states().getFirst().usedTokens() == 0);
            return answers;
        }
    }

    private static CompletableFuture<Answer> ask(LocalEngine engine, String rid, int[] ids) {
        CompletableFuture<Answer> done = new CompletableFuture<>();
        List<RequestOutput> outputs = new ArrayList<>();
        engine.submit(EngineRequest.of(rid, ids, SamplingParams.greedy(40)), output -> {
            outputs.add(output);
            if (output.finish() instanceof FinishReason.Abort abort) {
                done.completeExceptionally(new AssertionError(abort.message()));
            } else if (output.isLast()) {
                StringBuilder text = new StringBuilder();
                List<Integer> all = new ArrayList<>();
                for (RequestOutput o : outputs) {
                    text.append(o.newText());
                    for (int id : o.newIds()) {
                        all.add(id);
                    }
                }
                done.complete(new Answer(text.toString(), all));
            }
        });
        return done;
    }
}
