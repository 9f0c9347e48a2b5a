package dev.baton.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What a user gets wrong on the command line or on disk: one line that names the remedy, a status, no stack trace. */
class BadCommandLineTest {
    private static final Duration END = Duration.ofSeconds(60);

    @TempDir
    Path folder;

    private record Ended(int status, String errors) {
        /** The one line that tells the fault. */
        String line() {
            List<String> lines =
                    errors.lines().filter(l -> l.startsWith("baton: ")).toList();
            assertThat(lines).as("told once, in: %s", errors).hasSize(1);
            assertThat(errors).doesNotContain("\tat ").doesNotContain("Exception");
            return lines.getFirst();
        }
    }

    @BeforeAll
    static void quietly() {
        LogLevels.apply("error");
    }

    private Path model;

    @BeforeEach
    void copyOfATinyModel() throws IOException {
        model = Files.createDirectories(folder.resolve("model"));
        for (String file : List.of("config.json", "generation_config.json", "model.safetensors")) {
            Files.copy(ServerUnderTest.GOLDEN.resolve("llama-mha-tied").resolve(file), model.resolve(file));
        }
    }

    /** The command in this JVM, as {@code main} runs it. */
    private static Ended run(String... words) {
        ByteArrayOutputStream errors = new ByteArrayOutputStream();
        PrintStream before = System.err;
        System.setErr(new PrintStream(errors, true, StandardCharsets.UTF_8));
        try {
            return new Ended(Baton.execute(words), errors.toString(StandardCharsets.UTF_8));
        } finally {
            System.setErr(before);
        }
    }

    private Ended serve(String... flags) {
        String[] words = new String[flags.length + 4];
        words[0] = "serve";
        words[1] = "--skip-tokenizer-init";
        words[2] = "--model-path";
        words[3] = model.toString();
        System.arraycopy(flags, 0, words, 4, flags.length);
        return run(words);
    }

    @Test
    void anUnknownFlagGetsASuggestion() {
        Ended ended = run("serve", "--modle-path", "x");
        assertThat(ended.line()).contains("--modle-path").contains("did you mean --model-path?");
        assertThat(ended.status()).isEqualTo(2);
    }

    @ParameterizedTest
    @CsvSource({
        "--quantization,fp8,not yet served",
        "--speculative-algorithm,EAGLE,not yet served",
        "--page-size,many,--page-size",
        "--schedule-policy,best,choose from fcfs",
    })
    void aFlagThatCannotBeHadIsNamedWithStatus2(String flag, String value, String told) {
        Ended ended = serve(flag, value);
        assertThat(ended.line()).contains(flag).contains(told);
        assertThat(ended.status()).isEqualTo(2);
    }

