package dev.baton.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.io.InputStream;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** Requests that a real engine cannot or need not serve: refused with the reason, and nothing of them stays. */
class EngineLimitsTest {
    private static final int CONTEXT = 512;
    private static ServerUnderTest server;

    @BeforeAll
    static void start() {
        server = ServerUnderTest.serve(
                "limits",
                ServerUnderTest.NANO,
                "--context-length=" + CONTEXT,
                "--max-running-requests=1",
                "--max-queued-requests=1",
                "--cpu-threads=1",
                "--skip-server-warmup");
    }

    @AfterAll
    static void stop() {
        server.close();
    }

    @AfterEach
    void nothingStays() {
        await().atMost(Duration.ofSeconds(20)).untilAsserted(() -> {
            assertThat(server.requests()).isZero();
            JsonNode state = ServerUnderTest.json(server.get("/get_load")).get(0);
            assertThat(state.path("num_tokens").asInt()).isZero();
        });
        assertThat(server.get("/flush_cache").statusCode()).isEqualTo(200);
    }

    private static Map<String, Object> body(List<Integer> ids, int newTokens) {
        return Map.of(
                "input_ids",
                ids,
                "sampling_params",
                Map.of("max_new_tokens", newTokens, "temperature", 0, "ignore_eos", true));
    }

    private static CompletableFuture<HttpResponse<String>> later(Object body) {
        return ServerUnderTest.http()
                .sendAsync(server.postRequest("/generate", body), BodyHandlers.ofString())
                .orTimeout(60, TimeUnit.SECONDS);
    }

    private static void slowDown(String seconds) {
        HttpResponse<String> reply = server.post("/slow_down", "{\"forward_sleep_time\": " + seconds + "}");
        assertThat(reply.statusCode()).as(reply.body()).isEqualTo(200);
    }

    @Test
    void aPromptLongerThanTheContextIs400WithBothLengths() {
        HttpResponse<String> reply = server.post("/generate", body(Collections.nCopies(600, 5), 4));
        assertThat(reply.statusCode()).isEqualTo(400);
        assertThat(reply.body()).contains("600").contains("" + CONTEXT);
        HttpResponse<String> chat = server.post(
                "/v1/completions", Map.of("model", "m", "prompt", Collections.nCopies(600, 5), "max_tokens", 4));
        assertThat(chat.statusCode()).isEqualTo(400);
        assertThat(chat.body()).contains("600").contains("" + CONTEXT);
    }

    @Test
    void aPromptAndAnswerLongerThanTheContextIs400WithTheLengths() {
        HttpResponse<String> reply = server.post("/generate", body(Collections.nCopies(500, 5), 100));
        assertThat(reply.statusCode()).isEqualTo(400);
        assertThat(reply.body()).contains("500").contains("100").contains("" + CONTEXT);
    }

    @Test
    void anIdOutOfTheVocabularyIs400WithItsPlace() {
        for (int id : new int[] {-1, 4096, Integer.MAX_VALUE}) {
            HttpResponse<String> reply = server.post("/generate", body(List.of(1, 2, id), 4));
            assertThat(reply.statusCode()).as("id %d: %s", id, reply.body()).isEqualTo(400);
            assertThat(reply.body()).contains("" + id);
        }
        assertThat(server.post("/generate", body(List.of(1, 2, 4095), 4)).statusCode())
                .isEqualTo(200);
    }

    @Test
    void aFullQueueIs503WithRetryAfterAndTheOthersAreServed() throws Exception {
        slowDown("0.05");
        try {
            var running = later(body(List.of(1, 2, 3), 60));
            await().atMost(Duration.ofSeconds(20)).until(() -> server.requests() == 1);
            // Running, not waiting: only then there is one place in the queue.
            await().atMost(Duration.ofSeconds(20))
                    .until(() -> ServerUnderTest.json(server.get("/get_load"))
                                    .get(0)
                                    .path("num_waiting_reqs")
                                    .asInt()
                            == 0);
            var queued = later(body(List.of(1, 2, 4), 2));
            await().atMost(Duration.ofSeconds(20)).until(() -> server.requests() == 2);
            HttpResponse<String> refused = server.post("/generate", body(List.of(1, 2, 5), 2));
            assertThat(refused.statusCode()).as(refused.body()).isEqualTo(503);
            assertThat(refused.headers().firstValue("Retry-After")).isPresent();
            assertThat(refused.body()).containsIgnoringCase("queue");
            slowDown("null");
            assertThat(running.get().statusCode()).isEqualTo(200);
            assertThat(queued.get().statusCode()).isEqualTo(200);
        } finally {
            slowDown("null");
        }
    }

    @Test
    void aClientThatGoesAwayFreesItsRequest() throws Exception {
        slowDown("0.05");
        try {
            Map<String, Object> body = Map.of(
                    "input_ids",
                    List.of(1, 2, 3),
                    "stream",
                    true,
                    "sampling_params",
                    Map.of("max_new_tokens", 400, "ignore_eos", true));
            HttpResponse<InputStream> stream =
                    ServerUnderTest.http().send(server.postRequest("/generate", body), BodyHandlers.ofInputStream());
            assertThat(stream.body().read()).isEqualTo('d');
            assertThat(server.requests()).isEqualTo(1);
            stream.body().close();
            // 400 steps of 50 ms would take 20 s.
            await().atMost(Duration.ofSeconds(10)).until(() -> server.requests() == 0);
        } finally {
            slowDown("null");
        }
    }

    @Test
    void slowDownTakesEffectAndNullEndsIt() {
        slowDown("0.1");
        long start = System.nanoTime();
        server.post("/generate", body(List.of(1, 2, 3), 11));
        assertThat(System.nanoTime() - start).isGreaterThan(1_000_000_000L);
        slowDown("null");
        HttpResponse<String> reply = server.post("/generate", body(List.of(1, 2, 3), 11));
        assertThat(ServerUnderTest.json(reply)
                        .path("meta_info")
                        .path("completion_tokens")
                        .asInt())
                .isEqualTo(11);
    }
}
