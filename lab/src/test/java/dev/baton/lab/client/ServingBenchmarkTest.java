package dev.baton.lab.client;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.lab.LabException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

class ServingBenchmarkTest {
    private final ByteArrayOutputStream console = new ByteArrayOutputStream();

    private ServingResult run(FakeServer server, Map<String, Object> flags) {
        Map<String, Object> all = new HashMap<>(Map.of(
                "base_url", server.url(),
                "dataset_name", "random-ids",
                "vocab_size", 100,
                "num_prompts", 8,
                "random_input_len", 6,
                "random_output_len", 4,
                "random_range_ratio", 1.0,
                "warmup_requests", 0,
                "request_timeout_seconds", 20));
        all.putAll(flags);
        return ServingBenchmark.run(
                ServingBenchmarkConfig.of(all), new PrintStream(console, true, StandardCharsets.UTF_8));
    }

    private String said() {
        return console.toString(StandardCharsets.UTF_8);
    }

    /** Answers every call of the dialect; {@code /generate} streams as many tokens as asked for. */
    static void answer(FakeServer.Request request, FakeServer.Exchange exchange) throws IOException {
        switch (request.path()) {
            case "/generate" -> generate(request, exchange);
            case "/get_server_info" -> exchange.json(200, "{\"version\":\"fake\",\"internal_states\":[{}]}");
            case "/flush_cache", "/start_profile", "/stop_profile" -> exchange.json(200, "ok");
            default -> exchange.json(404, "{}");
        }
    }

    private static void generate(FakeServer.Request request, FakeServer.Exchange exchange) throws IOException {
        JsonNode body = ServerCalls.JSON.readTree(request.body());
        int tokens = body.path("sampling_params").path("max_new_tokens").asInt();
        if (!body.path("stream").asBoolean()) {
            exchange.json(200, frame("x".repeat(tokens), tokens, "{\"type\":\"length\",\"length\":" + tokens + "}"));
            return;
        }
        exchange.startStream();
        for (int i = 1; i <= tokens; i++) {
            exchange.event(
                    frame("x".repeat(i), i, i == tokens ? "{\"type\":\"length\",\"length\":" + i + "}" : "null"));
        }
        exchange.event("[DONE]");
        exchange.endStream();
    }

    static String frame(String text, int tokens, String finish) {
        return "{\"text\":\"" + text + "\",\"meta_info\":{\"finish_reason\":" + finish + ",\"completion_tokens\":"
                + tokens + "}}";
    }

    @Test
    void aRunOverRealSocketsCountsEveryTokenAndAppendsItsRecord(@TempDir Path folder) throws IOException {
        Path file = folder.resolve("deep/result.jsonl");
        try (FakeServer server = new FakeServer(ServingBenchmarkTest::answer)) {
            ServingResult result = run(server, Map.of("output_file", file.toString(), "cell", "agg"));
            assertThat(result.metrics().completed()).isEqualTo(8);
            assertThat(result.metrics().failed()).isZero();
            assertThat(result.metrics().totalInputTokens()).isEqualTo(48);
            assertThat(result.metrics().totalOutputTokens()).isEqualTo(32);
            assertThat(result.metrics().itlMillis().mean()).isPositive();
            assertThat(result.serverInfo()).isNotNull();
            run(server, Map.of("output_file", file.toString(), "cell", "agg"));
        }
        List<String> lines = Files.readAllLines(file);
        assertThat(lines).hasSize(2);
        JsonNode record = ServingRecord.mapper().readTree(lines.getFirst());
        assertThat(record.path("completed").asInt()).isEqualTo(8);
        assertThat(record.path("server_info").path("version").asString()).isEqualTo("fake");
        assertThat(record.path("cell").asString()).isEqualTo("agg");
    }

    @Test
    void twoRunsSendTheSameRequestsInTheSameOrder() {
        try (FakeServer server = new FakeServer(ServingBenchmarkTest::answer)) {
            Map<String, Object> flags =
                    Map.of("max_concurrency", 1, "random_range_ratio", 0.0, "seed", 5, "random_input_len", 50);
            run(server, flags);
            List<String> first = bodies(server);
            server.requests().clear();
            run(server, flags);
            assertThat(bodies(server)).isEqualTo(first);
            server.requests().clear();
            Map<String, Object> other = new HashMap<>(flags);
            other.put("seed", 6);
            run(server, other);
            assertThat(bodies(server)).isNotEqualTo(first);
        }
    }

