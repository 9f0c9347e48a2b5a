package dev.baton.serve.openai;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.baton.serve.FakeEngine;
import dev.baton.serve.ServerFixture;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/**
 * OpenAI's own Node client against a live server. npm installs it below {@code target/} on the first run; without
 * node, npm or its registry the test is skipped and says so.
 */
class OpenAiNodeClientTest {
    private static final String PACKAGE = "openai@7.57.0";
    private static final long INSTALL_SECONDS = 90;
    private static final long RUN_SECONDS = 40;

    private static final Path ROOT = Path.of(System.getProperty("baton.root"), "serve");
    private static final Path FOLDER = ROOT.resolve("target/node-client");

    private record Result(int code, String output) {}

    private static Result run(long seconds, List<String> command) throws IOException, InterruptedException {
        Path output = FOLDER.resolve("output.txt");
        Process process = new ProcessBuilder(command)
                .directory(FOLDER.toFile())
                .redirectErrorStream(true)
                .redirectOutput(output.toFile())
                .start();
        if (!process.waitFor(seconds, TimeUnit.SECONDS)) {
            process.descendants().forEach(ProcessHandle::destroyForcibly);
            process.destroyForcibly().waitFor();
            return new Result(-1, "no end after " + seconds + " s: " + Files.readString(output));
        }
        return new Result(process.exitValue(), Files.readString(output));
    }

    private static boolean isThere(String program) {
        try {
            return run(20, List.of(program, "--version")).code == 0;
        } catch (IOException | InterruptedException e) {
            return false;
        }
    }

    private static void skip(String reason) {
        System.out.println("SKIPPED: the Node client test needs " + reason);
        assumeThat(false).as(reason).isTrue();
    }

    @Test
    void chatsStreamsCompletesAndReadsErrors() throws Exception {
        Files.createDirectories(FOLDER);
        if (!isThere("node") || !isThere("npm")) {
            skip("node and npm");
        }
        if (!Files.isDirectory(FOLDER.resolve("node_modules/openai"))) {
            Files.writeString(FOLDER.resolve("package.json"), "{\"private\":true}");
            Result installed = run(
                    INSTALL_SECONDS, List.of("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", PACKAGE));
            if (installed.code != 0) {
                skip(PACKAGE + " from npm's registry: " + installed.output.strip());
            }
        }
        Files.copy(
                ROOT.resolve("src/test/resources/openai-client.mjs"),
                FOLDER.resolve("openai-client.mjs"),
                java.nio.file.StandardCopyOption.REPLACE_EXISTING);
        try (var fixture = new ServerFixture(
                new FakeEngine(), config -> config.apiKey("key").servedModelName("fake"))) {
            Result result = run(RUN_SECONDS, List.of("node", "openai-client.mjs", fixture.server.url() + "/v1"));
            assertThat(result.output).isEqualToIgnoringNewLines("""
                            models: fake
                            chat: abc length 3
                            logprobs: 3 a -0.5 2
                            stream: abc length 3
                            completion: hiabc stop
                            bad request: 400 temperature must be non-negative, got -1.0.
                            not found: 404 model_not_found
                            unauthorized: 401
                            aborted: true
                            """);
            assertThat(result.code).isZero();
            org.awaitility.Awaitility.await().until(() -> fixture.engine.liveRequests() == 0);
        }
    }
}
