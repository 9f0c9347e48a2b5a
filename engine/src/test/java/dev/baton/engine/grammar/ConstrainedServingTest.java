package dev.baton.engine.grammar;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.baton.engine.EngineException;
import dev.baton.engine.EngineInfo;
import dev.baton.engine.LocalEngine;
import dev.baton.engine.parallel.LoadOptions;
import dev.baton.engine.parallel.ModelLoader;
import dev.baton.engine.request.EngineRequest;
import dev.baton.engine.request.RequestOutput;
import dev.baton.engine.schedule.SchedulerConfig;
import dev.baton.model.config.ModelConfig;
import dev.baton.model.tokenizer.Tokenizer;
import dev.baton.protocol.FinishReason;
import dev.baton.protocol.GrammarSpec;
import dev.baton.protocol.GrammarSpec.Kind;
import dev.baton.protocol.SamplingParams;
import dev.baton.protocol.log.RetractLine;
import dev.baton.tensor.cpu.CpuDevice;
import dev.baton.tensor.cpu.CpuOptions;
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

/** Sampled answers of the repository's model obey their grammars however requests are scheduled. */
class ConstrainedServingTest {
    private static final Path FOLDER = Path.of(System.getProperty("baton.root", ".."), "models/baton-nano");
    private static final int CONTEXT = 200;
    private static final List<GrammarSpec> GRAMMARS = List.of(
            new GrammarSpec(Kind.REGEX, "(yes|no),( [a-z]{2,5}){4,8} [A-Z][a-z]{1,7}\\."),
            new GrammarSpec(
                    Kind.JSON_SCHEMA,
                    "{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\",\"minimum\":3,\"maximum\":99},"
                            + "\"s\":{\"type\":\"string\",\"maxLength\":8}},\"required\":[\"n\",\"s\"]}"),
            new GrammarSpec(Kind.EBNF, "root ::= item (\";\" item){4,9}\nitem ::= [a-d]+ | \"(\" item \")\"\n"));

    private record Answer(String text, List<Integer> ids, FinishReason finish) {}

    private static ModelLoader loader;
    private static Tokenizer tokenizer;
    private static Map<String, Answer> alone;

    @BeforeAll
    static void answersEachAlone() {
        assumeTrue(Files.exists(FOLDER.resolve("config.json")), FOLDER + " holds no model");
        loader = ModelLoader.open(FOLDER, LoadOptions.Format.SAFETENSORS, 1);
        tokenizer = Tokenizer.load(FOLDER);
        alone = answers(
                config().maxRunningRequests(1).radixCache(false).overlap(false).build(), 4096, 1, line -> {});
    }

    @AfterAll
    static void closes() {
        if (tokenizer != null) {
            tokenizer.close();
            loader.close();
        }
    }

    private static SchedulerConfig.Builder config() {
        return SchedulerConfig.DEFAULT.toBuilder();
    }

    @Test
    void everyAnswerThatEndsMatchesItsGrammar() {
        assertValid(alone);
    }

    @Test
    void withOverlapAndBatchesTheSameSeedsGiveTheSameAnswers() {
        assertThat(answers(config().build(), 8192, 1, line -> {})).isEqualTo(alone);
    }

    @Test
    void withRetractionForcedTheSameSeedsGiveTheSameAnswers() {
        AtomicInteger retracted = new AtomicInteger();
        Map<String, Answer> answers = answers(
                config().conservativeness(0).maxPrefillTokens(1).pageTokens(4).build(),
                130,
                1,
                line -> RetractLine.parse(line).ifPresent(r -> retracted.addAndGet(r.retracted())));
        assertThat(retracted).hasPositiveValue();
        assertThat(answers).isEqualTo(alone);
    }

    @Test
    void onTwoTensorParallelRanksAnswersAreValid() {
        assertValid(answers(config().build(), 8192, 2, line -> {}));
    }