    private static List<String> bodies(FakeServer server) {
        return server.requests("/generate").stream()
                .map(FakeServer.Request::body)
                .toList();
    }

    @Test
    void aBodyIsWhatSglangsClientSends() {
        try (FakeServer server = new FakeServer(ServingBenchmarkTest::answer)) {
            run(
                    server,
                    Map.of("num_prompts", 1, "extra_request_body", Map.of("sampling_params", Map.of("top_p", 0.5))));
            JsonNode body = ServerCalls.JSON.readTree(bodies(server).getFirst());
            assertThat(body.propertyNames())
                    .containsExactly("input_ids", "sampling_params", "stream", "return_logprob", "logprob_start_len");
            assertThat(body.path("sampling_params").toString())
                    .isEqualTo("{\"temperature\":0.0,\"max_new_tokens\":4,\"ignore_eos\":true,\"top_p\":0.5}");
        }
    }

    @Test
    void everyKindOfLossIsCountedAndNothingElse() {
        AtomicInteger calls = new AtomicInteger();
        try (FakeServer server = new FakeServer((request, exchange) -> {
            if (!request.path().equals("/generate")) {
                answer(request, exchange);
                return;
            }
            switch (calls.getAndIncrement()) {
                case 0 -> exchange.json(503, "{\"object\":\"error\",\"message\":\"The request queue is full.\"}");
                case 1 -> {
                    exchange.startStream();
                    exchange.event(frame("x", 1, "null"));
                    exchange.event("{\"error\":{\"message\":\"boom\"}}");
                    exchange.event("[DONE]");
                    exchange.endStream();
                }
                case 2 -> {
                    exchange.startStream();
                    exchange.event(frame("x", 1, "null")); // and the connection closes
                }
                case 3 -> {
                    exchange.startStream();
                    exchange.event(frame("x", 1, "null"));
                    exchange.event("[DONE]");
                    exchange.endStream();
                }
                case 4 -> exchange.raw("garbage\r\n\r\n");
                case 5 -> exchange.json(200, "not json");
                default -> answer(request, exchange);
            }
        })) {
            ServingResult result = run(server, Map.of("max_concurrency", 1));
            assertThat(result.metrics().failed()).isEqualTo(6);
            assertThat(result.metrics().completed()).isEqualTo(2);
            assertThat(result.outcomes())
                    .extracting(RequestOutcome::error)
                    .satisfiesExactly(
                            e -> assertThat(e).contains("HTTP 503").contains("queue is full"),
                            e -> assertThat(e).isEqualTo("error frame: boom"),
                            e -> assertThat(e).contains("connection was closed"),
                            e -> assertThat(e).contains("without a finish reason"),
                            e -> assertThat(e).contains("not HTTP"),
                            e -> assertThat(e).contains("not JSON"),
                            e -> assertThat(e).isEmpty(),
                            e -> assertThat(e).isEmpty());
            assertThat(said()).contains("Lost requests: 6 of 8");
        }
    }

    @Test
    void aServerThatNeverAnswersCostsOneTimeOut() {
        try (FakeServer server = new FakeServer((request, exchange) -> {
            if (request.path().equals("/generate")) {
                exchange.startStream();
                Thread.sleep(30_000);
            } else {
                answer(request, exchange);
            }
        })) {
            ServingResult result = run(server, Map.of("request_timeout_seconds", 0.3));
            assertThat(result.metrics().failed()).isEqualTo(8);
            assertThat(result.outcomes().getFirst().error()).contains("no whole answer within 0.3 s");
        }
    }

    @Test
    void aConnectionThatTheServerDroppedWhileIdleIsReplaced() {
        try (FakeServer server = new FakeServer((request, exchange) -> {
            answer(request, exchange);
            exchange.hangUp();
        })) {
            ServingResult result = run(server, Map.of("max_concurrency", 1, "num_prompts", 20));
            assertThat(result.metrics().completed()).isEqualTo(20);
        }
    }

