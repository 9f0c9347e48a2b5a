package dev.baton.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** {@code baton check}: what it prints and how it ends. */
class CheckCommandTest {
    private record Outcome(int status, List<String> lines) {}

    private static Outcome check(String... words) {
        List<String> all = new ArrayList<>(List.of("check"));
        all.addAll(Arrays.asList(words));
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        PrintStream out = System.out;
        System.setOut(new PrintStream(bytes, true, StandardCharsets.UTF_8));
        try {
            int status = Baton.execute(all.toArray(String[]::new));
            return new Outcome(
                    status, bytes.toString(StandardCharsets.UTF_8).lines().toList());
        } finally {
            System.setOut(out);
        }
    }

    private static String golden(String name) {
        return ServerUnderTest.GOLDEN.resolve(name).toString();
    }

    @ParameterizedTest
    @CsvSource({
        "mixtral, --via=engine, --page-size=16, --tp-size=2",
        "qwen3-qknorm, --via=http, --page-size=16, --chunked-prefill-size=16",
        "deepseek-v3-fp8, --via=pd, --page-size=1, --tp-size=1",
        "deepseek-v2-lite, --path=vector, --absorbed, --tp-size=2",
        "qwen3-moe, --dtype=bfloat16, --via=http, --tp-size=1",
    })
    void aGoldenFolderPassesThroughRanksEngineServerAndPair(String name, String first, String second, String third) {
        Outcome outcome = check("golden", first, second, third, golden(name));
        assertThat(outcome.lines()).hasSize(2);
        assertThat(outcome.lines().getFirst()).startsWith("ok   " + name).contains("tolerance");
        assertThat(outcome.lines().getLast()).isEqualTo("1 passed, 0 failed");
        assertThat(outcome.status()).isZero();
    }

    @Test
    void aModelThatDiffersFailsWithTheReasonAndStatusOne(@TempDir Path folder) {
        Outcome outcome = check("golden", "--tolerance=1e-9", golden("mixtral"), folder.toString());
        assertThat(outcome.lines().getFirst()).startsWith("FAIL mixtral");
        assertThat(outcome.lines().get(1)).contains("differ by").contains("tolerance");
        assertThat(outcome.lines()).anyMatch(line -> line.startsWith("FAIL " + folder) && line.contains("golden.json"));
        assertThat(outcome.lines().getLast()).isEqualTo("0 passed, 2 failed");
        assertThat(outcome.status()).isEqualTo(1);
    }

    @Test
    void aFolderThatCannotBeServedFailsByItselfAndTheNextIsChecked(@TempDir Path folder) throws IOException {
        try (Stream<Path> files = Files.list(ServerUnderTest.GOLDEN.resolve("qwen3-qknorm"))) {
            for (Path file : files.toList()) {
                Files.copy(file, folder.resolve(file.getFileName()));
            }
        }
        Path config = folder.resolve("config.json");
        Files.writeString(
                config, Files.readString(config).replace("\"rope_type\": \"default\"", "\"rope_type\": \"spiral\""));
        Outcome outcome = check("golden", folder.toString(), golden("mixtral"));
        assertThat(outcome.lines().getFirst())
                .startsWith("FAIL " + folder.getFileName())
                .contains("spiral");
        assertThat(outcome.lines().get(1)).startsWith("ok   mixtral");
        assertThat(outcome.lines().getLast()).isEqualTo("1 passed, 1 failed");
        assertThat(outcome.status()).isEqualTo(1);
    }

    @Test
    void aSettingThatDoesNotFitIsAFailureThatSaysWhatToDo() {
        assertThat(check("golden", "--page-size=16", golden("mixtral")).lines().getFirst())
                .contains("add --via engine");
        assertThat(check("golden", "--tp-size=8", golden("qwen2-bias-tied"))
                        .lines()
                        .getFirst())
                .contains("num_attention_heads = 7");
    }

    @Test
    void templatesAreComparedCaseByCase(@TempDir Path folder) throws IOException {
        Files.createDirectory(folder.resolve("templates"));
        Files.writeString(folder.resolve("templates/a.jinja"), "{{ x }}\n{{ raise_exception('no') if x == 2 }}");
        Files.writeString(folder.resolve("conversations.json"), "{\"one\": {\"x\": 1}, \"two\": {\"x\": 2}}");
        Files.writeString(
                folder.resolve("rendered.json"),
                "{\"a|one\": {\"ok\": \"1\\n\"}, \"a|two\": {\"err\": \"TemplateError: no\"}}");
        Outcome passed = check("templates", folder.toString());
        assertThat(passed.lines()).containsExactly("2 passed, 0 failed");
        assertThat(passed.status()).isZero();
        Files.writeString(folder.resolve("rendered.json"), "{\"a|one\": {\"ok\": \"9\"}, \"a|two\": {\"ok\": \"2\"}}");
        Outcome failed = check("templates", folder.toString());
        assertThat(failed.lines().get(0)).startsWith("FAIL a|one: character 0: is '1");
        assertThat(failed.lines().get(1)).startsWith("FAIL a|two: failed: ").contains("line 2: TemplateError: no");
        assertThat(failed.lines().getLast()).isEqualTo("0 passed, 2 failed");
        assertThat(failed.status()).isEqualTo(1);
    }

    @Test
    void theModelsTokenizerIsComparedWithTheLibrary(@TempDir Path folder) {
        Outcome outcome = check("tokenizer", ServerUnderTest.NANO.toString());
        assertThat(outcome.lines().getFirst()).startsWith("ok   baton-nano: 900 comparisons, 0 differences");
        assertThat(outcome.lines().getLast()).isEqualTo("1 passed, 0 failed");
        assertThat(outcome.status()).isZero();
        assertThat(check("tokenizer", folder.toString()).status()).isEqualTo(1);
    }
}
