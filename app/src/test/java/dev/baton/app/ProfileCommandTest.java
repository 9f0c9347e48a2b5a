package dev.baton.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** From a running server to a verdict on its ranks with the commands alone. */
class ProfileCommandTest {
    @TempDir
    Path folder;

    @Test
    void aWindowIsRecordedWhenItIsWorthItAndAnalysed() throws IOException, InterruptedException {
        AtomicBoolean isOver = new AtomicBoolean();
        try (ServerUnderTest server = ServerUnderTest.serve(
                "profile-command",
                ServerUnderTest.GOLDEN.resolve("deepseek-v3"),
                "--skip-tokenizer-init",
                "--tp-size=2",
                "--cpu-threads=1",
                "--skip-server-warmup")) {
            Thread load = Thread.ofVirtual().start(() -> {
                while (!isOver.get()) {
                    server.post(
                            "/generate",
                            Map.of(
                                    "input_ids",
                                    List.of(3, 4, 5, 6),
                                    "sampling_params",
                                    Map.of("max_new_tokens", 40, "temperature", 0, "ignore_eos", true)));
                }
            });
            String url = server.url().toString();
            String out = folder.resolve("traces").toString();
            Path collected = folder.resolve("collected");
            int status = Baton.execute(
                    "profile",
                    "watch",
                    url,
                    "--when=running>0",
                    "--every=0.05",
                    "--timeout=60",
                    "--steps=6",
                    "--output-dir=" + out,
                    "--ranks=2",
                    "--collect=" + collected);
            isOver.set(true);
            load.join();
            assertThat(status).isZero();
            assertThat(Files.list(collected)).hasSize(2);
        }
        Path json = folder.resolve("analysis.json");
        Path page = folder.resolve("analysis.html");
        assertThat(Baton.execute(
                        "trace", "ranks", folder.resolve("collected").toString(), "--json=" + json, "--html=" + page))
                .isZero();
        JsonNode tree = JsonMapper.shared().readTree(json.toFile());
        assertThat(tree.path("ranks").size()).isEqualTo(2);
        assertThat(tree.at("/ranks/0/steps_by").asString()).isEqualTo("annotation");
        assertThat(tree.at("/ranks/0/steps").size()).isBetween(5, 6);
        assertThat(tree.at("/ranks/0/steps/0/comm_ms").asDouble()).isPositive();
        assertThat(tree.path("collectives").size()).isPositive();
        assertThat(tree.at("/stragglers").size()).isEqualTo(2);
        assertThat(page).content().contains("Who waits for whom");
    }
}
