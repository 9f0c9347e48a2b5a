package dev.baton;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.engine.EngineException;
import dev.baton.model.ModelException;
import dev.baton.protocol.FinishReason;
import dev.baton.protocol.ProtocolException;
import dev.baton.protocol.SamplingParams;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Baton inside a Java program, as {@code docs/in-process.md} shows it. */
class InProcessTest {
    private static final Path NANO =
            Path.of(System.getProperty("baton.root", "..")).resolve("models/baton-nano");
    private static Baton model;

    @BeforeAll
    static void load() {
        model = Baton.load(NANO, "--max-total-tokens=4096", "--max-running-requests=4", "--cpu-threads=1");
    }

    @AfterAll
    static void close() {
        model.close();
    }

    /** The program of the page. */
    static void hello(String... folder) {
        try (Baton model = Baton.load(Path.of(folder[0]))) {
            System.out.println(model.chat(Message.user("What is Baton?")));
            for (String piece : model.stream("612+52=\n")) {
                System.out.print(piece);
            }
        }
    }

    @Test
    void theProgramOfThePageRuns() {
        hello(NANO.toString());
    }

    @Test
    void aSumIsRight() {
        Completion completion = model.generate("612+52=\n", SamplingParams.greedy(12));
        assertThat(completion.text()).startsWith("664");
        assertThat(completion.promptTokens()).isPositive();
        assertThat(completion.completionTokens()).isBetween(1, 12);
        assertThat(completion.finish()).isInstanceOf(FinishReason.class);
    }

    @Test
    void piecesAreTheWholeAnswer() {
        String whole = model.generate("865-23=\n");
        List<String> pieces = new ArrayList<>();
        try (TextStream stream = model.stream("865-23=\n")) {
            stream.forEachRemaining(pieces::add);
            assertThat(stream.completion().text()).isEmpty();
        }
        assertThat(String.join("", pieces)).isEqualTo(whole);
    }

    @Test
    void parametersHaveTheServersNamesAndChecks() {
        Completion completion =
                model.generate("612+52=\n", Baton.sampling(Map.of("temperature", 0, "max_new_tokens", 2)));
        assertThat(completion.completionTokens()).isEqualTo(2);
        assertThat(completion.finish()).isEqualTo(new FinishReason.Length(2));
        assertThatThrownBy(() -> Baton.sampling(Map.of("temprature", 1)))
                .isInstanceOf(ProtocolException.class)
                .hasMessageContaining("temprature")
                .hasMessageContaining("temperature");
    }

    @Test
    void aChatGoesThroughTheModelsTemplate() {
        assertThat(model.chat(Message.user("What is Baton?"))).contains("Baton is an LLM serving engine");
    }

    @Test
    void promptsOfSeveralThreadsAreAnsweredTogether() throws Exception {
        List<String> alone = new ArrayList<>();
        for (int i = 0; i < 6; i++) {
            alone.add(model.generate((100 + i) + "+52=\n"));
        }
        try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            List<Future<String>> together = new ArrayList<>();
            for (int i = 0; i < 6; i++) {
                String prompt = (100 + i) + "+52=\n";
                together.add(threads.submit(() -> model.generate(prompt)));
            }
            for (int i = 0; i < 6; i++) {
                assertThat(together.get(i).get(60, TimeUnit.SECONDS)).isEqualTo(alone.get(i));
            }
        }
    }

    @Test
    void aStreamThatIsClosedEarlyEndsItsRequest() {
        try (TextStream stream = model.stream("What is Baton?\n", SamplingParams.greedy(2000))) {
            assertThat(stream.hasNext()).isTrue();
        }
        // The rows are free again: more requests than rows are answered.
        for (int i = 0; i < 6; i++) {
            assertThat(model.generate("1+1=\n", SamplingParams.greedy(3)).completionTokens())
                    .isPositive();
        }
    }

    @Test
    void whatDoesNotFitIsToldWithItsReason(@TempDir Path empty) {
        assertThatThrownBy(() -> model.generate("x ".repeat(5000)))
                .isInstanceOf(EngineException.class)
                .hasMessageContaining("tokens");
        assertThatThrownBy(() -> Baton.load(empty)).isInstanceOf(ModelException.class);
    }
}
