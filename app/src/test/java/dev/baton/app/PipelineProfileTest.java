package dev.baton.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A profile of a server with two pipeline stages: SGLang's names, and every message in its two parts at both ends. */
class PipelineProfileTest {
    @TempDir
    Path folder;

    private static final int STEPS = 6;

    private static double sum(List<JsonNode> events, String name) {
        return events.stream()
                .filter(e -> e.path("name").asString("").equals(name))
                .mapToDouble(e -> e.get("dur").asDouble())
                .sum();
    }

    private static long count(List<JsonNode> events, String name) {
        return events.stream()
                .filter(e -> e.path("name").asString("").equals(name))
                .count();
    }

    private static Set<String> messages(List<JsonNode> events) {
        return events.stream()
                .filter(e -> e.path("name").asString("").equals("baton::send_recv"))
                .map(e -> e.get("args").get("Process Group Name").asString())
                .collect(Collectors.toSet());
    }

    private List<JsonNode> events(Path file) throws IOException {
        try (GZIPInputStream in = new GZIPInputStream(Files.newInputStream(file))) {
            return JsonMapper.shared()
                    .readTree(in)
                    .get("traceEvents")
                    .valueStream()
                    .filter(e -> e.path("ph").asString("").equals("X"))
                    .toList();
        }
    }

    @Test
    void stagesWriteOneFileEachAndSplitEveryMessage() throws IOException {
        List<Path> files;
        try (ServerUnderTest server = ServerUnderTest.serve(
                "pipeline",
                ServerUnderTest.GOLDEN.resolve("deepseek-v3"),
                "--skip-tokenizer-init",
                "--pp-size=2",
                "--cpu-threads=1",
                "--skip-server-warmup")) {
            assertThat(server.post("/start_profile", Map.of("output_dir", folder.toString(), "num_steps", STEPS))
                            .statusCode())
                    .isEqualTo(200);
            Map<String, Object> sampling = Map.of("max_new_tokens", 12, "temperature", 0, "ignore_eos", true);
            assertThat(server.post("/generate", Map.of("input_ids", List.of(3, 4, 5, 6), "sampling_params", sampling))
                            .statusCode())
                    .isEqualTo(200);
            await().atMost(Duration.ofSeconds(20)).until(() -> files().size() == 2);
            files = files();
        }
        assertThat(files.get(0).getFileName().toString()).matches("\\d+\\.\\d+-TP-0-PP-0\\.trace\\.json\\.gz");
        assertThat(files.get(1).getFileName().toString()).matches("\\d+\\.\\d+-TP-0-PP-1\\.trace\\.json\\.gz");
        List<JsonNode> first = events(files.get(0));
        List<JsonNode> last = events(files.get(1));
        assertThat(count(first, "send_tensor_dict")).isEqualTo(STEPS);
        assertThat(count(last, "recv_tensor_dict")).isEqualTo(STEPS);
        assertThat(count(last, "send_res_dict_to_next_stage")).isEqualTo(STEPS);
        // Those of a step before may still come, those of the last one come when no step is recorded any more.
        assertThat(count(first, "recv_res_dict_from_prev_stage")).isBetween(STEPS - 1L, (long) STEPS);
        for (List<JsonNode> stage : List.of(first, last)) {
            double whole = sum(stage, "send_tensor_dict") + sum(stage, "recv_tensor_dict");
            double parts = sum(stage, "wait_for_peer") + sum(stage, "move_bytes");
            assertThat(parts).isGreaterThan(0).isLessThanOrEqualTo(whole);
        }
        // Both ends of a message say that they are one.
        Set<String> ends = messages(first);
        ends.retainAll(messages(last));
        assertThat(ends).hasSize(2 * STEPS - 1);
    }

    private List<Path> files() throws IOException {
        try (Stream<Path> all = Files.list(folder)) {
            return all.filter(p -> p.toString().endsWith(".trace.json.gz"))
                    .sorted()
                    .toList();
        }
    }
}
