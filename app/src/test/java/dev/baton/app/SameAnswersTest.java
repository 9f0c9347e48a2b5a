package dev.baton.app;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.app.Questions.Answer;
import dev.baton.app.Questions.Question;
import dev.baton.engine.Engine;
import dev.baton.engine.RankState;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** How an engine is set up changes its speed, never its greedy answers; and whatever ran, no KV token is lost. */
class SameAnswersTest {
    private static List<Question> questions;
    private static List<List<Integer>> alone;

    @BeforeAll
    static void answerOneByOne() {
        questions = Questions.eight();
        try (EngineAssembly assembly = Questions.engine("--disable-radix-cache", "--disable-overlap-schedule")) {
            alone = Questions.ids(Questions.oneByOne(assembly.engine(), questions));
            Questions.assertNothingLeaks(assembly.engine());
        }
        assertThat(alone).allSatisfy(ids -> assertThat(ids).isNotEmpty());
        assertThat(questions.stream().mapToInt(q -> q.ids().length).max().orElse(0))
                .isGreaterThan(1000);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "--chunked-prefill-size=16",
                "--chunked-prefill-size=1024 --page-size=16",
                "--disable-radix-cache",
                "--disable-overlap-schedule --schedule-policy=lpm",
                "--page-size=16 --disable-radix-cache --chunked-prefill-size=256",
                "--tp-size=2",
                "--pp-size=3 --pp-async-batch-depth=1 --chunked-prefill-size=256",
                "--pp-size=2 --tp-size=2 --pp-max-micro-batch-size=3",
                "--dp-size=2",
                "--tp-size=2 --ep-size=2",
                "--tp-size=4 --dp-size=2 --enable-dp-attention --ep-size=4 --moe-dense-tp-size=1 --enable-dp-lm-head",
                "--tp-size=4 --dp-size=4 --enable-dp-attention --moe-a2a-backend=deepep --enable-single-batch-overlap",
                "--tp-size=2 --enable-deepep-moe --deepep-mode=normal --page-size=16 --enable-two-batch-overlap",
                "--tp-size=4 --ep-size=4 --ep-num-redundant-experts=8 --ep-dispatch-algorithm=dynamic --enable-eplb"
                        + " --eplb-rebalance-num-iterations=8 --eplb-rebalance-layers-per-chunk=1",
                "--tp-size=4 --dp-size=4 --enable-dp-attention --enable-deepep-moe --ep-num-redundant-experts=4 --enable-eplb"
                        + " --eplb-rebalance-num-iterations=10 --enable-two-batch-overlap",
                "--pp-size=2 --tp-size=2 --enable-deepep-moe --ep-num-redundant-experts=4 --enable-eplb"
                        + " --eplb-rebalance-num-iterations=10 --enable-two-batch-overlap",
            })
    void answersAreThoseOfOneByOne(String flags) {
        try (EngineAssembly assembly = Questions.engine(flags.split(" "))) {
            Engine engine = assembly.engine();
            assertThat(Questions.ids(Questions.together(engine, questions))).isEqualTo(alone);
            Questions.assertNothingLeaks(engine);
            // Now the prefix cache, where there is one, knows every prompt.
            assertThat(Questions.ids(Questions.together(engine, questions))).isEqualTo(alone);
            Questions.assertNothingLeaks(engine);
        }
    }

    @Test
    void thirtyTwoAtOnceAnswerAsOneByOne() {
        List<Integer> order = new ArrayList<>();
        for (int i = 0; i < 32; i++) {
            // The long one once: it is about speed here, not about answers.
            order.add(i == 0 ? questions.size() - 1 : i % (questions.size() - 1));
        }
        Collections.shuffle(order, new Random(1));
        try (EngineAssembly assembly = Questions.engine("--max-running-requests=32")) {
            List<Answer> answers = Questions.together(
                    assembly.engine(), order.stream().map(questions::get).toList());
            assertThat(Questions.ids(answers))
                    .isEqualTo(order.stream().map(alone::get).toList());
            Questions.assertNothingLeaks(assembly.engine());
        }
    }

    @Test
    void retractedRequestsAnswerTheSame() {
        // Each short answer that ends lets in another long one, since the estimate is far too low: in the end there are
        // about twice as many as fit.
        List<Question> brief = Questions.of("arithmetic", 8);
        List<Question> endless =
                Questions.of("json", 8).stream().map(q -> q.endless(100)).toList();
        List<Question> many = new ArrayList<>();
        for (int i = 0; i < brief.size(); i++) {
            many.add(brief.get(i));
            many.add(endless.get(i));
        }
        List<List<Integer>> expected;
        try (EngineAssembly assembly = Questions.engine()) {
            expected = Questions.ids(Questions.oneByOne(assembly.engine(), many));
        }
        try (EngineAssembly assembly = Questions.engine(
                "--max-total-tokens=260", "--schedule-conservativeness=0.01", "--disable-radix-cache")) {
            Engine engine = assembly.engine();
            List<Answer> answers = Questions.together(engine, many);
            assertThat(answers.stream().mapToInt(Answer::retractions).sum())
                    .as("retractions")
                    .isPositive();
            assertThat(engine.states().stream()
                            .mapToInt(RankState::retractedRequests)
                            .sum())
                    .isPositive();
            assertThat(Questions.ids(answers)).isEqualTo(expected);
            Questions.assertNothingLeaks(engine);
        }
    }
}
