package dev.baton.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;
import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/**
 * OpenAI's own Node client against a server of the repository's model. npm installs it below {@code target/} on the first run; without
 * node, npm or its registry the test is skipped and says so.
 */
class OpenAiNodeClientTest {
    private static final String PACKAGE = "openai@7.57.0";
    private static final long INSTALL_SECONDS = 90;
    private static final long RUN_SECONDS = 40;

    private static final Path MODULE = ServerUnderTest.ROOT.resolve("app");
    private static final Path FOLDER = MODULE.resolve("target/node-client");

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
                MODULE.resolve("src/test/resources/openai-client.mjs"),
                FOLDER.resolve("openai-client.mjs"),
                java.nio.file.StandardCopyOption.REPLACE_EXISTING);
        try (ServerUnderTest server = ServerUnderTest.serve(
                "openai-node",
                ServerUnderTest.NANO,
                "--served-model-name",
                "baton-nano",
                "--api-key",
                "key",
                "--cpu-threads",
                "1")) {
            Result result = run(
                    RUN_SECONDS,
                    List.of("node", "openai-client.mjs", server.at("/v1").toString()));
            assertThat(result.output).isEqualToIgnoringNewLines("""
                            models: baton-nano
                            chat: Baton is an LLM serving engine and performance laboratory for the JVM. stop
                            logprobs: 2 3 2 true true
                            stream: true stop true
                            completion: "612+52=\\n66" stop
                            bad request: 400 temperature must be non-negative, got -1.0.
                            not found: 404 model_not_found
                            unauthorized: 401
                            aborted: true
                            """);
            assertThat(result.code).isZero();
            HttpRequest load = HttpRequest.newBuilder(server.at("/get_load"))
                    .header("Authorization", "Bearer key")
                    .build();
            await().until(() -> ServerUnderTest.http()
                    .send(load, HttpResponse.BodyHandlers.ofString())
                    .body()
                    .contains("\"num_reqs\":0"));
        }
    }
}
