package dev.baton.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.baton.engine.Engine;
import dev.baton.engine.request.EngineRequest;
import dev.baton.engine.request.RequestOutput;
import dev.baton.lab.evaluate.EvalPrompt;
import dev.baton.model.tokenizer.Tokenizer;
import dev.baton.protocol.FinishReason;
import dev.baton.protocol.SamplingParams;
import dev.baton.protocol.flag.ServerArgs;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** Prompts of the repository's model, put greedily to an engine of this JVM. */
final class Questions {
    private static final long DEADLINE_SECONDS = 90;

    private Questions() {}

    /** A prompt as ids. */
    record Question(String name, int[] ids, SamplingParams sampling) {
        /** The same, going on after its end token. */
        Question endless(int tokens) {
            SamplingParams p = SamplingParams.greedy(tokens);
            return new Question(
                    name,
                    ids,
                    SamplingParams.DEFAULT.toBuilder()
                            .maxNewTokens(tokens)
                            .temperature(0)
                            .topP(p.topP())
                            .topK(p.topK())
                            .minP(p.minP())
                            .ignoreEos(true)
                            .logitBias(p.logitBias())
                            .build());
        }
    }

    /**
     * What came back.
     *
     * @param retractions how often this request lost its memory on the way
     */
    record Answer(List<Integer> ids, String text, int retractions) {}

    /** Nothing but the model, the way the tests start it: one thread, no log. */
    static EngineAssembly engine(String... flags) {
        LogLevels.apply("error");
        List<String> words =
                new ArrayList<>(List.of("--model-path", ServerUnderTest.NANO.toString(), "--cpu-threads", "1"));
        words.addAll(Arrays.asList(flags));
        return EngineAssembly.start(ServerArgs.parse(words), EngineAssembly.RoleWiring.NONE);
    }

    /** One prompt of each domain that has plain prompts, twice, and a recall over a long text. */
    static List<Question> eight() {
        List<EvalPrompt> plain = EvalPrompt.read(ServerUnderTest.NANO.resolve("eval.jsonl")).stream()
                .filter(p -> p.prompt() != null)
                .toList();
        EvalPrompt longest = plain.stream()
                .filter(p -> p.domain().equals("recall"))
                .max(Comparator.comparingInt(p -> p.prompt().length()))
                .orElseThrow();
        List<EvalPrompt> chosen = new ArrayList<>(EvalPrompt.spread(
                plain.stream().filter(p -> p.prompt().length() < 400).toList(), 7));
        chosen.add(longest);
        return questions(chosen);
    }

    /** Prompts of one domain. */
    static List<Question> of(String domain, int count) {
        return questions(EvalPrompt.read(ServerUnderTest.NANO.resolve("eval.jsonl")).stream()
                .filter(p -> p.domain().equals(domain))
                .limit(count)
                .toList());
    }

    private static List<Question> questions(List<EvalPrompt> prompts) {
        try (Tokenizer tokenizer = Tokenizer.load(ServerUnderTest.NANO)) {
            return prompts.stream()
                    .map(p -> new Question(
                            p.id(),
                            tokenizer.encode(p.prompt(), true),
                            SamplingParams.greedy(p.maxNewTokens()).withStop(p.stop())))
                    .toList();
        }
    }

    /** Puts one after the other. */
    static List<Answer> oneByOne(Engine engine, List<Question> questions) {
        return questions.stream()
                .map(q -> together(engine, List.of(q)).getFirst())
                .toList();
    }

    /** Puts all at once and waits for all. */
    static List<Answer> together(Engine engine, List<Question> questions) {
        List<CompletableFuture<Answer>> answers = new ArrayList<>();
        for (int i = 0; i < questions.size(); i++) {
            Question question = questions.get(i);
            CompletableFuture<Answer> whole = new CompletableFuture<>();
            List<Integer> ids = new ArrayList<>();
            StringBuilder text = new StringBuilder();
            engine.submit(
                    EngineRequest.of(question.name() + "#" + i, question.ids(), question.sampling()),
                    output -> take(output, ids, text, whole));
            answers.add(whole);
        }
        return answers.stream()
                .map(a -> a.orTimeout(DEADLINE_SECONDS, TimeUnit.SECONDS).join())
                .toList();
    }

    private static void take(
            RequestOutput output, List<Integer> ids, StringBuilder text, CompletableFuture<Answer> whole) {
        Arrays.stream(output.newIds()).forEach(ids::add);
        text.append(output.newText());
        if (output.finish() instanceof FinishReason.Abort abort) {
            whole.completeExceptionally(new AssertionError(output.rid() + ": " + abort.message()));
        } else if (output.isLast()) {
            whole.complete(new Answer(List.copyOf(ids), text.toString(), output.retractions()));
        }
    }

    static List<List<Integer>> ids(List<Answer> answers) {
        return answers.stream().map(Answer::ids).toList();
    }

    /** Once nothing runs, every KV token is free or held by the prefix cache alone. */
    static void assertNothingLeaks(Engine engine) {
        int total = engine.info().maxTotalTokens();
        await().atMost(Duration.ofSeconds(20))
                .pollInterval(Duration.ofMillis(10))
                .untilAsserted(() -> assertThat(engine.states()).allSatisfy(state -> {
                    assertThat(state.runningRequests() + state.queuedRequests()).isZero();
                    assertThat(state.usedTokens()).isZero();
                    assertThat(state.freeTokens() + state.evictableTokens()).isEqualTo(total);
                }));
    }
}
