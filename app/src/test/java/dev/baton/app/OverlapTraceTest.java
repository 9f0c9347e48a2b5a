package dev.baton.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Two-batch overlap through the command: what a trace of it shows. */
class OverlapTraceTest {
    @TempDir
    Path folder;

    @Test
    void tokensTravelWhileTheOtherHalfComputes() throws IOException {
        try (ServerUnderTest server = ServerUnderTest.serve(
                "overlap",
                ServerUnderTest.GOLDEN.resolve("deepseek-v3"),
                "--skip-tokenizer-init",
                "--tp-size=2",
                "--dp-size=2",
                "--enable-dp-attention",
                "--moe-a2a-backend=deepep",
                "--enable-two-batch-overlap",
                "--cpu-threads=1",
                "--disable-radix-cache",
                "--skip-server-warmup")) {
            server.post("/start_profile", Map.of("output_dir", folder.toString(), "num_steps", 12));
            List<List<Integer>> prompts =
                    IntStream.range(0, 8).mapToObj(i -> List.of(3 + i, 4, 5, 6)).toList();
            HttpResponse<String> reply = server.post(
                    "/generate",
                    Map.of(
                            "input_ids",
                            prompts,
                            "sampling_params",
                            Map.of("max_new_tokens", 16, "temperature", 0, "ignore_eos", true)));
            assertThat(reply.statusCode()).as(reply.body()).isEqualTo(200);
            await().atMost(Duration.ofSeconds(20)).until(() -> files().size() == 2);
        }
        List<Path> files = files();
        assertThat(files.get(0).getFileName().toString()).contains("-TP-0-DP-0-EP-0");
        assertThat(files.get(1).getFileName().toString()).contains("-TP-1-DP-1-EP-1");
        for (Path file : files) {
            List<JsonNode> events = events(file);
            String dispatch = events.stream()
                    .filter(e -> e.path("name").asString("").equals("thread_name"))
                    .filter(e -> e.path("args").path("name").asString("").contains("-dispatch"))
                    .map(e -> e.path("tid").asString(""))
                    .findFirst()
                    .orElseThrow();
            List<JsonNode> travelling = events.stream()
                    .filter(e -> e.path("tid").asString("").equals(dispatch) && e.has("dur"))
                    .toList();
            List<JsonNode> computing = events.stream()
                    .filter(e -> !e.path("tid").asString("").equals(dispatch) && e.has("dur"))
                    .filter(e ->
                            e.path("name").asString("").matches("baton::(linear|latent_attention|attention|experts)"))
                    .toList();
            assertThat(travelling).hasSizeGreaterThan(20);
            assertThat(travelling).anyMatch(t -> computing.stream().anyMatch(c -> meet(t, c)));
        }
    }

    private static boolean meet(JsonNode a, JsonNode b) {
        double startA = a.path("ts").asDouble();
        double startB = b.path("ts").asDouble();
        return startA < startB + b.path("dur").asDouble()
                && startB < startA + a.path("dur").asDouble();
    }

    private static List<JsonNode> events(Path file) throws IOException {
        List<JsonNode> all = new ArrayList<>();
        try (GZIPInputStream in = new GZIPInputStream(Files.newInputStream(file))) {
            JsonMapper.shared().readTree(in).get("traceEvents").forEach(all::add);
        }
        return all;
    }

    private List<Path> files() throws IOException {
        try (Stream<Path> all = Files.list(folder)) {
            return all.filter(p -> p.toString().endsWith(".trace.json.gz"))
                    .sorted()
                    .toList();
        }
    }
}
