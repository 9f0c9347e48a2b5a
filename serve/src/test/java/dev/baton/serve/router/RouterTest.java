package dev.baton.serve.router;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import dev.baton.protocol.ProtocolException;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class RouterTest {
    private static final JsonMapper JSON = JsonMapper.shared();
    private static final String OK = "{\"text\":\"ok\",\"meta_info\":{\"finish_reason\":{\"type\":\"stop\"}}}";

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

    private static WorkerAddress at(FakeWorker worker) {
        return WorkerAddress.of(worker.url());
    }

    @Test
    void itsUrlNamesTheHostAsItWasGiven() {
        FakeWorker worker = worker((request, exchange) -> exchange.json(200, OK));
        for (String host : List.of("0.0.0.0", "127.0.0.1")) {
            Router router = plain(Map.of("host", host), worker);
            assertThat(router.url()).isEqualTo("http://" + host + ":" + router.port());
        }
    }

    private Router plain(Map<String, ?> flags, FakeWorker... workers) {
        Map<String, Object> all = new HashMap<>(flags);
        all.put("worker_urls", List.of(workers).stream().map(RouterTest::at).toList());
        return start(all);
    }

    private Router pair(Map<String, ?> flags, FakeWorker prefill, FakeWorker decode) {
        Map<String, Object> all = new HashMap<>(flags);
        all.put("pd_disaggregation", true);
        all.put("prefill", List.of(new WorkerAddress(prefill.url(), 8991)));
        all.put("decode", List.of(at(decode)));
        return start(all);
    }

    private Router start(Map<String, Object> flags) {
        flags.putIfAbsent("host", "127.0.0.1");
        flags.putIfAbsent("port", 0);
        flags.putIfAbsent("policy", "round_robin");
        flags.putIfAbsent("retry_initial_backoff_ms", 1);
        Router router = Router.start(RouterConfig.of(flags));
        open.add(router);
        await().atMost(Duration.ofSeconds(10))
                .pollInterval(Duration.ofMillis(5))
                .until(() -> get(router, "/readiness").statusCode() == 200);
        return router;
    }

    private HttpResponse<String> get(Router router, String path) {
        return send(HttpRequest.newBuilder(uri(router, path)).GET());
    }

    private HttpResponse<String> post(Router router, String path, String body) {
        return send(HttpRequest.newBuilder(uri(router, path))
                .header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString(body)));
    }

    private HttpResponse<String> send(HttpRequest.Builder request) {
        try {
            return http.send(request.timeout(Duration.ofSeconds(20)).build(), HttpResponse.BodyHandlers.ofString());
        } catch (IOException | InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    private static URI uri(Router router, String path) {
        return URI.create("http://127.0.0.1:" + router.port() + path);
    }

    /** A client whose reading the test controls. */
    private Socket raw(Router router, String path, String body) throws IOException {
        Socket socket = new Socket("127.0.0.1", router.port());
        open.add(socket);
        socket.setSoTimeout(20_000);
        OutputStream out = socket.getOutputStream();
        out.write(("POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "
                        + body.length() + "\r\n\r\n" + body)
                .getBytes(StandardCharsets.UTF_8));
        out.flush();
        return socket;
    }

    private static void stream(FakeWorker.Exchange exchange, String... events) throws IOException {
        exchange.startStream();
        for (String event : events) {
            exchange.event(event);
        }
        exchange.event("[DONE]");
        exchange.endStream();
    }

    // ---- plain mode

    @Test
    void aStreamPassesThroughBeforeItHasEnded() throws Exception {
        Semaphore clientSawFirst = new Semaphore(0);
        FakeWorker worker = worker((request, exchange) -> {
            exchange.startStream();
            exchange.event("{\"text\":\"a\"}");
            clientSawFirst.acquire();
            exchange.event("[DONE]");
            exchange.endStream();
        });
        Router router = plain(Map.of(), worker);
        Socket socket = raw(router, "/generate", "{\"text\":\"x\",\"stream\":true}");
        BufferedReader in = new BufferedReader(new InputStreamReader(socket.getInputStream(), StandardCharsets.UTF_8));
        List<String> lines = new ArrayList<>();
        for (String line; (line = in.readLine()) != null && !line.equals("0"); ) {
            lines.add(line);
            if (line.contains("\"a\"")) {
                clientSawFirst.release();
            }
        }
        assertThat(lines).contains("HTTP/1.1 200 OK", "data: {\"text\":\"a\"}", "data: [DONE]");
        assertThat(worker.requests().getFirst().body()).isEqualTo("{\"text\":\"x\",\"stream\":true}");
    }

    @Test
    void requestsTakeTurnsAndHeadersThatMatterPass() {
        FakeWorker a = worker((request, exchange) -> exchange.json(200, OK));
        FakeWorker b = worker((request, exchange) -> exchange.json(200, OK));
        Router router = plain(Map.of(), a, b);
        for (int i = 0; i < 6; i++) {
            assertThat(send(HttpRequest.newBuilder(uri(router, "/v1/completions"))
                                    .header("Authorization", "Bearer k")
                                    .header("X-Request-Id", "r1")
                                    .header("X-Other", "no")
                                    .POST(HttpRequest.BodyPublishers.ofString("{}")))
                            .body())
                    .isEqualTo(OK);
        }
        assertThat(a.requests()).hasSize(3);
        assertThat(b.requests())
                .hasSize(3)
                .allSatisfy(request -> assertThat(request.headers())
                        .containsEntry("authorization", "Bearer k")
                        .containsEntry("x-request-id", "r1")
                        .doesNotContainKey("x-other"));
        assertThat(a.connections()).isLessThanOrEqualTo(3); // one for checks, one an event loop
    }

    @Test
    void anIdleConnectionThatTheWorkerDroppedIsReplacedUnseen() {
        FakeWorker worker = worker((request, exchange) -> {
            exchange.json(200, OK);
            exchange.hangUp();
        });
        Router router = plain(Map.of("disable_retries", true, "cb_failure_threshold", 1), worker);
        for (int i = 0; i < 50; i++) {
            assertThat(post(router, "/generate", "{}").statusCode()).isEqualTo(200);
        }
    }

    @Test
    void aStatusThatMayPassIsTriedAgainAndOthersAreNot() {
        AtomicInteger calls = new AtomicInteger();
        FakeWorker worker = worker((request, exchange) -> {
            switch (calls.getAndIncrement()) {
                case 0 -> exchange.json(503, "{\"message\":\"full\"}");
                case 1 -> exchange.json(200, OK);
                case 2 -> exchange.json(400, "{\"message\":\"bad\"}");
                default -> exchange.json(503, "{\"message\":\"still full\"}");
            }
        });
        Router router = plain(Map.of("retry_max_retries", 2, "disable_circuit_breaker", true), worker);
        assertThat(post(router, "/generate", "{}").statusCode()).isEqualTo(200);
        HttpResponse<String> bad = post(router, "/generate", "{}");
        assertThat(bad.statusCode()).isEqualTo(400);
        assertThat(bad.body()).isEqualTo("{\"message\":\"bad\"}");
        assertThat(calls.get()).isEqualTo(3);
        assertThat(post(router, "/generate", "{}").body()).isEqualTo("{\"message\":\"still full\"}");
        assertThat(calls.get()).isEqualTo(6);
        assertThat(get(router, "/metrics").body())
                .contains("sgl_router_retries_total{route=\"/generate\"} 3.0")
                .contains("sgl_router_retries_exhausted_total{route=\"/generate\"} 1.0");
    }

    @Test
    void aDeadWorkerCostsARetryAndIsThenLeftAlone() {
        FakeWorker alive = worker((request, exchange) -> exchange.json(200, OK));
        FakeWorker dead = worker((request, exchange) -> exchange.json(200, OK));
        Router router = plain(Map.of("cb_failure_threshold", 2), alive, dead);
        dead.close();
        for (int i = 0; i < 20; i++) {
            assertThat(post(router, "/generate", "{}").statusCode()).isEqualTo(200);
        }
        assertThat(get(router, "/workers").body()).contains("\"circuit\":\"open\"");
        assertThat(alive.requests()).hasSize(20);
    }

    @Test
    void aLoneDeadWorkerIsNamed() {
        FakeWorker dead = worker((request, exchange) -> exchange.json(200, OK));
        Router router = plain(Map.of("retry_max_retries", 1), dead);
        dead.close();
        HttpResponse<String> response = post(router, "/generate", "{}");
        assertThat(response.statusCode()).isEqualTo(502);
        assertThat(response.body()).startsWith("Worker server error: " + dead.url() + " cannot be reached");
    }

    @Test
    void aWorkerThatDiesInMidStreamEndsItWithAnErrorFrame() {
        FakeWorker worker = worker((request, exchange) -> {
            exchange.startStream();
            exchange.event("{\"text\":\"a\"}");
            exchange.chunk("data: {\"text\":\"a b"); // and the connection closes
        });
        Router router = plain(Map.of(), worker);
        HttpResponse<String> response = post(router, "/generate", "{\"stream\":true}");
        assertThat(response.statusCode()).isEqualTo(200);
        assertThat(response.body())
                .startsWith("data: {\"text\":\"a\"}\n\n")
                .contains("\n\ndata: {\"error\":{\"message\":\"Worker server error: " + worker.url())
                .endsWith("}}\n\ndata: [DONE]\n\n");
        assertThat(worker.requests()).hasSize(1);
    }

    @Test
    void aClientThatGoesAwayFreesItsWorker() throws Exception {
        CountDownLatch freed = new CountDownLatch(1);
        FakeWorker worker = worker((request, exchange) -> {
            exchange.startStream();
            exchange.event("{}");
            exchange.awaitClosed();
            freed.countDown();
        });
        Router router = plain(Map.of(), worker);
        Socket client = raw(router, "/generate", "{}");
        assertThat(client.getInputStream().read()).isEqualTo('H');
        client.close();
        assertThat(freed.await(10, TimeUnit.SECONDS)).isTrue();
    }

    @Test
    void aClientThatReadsSlowlyHoldsItsWorkerBack() throws Exception {
        AtomicInteger sent = new AtomicInteger();
        String chunk = "x".repeat(1 << 20);
        FakeWorker worker = worker((request, exchange) -> {
            exchange.startStream();
            for (int i = 0; i < 200; i++) {
                exchange.chunk(chunk);
                sent.incrementAndGet();
            }
            exchange.endStream();
        });
        Router router = plain(Map.of(), worker);
        Socket client = raw(router, "/generate", "{}");
        InputStream in = client.getInputStream();
        in.read();
        // What fits into socket buffers is taken; then the count must stand still.
        AtomicInteger last = new AtomicInteger(-1);
        await().atMost(Duration.ofSeconds(15))
                .pollInterval(Duration.ofMillis(200))
                .until(() -> last.getAndSet(sent.get()) == sent.get());
        assertThat(sent.get()).isLessThan(60);
        long bytes = 0;
        byte[] buffer = new byte[1 << 16];
        for (int n; bytes < 200L << 20 && (n = in.read(buffer)) > 0; ) {
            bytes += n;
        }
        assertThat(bytes).isGreaterThanOrEqualTo(200L << 20);
        assertThat(sent.get()).isEqualTo(200);
    }

    @Test
    void moreThanTheLimitWaitAndMoreThanTheQueueAreRefused() throws Exception {
        Semaphore go = new Semaphore(0);
        FakeWorker worker = worker((request, exchange) -> {
            go.acquire();
            exchange.json(200, OK);
        });
        Router router = plain(Map.of("max_concurrent_requests", 1, "queue_size", 1), worker);
        CompletableFuture<HttpResponse<String>> first =
                CompletableFuture.supplyAsync(() -> post(router, "/generate", "{}"));
        await().until(() -> !worker.requests().isEmpty());
        CompletableFuture<HttpResponse<String>> second =
                CompletableFuture.supplyAsync(() -> post(router, "/generate", "{}"));
        await().until(() -> get(router, "/metrics").body().contains("sgl_router_queued_requests 1.0"));
        HttpResponse<String> third = post(router, "/generate", "{}");
        assertThat(third.statusCode()).isEqualTo(503);
        assertThat(third.headers().firstValue("retry-after")).isPresent();
        assertThat(third.body()).contains("queue is full");
        assertThat(worker.requests()).hasSize(1);
        go.release(2);
        assertThat(first.get(10, TimeUnit.SECONDS).statusCode()).isEqualTo(200);
        assertThat(second.get(10, TimeUnit.SECONDS).statusCode()).isEqualTo(200);
        assertThat(get(router, "/metrics").body()).contains("sgl_router_running_requests 0.0");
    }

    @Test
    void waitingForAPlaceHasADeadline() {
        FakeWorker worker = worker((request, exchange) -> exchange.awaitClosed());
        Router router = plain(
                Map.of("max_concurrent_requests", 1, "queue_timeout_secs", 0.1, "request_timeout_secs", 1), worker);
        CompletableFuture<HttpResponse<String>> first =
                CompletableFuture.supplyAsync(() -> post(router, "/generate", "{}"));
        await().until(() -> !worker.requests().isEmpty());
        assertThat(post(router, "/generate", "{}").body()).contains("waited 0.1 s");
        assertThat(first.join().statusCode()).isEqualTo(504);
    }

    @Test
    void unhealthyWorkersAreLeftOutUntilTheyAreWell() {
        FakeWorker worker = worker((request, exchange) -> exchange.json(200, OK));
        Router router = plain(
                Map.of(
                        "health_check_interval_secs",
                        0.02,
                        "health_failure_threshold",
                        2,
                        "health_success_threshold",
                        2),
                worker);
        worker.healthy(false);
        await().until(() -> get(router, "/readiness").statusCode() == 503);
        HttpResponse<String> none = post(router, "/generate", "{}");
        assertThat(none.statusCode()).isEqualTo(503);
        assertThat(none.body()).startsWith("No available servers: ");
        worker.healthy(true);
        await().until(() -> get(router, "/readiness").statusCode() == 200);
        assertThat(post(router, "/generate", "{}").statusCode()).isEqualTo(200);
    }

    @Test
    void promptsWithACommonPrefixMeetOnOneWorker() {
        FakeWorker a = worker((request, exchange) -> exchange.json(200, OK));
        FakeWorker b = worker((request, exchange) -> exchange.json(200, OK));
        Router router = plain(Map.of("policy", "cache_aware"), a, b);
        for (int i = 0; i < 20; i++) {
            String group = i % 2 == 0 ? "first group's long system prompt " : "another system prompt, also long ";
            post(router, "/generate", "{\"text\":\"" + group + i + "\"}");
        }
        for (FakeWorker worker : List.of(a, b)) {
            assertThat(worker.requests().stream()
                            .map(request -> request.body().substring(0, 20))
                            .distinct())
                    .hasSize(1);
        }
    }

    // ---- bad input

    @Test
    void aBodyThatIsNoJsonIsRefusedWhereItIsRead() {
        FakeWorker worker = worker((request, exchange) -> exchange.json(200, OK));
        Router router = plain(Map.of("policy", "cache_aware", "max_payload_size", 1000), worker);
        HttpResponse<String> bad = post(router, "/generate", "{\"text\": \"x");
        assertThat(bad.statusCode()).isEqualTo(400);
        assertThat(JSON.readTree(bad.body()).path("error").path("message").asString())
                .contains("not valid JSON")
                .contains("byte 11");
        assertThat(post(router, "/generate", "{\"text\":\"" + "x".repeat(2000) + "\"}")
                        .statusCode())
                .isEqualTo(413);
        assertThat(get(router, "/generate").statusCode()).isEqualTo(405);
        assertThat(get(router, "/nowhere").statusCode()).isEqualTo(404);
        assertThat(worker.requests()).isEmpty();
    }

    @Test
    void aPortInUseAndAMissingWorkerAreSaid() {
        FakeWorker worker = worker((request, exchange) -> exchange.json(200, OK));
        Router router = plain(Map.of(), worker);
        assertThatThrownBy(() -> plain(Map.of("port", router.port()), worker))
                .isInstanceOf(ProtocolException.class)
                .hasMessageContaining("cannot listen on 127.0.0.1:" + router.port());
        assertThatThrownBy(() -> Router.start(RouterConfig.defaults())).hasMessageContaining("--worker-urls");
        assertThatThrownBy(() -> RouterConfig.of(Map.of("queue_siez", 1))).hasMessageContaining("queue_siez");
        assertThatThrownBy(() -> RouterConfig.of(Map.of("policy", "best"))).hasMessageContaining("'best'");
    }

    // ---- control

    @Test
    void controlCallsReachEveryWorkerAndAFailureIsNamed() {
        FakeWorker good = worker((request, exchange) -> exchange.answer(200, "text/plain", "Start profiling.\n"));
        FakeWorker bad = worker((request, exchange) ->
                exchange.answer(request.path().equals("/slow_down") ? 200 : 500, "application/json", "null"));
        Router router = pair(Map.of(), good, bad);
        HttpResponse<String> slow = post(router, "/slow_down", "{\"forward_sleep_time\": 2.0}");
        assertThat(slow.statusCode()).isEqualTo(200);
        assertThat(good.requests().getFirst().body()).isEqualTo("{\"forward_sleep_time\": 2.0}");
        assertThat(bad.requests().getFirst().body()).isEqualTo("{\"forward_sleep_time\": 2.0}");
        HttpResponse<String> profile = post(router, "/start_profile", "{\"num_steps\":5}");
        assertThat(profile.statusCode()).isEqualTo(500);
        JsonNode json = JSON.readTree(profile.body());
        assertThat(json.path("error").path("message").asString())
                .contains(bad.url())
                .doesNotContain(good.url());
        assertThat(json.path("workers").path(0).path("body").asString()).isEqualTo("Start profiling.");
        bad.close();
        assertThat(get(router, "/stop_profile").statusCode()).isEqualTo(502);
    }

    @Test
    void informationOfAllWorkersIsPutTogether() {
        FakeWorker prefill = worker((request, exchange) -> exchange.json(
                200,
                switch (request.path()) {
                    case "/get_server_info" -> "{\"role\":\"p\",\"internal_states\":[{\"r\":9}]}";
                    case "/get_load" -> "[{\"num_tokens\":3},{\"num_tokens\":4}]";
                    default -> "{\"data\":[{\"id\":\"m\"}]}";
                }));
        FakeWorker decode = worker((request, exchange) ->
                exchange.json(200, "{\"role\":\"d\",\"internal_states\":[{\"r\":0},{\"r\":1}]}"));
        Router router = pair(Map.of(), prefill, decode);
        JsonNode info = JSON.readTree(get(router, "/get_server_info").body());
        assertThat(info.path("internal_states").toString()).isEqualTo("[{\"r\":0},{\"r\":1}]");
        assertThat(info.path("prefill").path(0).path("role").asString()).isEqualTo("p");
        assertThat(info.path("decode").path(0).path("role").asString()).isEqualTo("d");
        assertThat(get(router, "/v1/models").body()).isEqualTo("{\"data\":[{\"id\":\"m\"}]}");
        assertThat(JSON.readTree(get(router, "/get_loads").body())
                        .path("workers")
                        .path(0)
                        .path("load")
                        .asInt())
                .isEqualTo(7);
        assertThat(get(router, "/health").body()).isEqualTo("OK");
        assertThat(get(router, "/health_generate").statusCode()).isEqualTo(200);
        assertThat(JSON.readTree(get(router, "/workers").body()).path("total").asInt())
                .isEqualTo(2);
        assertThat(get(router, "/metrics").body()).contains("sgl_router_worker_health{");
    }
}
