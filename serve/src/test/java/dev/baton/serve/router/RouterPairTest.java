package dev.baton.serve.router;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A prefill and a decode server behind one router. */
class RouterPairTest {
    private static final JsonMapper JSON = JsonMapper.shared();
    private static final String OK = "{\"text\":\"ok\",\"meta_info\":{}}";

    private final List<AutoCloseable> open = new ArrayList<>();
    private final HttpClient http =
            HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    @AfterEach
    void closeAll() throws Exception {
        http.shutdownNow();
        for (AutoCloseable each : open.reversed()) {
            each.close();
        }
    }

    private FakeWorker worker(FakeWorker.Handler handler) {
        FakeWorker worker = new FakeWorker(handler);
        open.add(worker);
        return worker;
    }

    private Router router(FakeWorker prefill, FakeWorker decode, Map<String, ?> flags) {
        Map<String, Object> all = new HashMap<>(Map.of(
                "host",
                "127.0.0.1",
                "port",
                0,
                "policy",
                "round_robin",
                "retry_initial_backoff_ms",
                1,
                "pd_disaggregation",
                true,
                "prefill",
                List.of(new WorkerAddress(prefill.url(), 8991)),
                "decode",
                List.of(WorkerAddress.of(decode.url())),
                "disable_circuit_breaker",
                true));
        all.putAll(flags);
        Router router = Router.start(RouterConfig.of(all));
        open.add(router);
        await().atMost(Duration.ofSeconds(10))
                .pollInterval(Duration.ofMillis(5))
                .until(() ->
                        send(HttpRequest.newBuilder(uri(router, "/readiness"))).statusCode() == 200);
        return router;
    }

    private static URI uri(Router router, String path) {
        return URI.create("http://127.0.0.1:" + router.port() + path);
    }

