package dev.baton.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.engine.EngineException;
import dev.baton.lab.evaluate.EvalPrompt;
import dev.baton.lab.evaluate.Evaluation;
import dev.baton.protocol.flag.ServerArgs;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EvalLayoutsTest {
    @TempDir
    Path folder;

    @Test
    void layoutsAreLinesOfFlags() throws IOException {
        Path file = folder.resolve("layouts.txt");
        Files.writeString(file, "# several\n-\n\n--tp-size 2   --ep-size 2 # two\n");
        assertThat(EvalLayouts.read(file)).containsExactly(List.of(), List.of("--tp-size", "2", "--ep-size", "2"));
        Files.writeString(file, "# none\n");
        assertThatThrownBy(() -> EvalLayouts.read(file))
                .isInstanceOf(EngineException.class)
                .hasMessageContaining("names no layout");
        assertThatThrownBy(() -> EvalLayouts.read(folder.resolve("absent")))
                .hasMessageContaining("--layouts: cannot read");
    }

    @Test
    void theShippedLayoutsAreThoseThatServersTake() {
        List<List<String>> layouts = EvalLayouts.read(ProjectRoot.find().resolve("experiments/layouts.txt"));
        assertThat(layouts).hasSizeGreaterThanOrEqualTo(24).doesNotHaveDuplicates();
        for (List<String> flags : layouts) {
            List<String> words = new ArrayList<>(List.of("--model-path", "m"));
            words.addAll(flags);
            ServerArgs args = ServerArgs.parse(words);
            assertThat(ParallelFlags.shape(args).worldRanks()).isBetween(1, 8);
        }
    }

    @Test
    void answersAreCountedAndComparedWithTheFirst() throws Exception {
        EvalPrompt prompt =
                EvalPrompt.read(ServerUnderTest.NANO.resolve("eval.jsonl")).getFirst();
        Evaluation.Outcome right = new Evaluation.Outcome(prompt, prompt.answer(), true);
        Evaluation.Outcome wrong = new Evaluation.Outcome(prompt, "something else", true);
        Evaluation.Outcome failed = new Evaluation.Outcome(prompt, "something else", false);
        Deque<Evaluation.Report> reports = new LinkedList<>(
                List.of(new Evaluation.Report(List.of(right, wrong)), new Evaluation.Report(List.of(right, failed))));
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        double worst = EvalLayouts.run(
                List.of(List.of(), List.of("--tp-size", "2")), flags -> reports.remove(), new PrintStream(out));
        assertThat(worst).isEqualTo(0.5);
        assertThat(out.toString(StandardCharsets.UTF_8))
                .contains("| one rank | 2 | 1 | 2 | 0 |")
                .contains("| `--tp-size 2` | 2 | 1 | 1 | 1 |");
    }
}