    @ParameterizedTest
    @CsvSource({
        "--page-size,0",
        "--max-running-requests,0",
        "--tp-size,3",
        "--tp-size,-1",
        "--pp-size,0",
        "--pp-size,77",
        "--pp-async-batch-depth,1",
        "--dp-size,0",
        "--max-total-tokens,-5",
        "--context-length,0",
        "--chunked-prefill-size,0",
        "--port,70000",
        "--cpu-threads,0",
    })
    void aNumberThatDoesNotFitIsNamed(String flag, String value) {
        Ended ended = serve(flag, value);
        assertThat(ended.line().replace('_', '-')).contains(flag.substring(2)).contains(value);
        assertThat(ended.status()).isIn(1, 2);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "--tp-size=6 --dp-size=4 --enable-dp-attention | 6 = 1 * 4 + 2",
                "--tp-size=4 --ep-size=3 | 4 = 1 * 3 + 1",
                "--tp-size=4 --ep-size=2 --moe-a2a-backend=deepep | 4 / 2 must be 1",
                "--tp-size=2 --moe-dense-tp-size=2 | --moe-dense-tp-size: 1 makes dense layers whole",
                "--tp-size=2 --enable-dp-lm-head | without --enable-dp-attention",
                "--tp-size=2 --enable-two-batch-overlap | without --moe-a2a-backend deepep",
                "--tp-size=2 --dp-size=2 --enable-dp-attention --max-running-requests=1 | 1 / 2 = 0",
                "--tp-size=2 --enable-deepep-moe --deepep-mode=low_latency | has no experts",
                "--pp-async-batch-depth=1 | --pp-size is 1; leave it out or raise --pp-size",
                "--pp-size=2 --pp-async-batch-depth=-1 | must be at least 0, got -1",
                "--tp-size=2 --moe-a2a-backend=pigeons | choose from none, deepep",
            })
    void aLayoutThatDoesNotComeOutShowsTheArithmetic(String flags, String told) {
        Ended ended = serve(flags.split(" "));
        assertThat(ended.line()).contains(told);
        assertThat(ended.status()).isIn(1, 2);
    }

    @Test
    void aModelPathThatIsNotThere() {
        Ended ended = run("serve", "--model-path", folder.resolve("nowhere").toString());
        assertThat(ended.line()).contains("--model-path").contains("nowhere").contains("no such directory");
        assertThat(ended.status()).isEqualTo(1);
    }

    @Test
    void aFolderWithoutAConfiguration() throws IOException {
        Files.delete(model.resolve("config.json"));
        assertThat(serve().line()).contains("config.json").contains(model.toString());
    }

    @ParameterizedTest
    @CsvSource({
        "architectures,LlamaForCausalLM,MambaForCausalLM,LlamaForCausalLM",
        "rope_type,default,spiral,llama3",
        "hidden_act,silu,tanh,silu",
        "dtype,bfloat16,int3,bfloat16",
    })
    void aConfigurationThatIsNotServedNamesFieldValueAndWhatIs(
            String field, String value, String other, String supported) throws IOException {
        Path config = model.resolve("config.json");
        String text = Files.readString(config);
        String changed = text.replace('"' + value + '"', '"' + other + '"');
        assertThat(changed).as("%s has %s", config, value).isNotEqualTo(text);
        Files.writeString(config, changed);
        Ended ended = serve();
        assertThat(ended.line())
                .contains("config.json")
                .contains(field)
                .contains(other)
                .contains(supported);
        assertThat(ended.status()).isEqualTo(1);
    }

    @Test
    void weightsThatWereCutOffNameTensorAndSizes() throws IOException {
        Path file = model.resolve("model.safetensors");
        byte[] all = Files.readAllBytes(file);
        Files.write(file, java.util.Arrays.copyOf(all, all.length - 100));
        Ended ended = serve();
        assertThat(ended.line()).contains("model.safetensors").containsPattern("\\d+ bytes|bytes \\d+|\\d{3,}");
        assertThat(ended.status()).isEqualTo(1);
    }

    @Test
    void aWeightsHeaderLongerThanItsFile() throws IOException {
        Path file = model.resolve("model.safetensors");
        byte[] all = Files.readAllBytes(file);
        ByteBuffer.wrap(all).order(ByteOrder.LITTLE_ENDIAN).putLong(1L << 40);
        Files.write(file, all);
        assertThat(serve().line()).contains("model.safetensors").contains("" + (1L << 40));
    }

    @Test
    void aWeightOfAnUnknownType() throws IOException {
        change("\"BF16\"", "\"Q421\"");
        assertThat(serve().line()).contains("model.safetensors").contains("Q421");
    }

    @Test
    void aWeightThatIsMissing() throws IOException {
        change("model.norm.weight", "model.nrom.weight");
        assertThat(serve().line()).contains("model.norm.weight");
    }

    /** Replaces text of the weights' header by text of the same length. */
    private void change(String text, String by) throws IOException {
        Path file = model.resolve("model.safetensors");
        String all = Files.readString(file, StandardCharsets.ISO_8859_1);
        assertThat(all).contains(text);
        Files.writeString(file, all.replaceFirst(java.util.regex.Pattern.quote(text), by), StandardCharsets.ISO_8859_1);
    }

    @Test
    void aPortInUse() throws IOException {
        try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
                ServerUnderTest server = ServerUnderTest.launch(
                        "port-in-use",
                        ServerUnderTest.ROOT,
                        "serve",
                        "--model-path",
                        model.toString(),
                        "--skip-tokenizer-init",
                        "--port",
                        "" + taken.getLocalPort())) {
            Ended ended = new Ended(server.exitStatus(END), server.log());
            assertThat(ended.line()).contains("" + taken.getLocalPort()).contains("--port");
            assertThat(ended.status()).isEqualTo(1);
        }
    }

    @Test
    void anUnknownKeyOfAnExperiment() throws IOException {
        Path file = folder.resolve("e.yaml");
        Files.writeString(file, experiment(60).replace("repeats:", "repeat:"));
        Ended ended = run(
                "lab", "run", file.toString(), "--out", folder.resolve("out").toString());
        assertThat(ended.line())
                .contains("e.yaml")
                .contains("repeat")
                .contains("repeats")
                .containsPattern("\\b3\\b");
        assertThat(ended.status()).isEqualTo(1);
    }

    @Test
    void anExperimentWhoseServerDiesShowsTheEndOfItsLog() throws IOException {
        Ended ended = experimentWith("echo loading the weights; echo the weights are bad >&2; exit 7", 60);
        assertThat(ended.errors())
                .contains("one/aggregated ended with status 7")
                .contains("  | the weights are bad");
        assertThat(ended.status()).isEqualTo(1);
    }

    @Test
    void anExperimentWhoseServerIsNeverReadyShowsTheEndOfItsLogAndStopsIt() throws IOException {
        Ended ended = experimentWith("echo $$ > " + folder.resolve("pid") + "; echo still loading; sleep 300", 1);
        assertThat(ended.errors())
                .contains("one/aggregated was not ready within 1 s")
                .contains("  | still loading");
        assertThat(ended.status()).isEqualTo(1);
        long pid = Long.parseLong(Files.readString(folder.resolve("pid")).strip());
        assertThat(ProcessHandle.of(pid).filter(ProcessHandle::isAlive)).isEmpty();
    }

    /** Runs an experiment in a project whose {@code baton} is a script. */
    private Ended experimentWith(String script, int readySeconds) throws IOException {
        Path launcher = folder.resolve("baton");
        Files.writeString(launcher, "#!/bin/sh\n" + script + "\n");
        assertThat(launcher.toFile().setExecutable(true)).isTrue();
        Path file = folder.resolve("e.yaml");
        Files.writeString(file, experiment(readySeconds));
        try (ServerUnderTest lab = ServerUnderTest.launch(
                "lab",
                folder,
                "lab",
                "run",
                file.toString(),
                "--out",
                folder.resolve("out").toString())) {
            Ended ended = new Ended(lab.exitStatus(END), lab.log());
            ended.line();
            return ended;
        }
    }

    private static String experiment(int readySeconds) {
        return """
                name: trial
                model: model
                repeats: 1
                ready_timeout_seconds: %d
                workload: {dataset_name: random-ids, num_prompts: 1}
                cells:
                  - name: one
                    servers:
                      - {role: aggregated, cores: 1}
                """.formatted(readySeconds);
    }
}
