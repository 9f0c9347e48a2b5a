package dev.baton.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Profiles of a server with two ranks: how many steps, in which files, of which names. */
class ProfileTest {
    private static ServerUnderTest server;

    @TempDir
    Path folder;

    @BeforeAll
    static void start() {
        server = ServerUnderTest.serve(
                "profile",
                ServerUnderTest.GOLDEN.resolve("deepseek-v3"),
                "--skip-tokenizer-init",
                "--tp-size=2",
                "--cpu-threads=1",
                "--disable-radix-cache",
                "--skip-server-warmup");
    }

    @AfterAll
    static void stop() {
        server.close();
    }

    private HttpResponse<String> startProfile(Map<String, Object> fields) {
        Map<String, Object> body = new LinkedHashMap<>(fields);
        body.put("output_dir", folder.toString());
        return server.post("/start_profile", body);
    }

    private static void generate(int newTokens) {
        HttpResponse<String> reply = server.post(
                "/generate",
                Map.of(
                        "input_ids",
                        List.of(3, 4, 5, 6),
                        "sampling_params",
                        Map.of("max_new_tokens", newTokens, "temperature", 0, "ignore_eos", true)));
        assertThat(reply.statusCode()).as(reply.body()).isEqualTo(200);
    }

    /** The names in the folder, once there are as many. */
    private List<String> files(int count) throws IOException {
        await().atMost(Duration.ofSeconds(20)).until(() -> names().size() >= count && isIdle());
        return names();
    }

    private List<String> names() throws IOException {
        try (Stream<Path> all = Files.list(folder)) {
            return all.map(p -> p.getFileName().toString())
                    .filter(n -> n.endsWith(".trace.json.gz"))
                    .sorted()
                    .toList();
        }
    }

    /** No profile is in progress: to stop one fails. */
    private static boolean isIdle() {
        return server.get("/stop_profile").statusCode() == 500;
    }

    private JsonNode trace(String name) throws IOException {
        try (GZIPInputStream in = new GZIPInputStream(Files.newInputStream(folder.resolve(name)))) {
            return JsonMapper.shared().readTree(in);
        }
    }

    private static List<String> steps(JsonNode trace) {
        return trace.get("traceEvents")
                .valueStream()
                .filter(e -> e.path("name").asString("").startsWith("step[")
                        && e.path("ph").asString("").equals("X")
                        && e.path("cat").asString("").equals("user_annotation"))
                .map(e -> e.get("name").asString())
                .toList();
    }

    @Test
    void fiveStepsAreFiveStepsOnEachRank() throws IOException {
        assertThat(startProfile(Map.of("num_steps", 5, "profile_prefix", "trial"))
                        .statusCode())
                .isEqualTo(200);
        generate(20);
        List<String> files = files(2);
        assertThat(files)
                .hasSize(2)
                .anyMatch(f -> f.matches("trial-\\d+\\.\\d+-TP-0\\.trace\\.json\\.gz"))
                .anyMatch(f -> f.matches("trial-\\d+\\.\\d+-TP-1\\.trace\\.json\\.gz"));
        for (int rank = 0; rank < 2; rank++) {
            JsonNode trace = trace(files.get(rank));
            assertThat(steps(trace))
                    .containsExactly(
                            "step[EXTEND bs=1 toks=4]",
                            "step[DECODE bs=1]",
                            "step[DECODE bs=1]",
                            "step[DECODE bs=1]",
                            "step[DECODE bs=1]");
            assertThat(trace.path("distributedInfo").path("rank").asInt(-1)).isEqualTo(rank);
            assertThat(trace.path("distributedInfo").path("world_size").asInt()).isEqualTo(2);
            assertThat(trace.get("traceEvents")
                            .valueStream()
                            .filter(e -> "cpu_op".equals(e.path("cat").asString(""))))
                    .hasSizeGreaterThan(50);
        }
    }

    @Test
    void byStageEachStageHasItsFileAndItsSteps() throws IOException {
        assertThat(startProfile(Map.of("num_steps", 3, "profile_by_stage", true))
                        .statusCode())
                .isEqualTo(200);
        for (int i = 0; i < 4; i++) {
            generate(4);
        }
        List<String> files = files(4);
        assertThat(files).hasSize(4);
        for (String file : files) {
            assertThat(file).matches("\\d+\\.\\d+-TP-[01]-(EXTEND|DECODE)\\.trace\\.json\\.gz");
            String step = file.contains("-EXTEND") ? "step[EXTEND bs=1 toks=4]" : "step[DECODE bs=1]";
            assertThat(steps(trace(file))).as(file).containsExactly(step, step, step);
        }
    }

    @Test
    void aMergedFileHoldsEveryRank() throws IOException {
        assertThat(startProfile(Map.of("num_steps", 2, "merge_profiles", true)).statusCode())
                .isEqualTo(200);
        generate(6);
        List<String> files = files(3);
        assertThat(files).hasSize(3);
        String merged = files.stream()
                .filter(f -> f.matches("merged-\\d+\\.\\d+\\.trace\\.json\\.gz"))
                .findFirst()
                .orElseThrow();
        assertThat(steps(trace(merged))).hasSize(4);
        assertThat(trace(merged).toString()).contains("[TP00]").contains("[TP01]");
    }

    @Test
    void aLaterFirstStepSkipsTheStepsBefore() throws IOException {
        long now = ServerUnderTest.json(server.get("/get_server_info"))
                .findPath("forward_ct")
                .asLong(-1);
        assertThat(startProfile(Map.of("num_steps", 2, "start_step", Math.max(0, now) + 1_000_000))
                        .statusCode())
                .isEqualTo(200);
        generate(6);
        assertThat(names()).isEmpty();
        assertThat(server.post("/stop_profile", "").statusCode()).isEqualTo(200);
        for (String file : files(2)) {
            assertThat(steps(trace(file))).isEmpty();
        }
    }

    @Test
    void withoutStepsItRunsUntilItIsStopped() throws IOException {
        assertThat(startProfile(Map.of()).statusCode()).isEqualTo(200);
        generate(8);
        HttpResponse<String> second = startProfile(Map.of("num_steps", 1));
        assertThat(second.statusCode()).isEqualTo(500);
        assertThat(second.body()).contains("already in progress");
        assertThat(server.get("/end_profile").statusCode()).isEqualTo(200);
        for (String file : files(2)) {
            assertThat(steps(trace(file))).hasSize(8);
        }
    }

    @Test
    void stoppingWithoutAStartIs500AndSaysSo() {
        HttpResponse<String> reply = server.post("/stop_profile", "");
        assertThat(reply.statusCode()).isEqualTo(500);
        assertThat(reply.body()).contains("not in progress").contains("/start_profile");
    }
}