    @Test
    void aServerThatIsNotThereFailsTheWarmUpWithTheReason() {
        String url;
        try (FakeServer server = new FakeServer(ServingBenchmarkTest::answer)) {
            url = server.url();
        }
        assertThatThrownBy(() -> ServingBenchmark.run(
                        ServingBenchmarkConfig.of(
                                Map.of("base_url", url, "dataset_name", "random-ids", "vocab_size", 9)),
                        new PrintStream(console)))
                .isInstanceOfSatisfying(
                        LabException.class, e -> assertThat(e.code()).isEqualTo(LabException.Code.WARMUP_FAILED))
                .hasMessageContaining("Warmup failed - Please make sure benchmark arguments are correctly specified.")
                .hasMessageContaining("cannot connect");
    }

    @Test
    void theClosedLoopNeverExceedsItsLimit() {
        AtomicInteger live = new AtomicInteger();
        AtomicInteger peak = new AtomicInteger();
        Semaphore three = new Semaphore(0);
        try (FakeServer server = new FakeServer((request, exchange) -> {
            if (!request.path().equals("/generate")) {
                answer(request, exchange);
                return;
            }
            int now = live.incrementAndGet();
            peak.accumulateAndGet(now, Math::max);
            three.release();
            if (three.availablePermits() <= 3) {
                while (three.availablePermits() < 3) {
                    Thread.sleep(1);
                }
            }
            live.decrementAndGet();
            answer(request, exchange);
        })) {
            ServingResult result = run(server, Map.of("max_concurrency", 3, "num_prompts", 30));
            assertThat(result.metrics().completed()).isEqualTo(30);
            assertThat(peak.get()).isEqualTo(3);
        }
    }

    @Test
    void warmUpFlushAndProfileComeInSglangsOrder() {
        try (FakeServer server = new FakeServer(ServingBenchmarkTest::answer)) {
            run(
                    server,
                    Map.of(
                            "num_prompts",
                            1,
                            "warmup_requests",
                            2,
                            "flush_cache",
                            true,
                            "profile",
                            true,
                            "random_output_len",
                            40,
                            "warmup_pause_seconds",
                            0));
            assertThat(server.requests())
                    .extracting(FakeServer.Request::path)
                    .containsExactly(
                            "/generate",
                            "/generate",
                            "/flush_cache",
                            "/start_profile",
                            "/generate",
                            "/stop_profile",
                            "/get_server_info");
            assertThat(server.requests().get(0).body()).contains("\"max_new_tokens\":32");
            assertThat(server.requests().get(3).body())
                    .isEqualTo("{\"activities\":[\"CPU\",\"GPU\"],\"profile_by_stage\":false}");
            assertThat(said())
                    .contains("Starting warmup with 2 sequences...")
                    .contains("Warmup completed with 2 sequences. Starting main benchmark run...");
        }
    }

    @Test
    void aProfileBehindARouterIsTakenOnTheNamedWorkers() {
        try (FakeServer router = new FakeServer(ServingBenchmarkTest::answer);
                FakeServer worker = new FakeServer(ServingBenchmarkTest::answer)) {
            run(
                    router,
                    Map.of(
                            "profile",
                            true,
                            "pd_separated",
                            true,
                            "profile_num_steps",
                            5,
                            "profile_decode_url",
                            List.of(worker.url())));
            assertThat(worker.requests()).extracting(FakeServer.Request::path).containsExactly("/start_profile");
            assertThat(worker.requests().getFirst().body()).contains("\"num_steps\":5");
            assertThat(router.requests("/start_profile")).isEmpty();
        }
    }

    @Test
    void wholeAnswersAreTimedAsOneChunk() {
        try (FakeServer server = new FakeServer(ServingBenchmarkTest::answer)) {
            ServingResult result = run(server, Map.of("disable_stream", true));
            assertThat(result.metrics().completed()).isEqualTo(8);
            assertThat(result.outcomes())
                    .allSatisfy(o -> assertThat(o.ttftSeconds()).isEqualTo(o.latencySeconds()));
        }
    }

    @Test
    void hundredsOfStreamsAtOnceAreAllCounted() {
        try (FakeServer server = new FakeServer(ServingBenchmarkTest::answer)) {
            ServingResult result = run(server, Map.of("num_prompts", 600, "random_output_len", 20));
            assertThat(result.metrics().completed()).isEqualTo(600);
            assertThat(result.metrics().totalOutputTokens()).isEqualTo(600 * 20);
        }
    }
}