    private static void assertValid(Map<String, Answer> answers) {
        GrammarVocabulary vocabulary = GrammarVocabulary.of(
                tokenizer, loader.config().vocabSize(), loader.config().eosIds());
        List<Grammar> grammars = GRAMMARS.stream()
                .map(spec -> Walks.compile(vocabulary, spec.kind(), spec.text()))
                .toList();
        int ended = 0;
        for (Map.Entry<String, Answer> entry : answers.entrySet()) {
            Answer answer = entry.getValue();
            if (answer.finish instanceof FinishReason.StopToken) {
                ended++;
                int kind = Integer.parseInt(entry.getKey().substring(1)) % GRAMMARS.size();
                assertThat(Walks.accepts(grammars.get(kind), answer.text))
                        .as(answer.text)
                        .isTrue();
            }
        }
        assertThat(ended).isGreaterThan(12);
    }

    private static Map<String, Answer> answers(
            SchedulerConfig config, int poolTokens, int tensorParallel, Consumer<String> log) {
        try (LocalEngine engine = engine(config, poolTokens, tensorParallel, log)) {
            Map<String, CompletableFuture<Answer>> pending = new LinkedHashMap<>();
            engine.slowDown(3600).join();
            for (int i = 0; i < 30; i++) {
                SamplingParams params = SamplingParams.DEFAULT.toBuilder()
                        .maxNewTokens(48)
                        .temperature(1.3f)
                        .ignoreEos(i % 2 == 0)
                        .minNewTokens(i % 5 == 0 ? 6 : 0)
                        .frequencyPenalty(i % 4 == 0 ? 0.7f : 0)
                        .seed(1000L + i)
                        .grammar(GRAMMARS.get(i % GRAMMARS.size()))
                        .build();
                int[] prompt = tokenizer.encode("Question " + i + ": what is Baton?", true);
                pending.put("r" + i, ask(engine, EngineRequest.of("r" + i, prompt, params)));
            }
            engine.slowDown(0).join();
            Map<String, Answer> answers = new LinkedHashMap<>();
            pending.forEach((rid, answer) ->
                    answers.put(rid, answer.orTimeout(100, TimeUnit.SECONDS).join()));
            await().until(() -> engine.states().getFirst().usedTokens() == 0);
            return answers;
        }
    }

    private static LocalEngine engine(
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
        return LocalEngine.builder(
                        info, config, rank -> loader.start(options, (r, size) -> CpuDevice.open(CpuOptions.of(1))))
                .endTokenIds(new HashSet<>(model.eosIds()))
                .tokenizer(tokenizer)
                .log(log)
                .build();
    }

    private static CompletableFuture<Answer> ask(LocalEngine engine, EngineRequest request) {
        CompletableFuture<Answer> done = new CompletableFuture<>();
        StringBuilder text = new StringBuilder();
        List<Integer> ids = new ArrayList<>();
        engine.submit(request, (RequestOutput output) -> {
            text.append(output.newText());
            for (int id : output.newIds()) {
                ids.add(id);
            }
            if (output.finish() instanceof FinishReason.Abort abort) {
                done.completeExceptionally(new AssertionError(abort.message()));
            } else if (output.isLast()) {
                done.complete(new Answer(text.toString(), ids, output.finish()));
            }
        });
        return done;
    }

    @Test
    void aGrammarThatCannotBeServedIsRefusedBeforeAnythingRuns() {
        try (LocalEngine engine = engine(config().build(), 4096, 1, line -> {})) {
            SamplingParams params = SamplingParams.greedy(5).toBuilder()
                    .grammar(new GrammarSpec(Kind.JSON_SCHEMA, "{\"not\":{}}"))
                    .build();
            assertThatThrownBy(() -> engine.submit(EngineRequest.of("r", new int[] {1}, params), output -> {}))
                    .isInstanceOf(EngineException.class)
                    .hasMessageContaining("'not' is not supported");
            assertThat(engine.states().getFirst().usedTokens()).isZero();
        }
    }
}