    private HttpResponse<String> send(HttpRequest.Builder request) {
        try {
            return http.send(request.timeout(Duration.ofSeconds(20)).build(), HttpResponse.BodyHandlers.ofString());
        } catch (IOException | InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    private HttpResponse<String> post(Router router, String path, String body) {
        return send(HttpRequest.newBuilder(uri(router, path)).POST(HttpRequest.BodyPublishers.ofString(body)));
    }

    @Test
    void bothGetTheSameBodyWithTheMeetingPlaceInIt() {
        FakeWorker prefill = worker((request, exchange) -> exchange.json(200, "{\"text\":\"dropped\"}"));
        FakeWorker decode = worker((request, exchange) -> exchange.json(200, OK));
        Router router = router(prefill, decode, Map.of());
        Set<Long> rooms = new HashSet<>();
        for (int i = 0; i < 20; i++) {
            assertThat(post(router, "/generate", " {\"text\":\"a\\\"}b\", \"sampling_params\": {\"n\": 1}} ")
                            .body())
                    .isEqualTo(OK);
            String body = decode.requests().getLast().body();
            // The answer is decode's: the prefill server may see its copy a moment later.
            await().untilAsserted(() -> assertThat(prefill.requests())
                    .extracting(FakeWorker.Request::body)
                    .contains(body));
            JsonNode json = JSON.readTree(body);
            assertThat(json.propertyNames())
                    .containsExactly("text", "sampling_params", "bootstrap_host", "bootstrap_port", "bootstrap_room");
            assertThat(json.path("text").asString()).isEqualTo("a\"}b");
            assertThat(json.path("bootstrap_host").asString()).isEqualTo("127.0.0.1");
            assertThat(json.path("bootstrap_port").asInt()).isEqualTo(8991);
            assertThat(json.path("bootstrap_room").canConvertToLong()).isTrue();
            rooms.add(json.path("bootstrap_room").asLong());
        }
        assertThat(rooms).hasSize(20).allMatch(room -> room >= 0);
    }

    @Test
    void aBatchGetsAListOfEach() {
        FakeWorker prefill = worker((request, exchange) -> exchange.json(200, "[]"));
        FakeWorker decode = worker((request, exchange) -> exchange.json(200, "[]"));
        Router router = router(prefill, decode, Map.of());
        for (String body : List.of(
                "{\"text\":[\"a,b\",\"c\",\"]\"]}",
                "{\"input_ids\":[[1,2],[3],[4,5,6]]}",
                "{\"prompt\":[[1,2],[3],[4]]}",
                "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"n\":3}")) {
            post(router, body.contains("messages") ? "/v1/chat/completions" : "/generate", body);
            JsonNode json = JSON.readTree(decode.requests().getLast().body());
            assertThat(json.path("bootstrap_host").toString()).isEqualTo("[\"127.0.0.1\",\"127.0.0.1\",\"127.0.0.1\"]");
            assertThat(json.path("bootstrap_port").toString()).isEqualTo("[8991,8991,8991]");
            assertThat(json.path("bootstrap_room").size()).isEqualTo(3);
        }
        post(router, "/generate", "{\"input_ids\":[1,2,3]}");
        assertThat(JSON.readTree(decode.requests().getLast().body())
                        .path("bootstrap_room")
                        .isIntegralNumber())
                .isTrue();
    }

    @Test
    void fieldsThatTheClientSentAreReplaced() {
        FakeWorker prefill = worker((request, exchange) -> exchange.json(200, "{}"));
        FakeWorker decode = worker((request, exchange) -> exchange.json(200, "{}"));
        Router router = router(prefill, decode, Map.of());
        post(router, "/generate", "{\"bootstrap_room\":7,\"text\":\"x\",\"bootstrap_host\":\"evil\"}");
        String body = decode.requests().getLast().body();
        assertThat(body).doesNotContain("evil").doesNotContain("\"bootstrap_room\":7,");
        assertThat(body.split("bootstrap_room", -1)).hasSize(2);
    }

    @Test
    void thePrefillServersFailureIsSaidAndFreesTheDecodeServer() throws Exception {
        CountDownLatch freed = new CountDownLatch(1);
        FakeWorker prefill = worker((request, exchange) -> exchange.json(500, "out of memory"));
        FakeWorker decode = worker((request, exchange) -> {
            exchange.awaitClosed();
            freed.countDown();
        });
        Router router = router(prefill, decode, Map.of("disable_retries", true));
        HttpResponse<String> response = post(router, "/generate", "{\"text\":\"x\",\"stream\":true}");
        assertThat(response.statusCode()).isEqualTo(502);
        assertThat(response.body())
                .startsWith("Prefill server error: " + prefill.url() + " answered 500: out of memory")
                .endsWith("This will cause decode timeout.");
        assertThat(freed.await(10, TimeUnit.SECONDS)).isTrue();
    }

    @Test
    void aRetryTakesANewRoom() {
        AtomicInteger calls = new AtomicInteger();
        FakeWorker prefill = worker((request, exchange) -> {
            if (calls.getAndIncrement() < 2) {
                exchange.json(500, "x");
            } else {
                exchange.json(200, "{}");
            }
        });
        // Like a real decode server it answers only once a prefill server has done its part.
        FakeWorker decode = worker((request, exchange) -> {
            await().until(() -> calls.get() >= 3);
            exchange.json(200, OK);
        });
        Router router = router(prefill, decode, Map.of());
        HttpResponse<String> response = post(router, "/generate", "{\"text\":\"x\"}");
        assertThat(response.statusCode()).isEqualTo(200);
        assertThat(prefill.requests().stream()
                        .map(request -> JSON.readTree(request.body())
                                .path("bootstrap_room")
                                .asLong())
                        .distinct())
                .hasSize(3);
    }

    @Test
    void aRequestThatThePrefillServerRefusesIsTheClientsFault() {
        FakeWorker prefill = worker((request, exchange) -> exchange.json(400, "{\"message\":\"too long\"}"));
        FakeWorker decode = worker((request, exchange) -> exchange.awaitClosed());
        Router router = router(prefill, decode, Map.of());
        HttpResponse<String> response = post(router, "/generate", "{\"text\":\"x\"}");
        assertThat(response.statusCode()).isEqualTo(400);
        assertThat(response.body()).isEqualTo("{\"message\":\"too long\"}");
        assertThat(prefill.requests()).hasSize(1);
    }

    @Test
    void aDecodeServerKilledInMidStreamIsSaidInTheStream() throws Exception {
        FakeWorker prefill = worker((request, exchange) -> exchange.json(200, "{}"));
        FakeWorker decode = worker((request, exchange) -> {
            exchange.startStream();
            exchange.event("{\"text\":\"a\"}");
            exchange.awaitClosed();
        });
        Router router = router(prefill, decode, Map.of());
        HttpResponse<java.io.InputStream> response = http.send(
                HttpRequest.newBuilder(uri(router, "/generate"))
                        .POST(HttpRequest.BodyPublishers.ofString("{\"text\":\"x\",\"stream\":true}"))
                        .build(),
                HttpResponse.BodyHandlers.ofInputStream());
        String first = "data: {\"text\":\"a\"}\n\n";
        assertThat(new String(response.body().readNBytes(first.length()), StandardCharsets.UTF_8))
                .isEqualTo(first);
        decode.close();
        assertThat(new String(response.body().readAllBytes(), StandardCharsets.UTF_8))
                .startsWith("data: {\"error\":{\"message\":\"Decode server error: ")
                .endsWith("data: [DONE]\n\n");
        assertThat(send(HttpRequest.newBuilder(uri(router, "/health"))).statusCode())
                .isEqualTo(200);
    }

    @Test
    void aClientThatGoesAwayFreesBoth() throws Exception {
        CountDownLatch freed = new CountDownLatch(2);
        FakeWorker.Handler waits = (request, exchange) -> {
            exchange.awaitClosed();
            freed.countDown();
        };
        FakeWorker prefill = worker(waits);
        FakeWorker decode = worker(waits);
        Router router = router(prefill, decode, Map.of());
        try (Socket client = new Socket("127.0.0.1", router.port())) {
            client.getOutputStream()
                    .write("POST /generate HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"
                            .getBytes(StandardCharsets.US_ASCII));
            await().until(() ->
                    !prefill.requests().isEmpty() && !decode.requests().isEmpty());
        }
        assertThat(freed.await(10, TimeUnit.SECONDS)).isTrue();
        await().until(() -> send(HttpRequest.newBuilder(uri(router, "/metrics")))
                .body()
                .contains("sgl_router_running_requests 0.0"));
    }

    @Test
    void logProbabilitiesOfThePromptComeFromThePrefillServer() {
        FakeWorker prefill = worker((request, exchange) -> exchange.json(
                200,
                request.body().contains("[[")
                        ? "[{\"meta_info\":{\"input_token_logprobs\":[[1]]}},{\"meta_info\":{\"input_token_logprobs\":[[2]]}}]"
                        : "{\"meta_info\":{\"input_token_logprobs\":[[null,5,null],[-1.5,6,null]]}}"));
        FakeWorker decode = worker((request, exchange) -> exchange.json(
                200,
                request.body().contains("[[")
                        ? "[{\"meta_info\":{\"input_token_logprobs\":[[3]]}},{\"meta_info\":{}}]"
                        : "{\"text\":\"t\",\"meta_info\":{\"input_token_logprobs\":[[-2,7,null]],\"x\":1}}"));
        Router router = router(prefill, decode, Map.of());
        assertThat(post(router, "/generate", "{\"text\":\"x\",\"return_logprob\":true}")
                        .body())
                .isEqualTo("{\"text\":\"t\",\"meta_info\":{\"input_token_logprobs\":"
                        + "[[null,5,null],[-1.5,6,null],[-2,7,null]],\"x\":1}}");
        assertThat(post(router, "/generate", "{\"input_ids\":[[1],[2]],\"return_logprob\":true}")
                        .body())
                .isEqualTo("[{\"meta_info\":{\"input_token_logprobs\":[[1],[3]]}},"
                        + "{\"meta_info\":{\"input_token_logprobs\":[[2]]}}]");
        assertThat(post(router, "/generate", "{\"text\":\"x\",\"return_logprob\":false}")
                        .body())
                .contains("[[-2,7,null]]");
    }

    @Test
    void streamedLogProbabilitiesAreMergedFrameByFrame() {
        FakeWorker prefill = worker((request, exchange) -> {
            exchange.startStream();
            exchange.event("{\"meta_info\":{\"input_token_logprobs\":[[1]]}}");
            exchange.event("[DONE]");
            exchange.endStream();
        });
        FakeWorker decode = worker((request, exchange) -> {
            exchange.startStream();
            exchange.chunk("data: {\"meta_info\":{\"input_tok");
            exchange.chunk("en_logprobs\":[[2]]}}\n\n");
            exchange.event("[DONE]");
            exchange.endStream();
        });
        Router router = router(prefill, decode, Map.of());
        assertThat(post(router, "/generate", "{\"text\":\"x\",\"return_logprob\":true,\"stream\":true}")
                        .body())
                .isEqualTo("data: {\"meta_info\":{\"input_token_logprobs\":[[1],[2]]}}\n\ndata: [DONE]\n\n");
    }
}
