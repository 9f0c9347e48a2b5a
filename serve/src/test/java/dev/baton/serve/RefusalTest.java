package dev.baton.serve;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.protocol.FinishReason;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Test;

/** Requests that are well formed and yet cannot be served now, or fail on the way. */
class RefusalTest {
    private static final String ONE = "{\"text\":\"hi\",\"sampling_params\":{\"max_new_tokens\":3}}";
    private static final String STREAM = "{\"text\":\"hi\",\"stream\":true,\"sampling_params\":{\"max_new_tokens\":3}}";

    @Test
    void aFullQueueIs503WithRetryAfterAndNothingOfTheBatchStays() throws Exception {
        try (var fixture = new ServerFixture()) {
            fixture.engine.pause();
            fixture.engine.queueLimit = 2;
            for (String body : new String[] {
                "{\"text\":[\"a\",\"b\",\"c\"],\"rid\":\"x\"}", "{\"text\":[\"a\",\"b\",\"c\"],\"stream\":true}"
            }) {
                var reply = fixture.post("/generate", body);
                assertThat(reply.statusCode()).isEqualTo(503);
                assertThat(reply.headers().firstValue("retry-after")).hasValue("1");
                assertThat(reply.body()).contains("The request queue is full.");
                assertThat(fixture.engine.liveRequests()).isZero();
            }
        }
    }

    @Test
    void aRequestThatTheEngineFailsHasTheStatusOfTheFailure() throws Exception {
        try (var fixture = new ServerFixture()) {
            fixture.engine.failure =
                    new FinishReason.Abort("Decode transfer failed for request", 500, "KVTransferError");
            var reply = fixture.post("/generate", ONE);
            assertThat(reply.statusCode()).isEqualTo(500);
            assertThat(ServerFixture.JSON.readTree(reply.body()).get("message").asString())
                    .startsWith("Decode transfer failed");
            assertThat(fixture.post("/v1/completions", "{\"prompt\":\"a\"}").statusCode())
                    .isEqualTo(500);
        }
    }

    @Test
    void aStreamThatFailsKeeps200AndSaysSoInAFrame() throws Exception {
        try (var fixture = new ServerFixture()) {
            fixture.engine.failure = new FinishReason.Abort("broken", 500, null);
            var reply = fixture.post("/generate", STREAM);
            assertThat(reply.statusCode()).isEqualTo(200);
            assertThat(ServerFixture.frames(reply.body()))
                    .containsExactly("{\"error\":{\"message\":\"broken\"}}", "[DONE]");
            var chat = fixture.post(
                    "/v1/chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"stream\":true}");
            assertThat(ServerFixture.frames(chat.body()).getFirst()).startsWith("{\"error\":{\"object\":\"error\"");
        }
    }

    @Test
    void anUnexpectedFaultIs500WithPlainTextAndTheServerGoesOn() throws Exception {
        try (var fixture = new ServerFixture()) {
            fixture.engine.failSubmit = true;
            var reply = fixture.post("/generate", ONE);
            assertThat(reply.statusCode()).isEqualTo(500);
            assertThat(reply.body()).isEqualTo("Internal Server Error");
            fixture.engine.failSubmit = false;
            assertThat(fixture.post("/generate", ONE).statusCode()).isEqualTo(200);
        }
    }

    @Test
    void anAbortedRequestAnswers200WithWhatItHad() throws Exception {
        try (var fixture = new ServerFixture()) {
            fixture.engine.pause();
            var reply = new Object() {
                volatile String body;
            };
            Thread client = Thread.startVirtualThread(() -> {
                try {
                    reply.body = fixture.post(
                                    "/generate",
                                    "{\"text\":\"hi\",\"rid\":\"job-1\",\"sampling_params\":{\"max_new_tokens\":9}}")
                            .body();
                } catch (Exception e) {
                    reply.body = e.toString();
                }
            });
            Awaitility.await().until(() -> fixture.engine.liveRequests() == 1);
            assertThat(fixture.post("/abort_request", "{\"rid\":\"job-2\"}").statusCode())
                    .isEqualTo(200);
            assertThat(fixture.engine.liveRequests()).isEqualTo(1);
            assertThat(fixture.post("/abort_request", "{\"rid\":\"job-\"}").statusCode())
                    .isEqualTo(200);
            client.join(20_000);
            var meta = ServerFixture.JSON.readTree(reply.body).get("meta_info");
            assertThat(meta.get("id").asString()).isEqualTo("job-1");
            assertThat(meta.get("finish_reason").get("type").asString()).isEqualTo("abort");
        }
    }

    @Test
    void oneClientThatGoesDoesNotEndAnothersRequestWithALongerOrEqualId() throws Exception {
        try (var fixture = new ServerFixture()) {
            fixture.engine.pause();
            String body = "{\"text\":\"hi\",\"rid\":\"job-1\",\"sampling_params\":{\"max_new_tokens\":9}}";
            try (var other = fixture.socket();
                    var same = fixture.socket()) {
                ServerFixture.write(other, ServerFixture.wire("/generate", body.replace("job-1", "job-10")));
                ServerFixture.write(same, ServerFixture.wire("/generate", body));
                try (var gone = fixture.socket()) {
                    ServerFixture.write(gone, ServerFixture.wire("/generate", body));
                    Awaitility.await().until(() -> fixture.engine.liveRequests() == 3);
                }
                Awaitility.await().until(() -> fixture.engine.liveRequests() == 2);
                fixture.engine.resume();
                assertThat(ServerFixture.readUntil(other, "}}")).contains("\"text\":\"abcdefghi\"");
                assertThat(ServerFixture.readUntil(same, "}}")).contains("\"text\":\"abcdefghi\"");
            }
        }
    }

    @Test
    void aDisaggregatedServerNeedsARoomAndCountsItUpOverABatch() throws Exception {
        try (var fixture = new ServerFixture(new FakeEngine("decode", 1), config -> config.bootstrapPort(8_999))) {
            var refused = fixture.post("/generate", ONE);
            assertThat(refused.statusCode()).isEqualTo(400);
            assertThat(refused.body())
                    .contains("Invalid request: Disaggregated request received without boostrap room id.");
            assertThat(fixture.post("/v1/completions", "{\"prompt\":\"a\"}").statusCode())
                    .isEqualTo(400);
            assertThat(fixture.post("/generate", "{\"text\":\"a\",\"bootstrap_room\":4}")
                            .body())
                    .contains("bootstrap_host is missing");
            assertThat(fixture.post(
                                    "/generate",
                                    "{\"text\":[\"a\",\"b\"],\"bootstrap_host\":[\"h1\",\"h2\"],\"bootstrap_port\":[null,7],"
                                            + "\"bootstrap_room\":[5,9223372036854775807]}")
                            .statusCode())
                    .isEqualTo(200);
            fixture.post("/generate", "{\"text\":[\"a\",\"b\"],\"bootstrap_host\":\"h\",\"bootstrap_room\":40}");
            fixture.post(
                    "/v1/completions",
                    "{\"prompt\":[\"a\",\"b\"],\"max_tokens\":1,\"bootstrap_host\":[\"c1\",\"c2\"],"
                            + "\"bootstrap_port\":null,\"bootstrap_room\":[70,90]}");
            assertThat(fixture.engine.submitted)
                    .extracting(request -> request.bootstrap().host() + ":"
                            + request.bootstrap().port() + "/"
                            + request.bootstrap().room())
                    .containsExactly(
                            "h1:8999/5",
                            "h2:7/9223372036854775807",
                            "h:8999/40",
                            "h:8999/41",
                            "c1:8999/70",
                            "c2:8999/90");
            fixture.post(
                    "/generate",
                    "{\"text\":[\"a\",\"b\"],\"bootstrap_host\":\"h\",\"bootstrap_room\":1,"
                            + "\"sampling_params\":{\"n\":3}}");
            assertThat(fixture.engine.submitted.subList(6, 12))
                    .extracting(request -> request.bootstrap().room())
                    .doesNotHaveDuplicates()
                    .allMatch(room -> room >= 0);
        }
    }

    @Test
    void aKeyIsAskedForEverywhereButHealthAndMetrics() throws Exception {
        try (var fixture = new ServerFixture(new FakeEngine(), config -> config.apiKey("secret"))) {
            var reply = fixture.post("/generate", ONE);
            assertThat(reply.statusCode()).isEqualTo(401);
            assertThat(reply.body()).isEqualTo("{\"error\":\"Unauthorized\"}");
            assertThat(fixture.get("/health").statusCode()).isEqualTo(200);
            assertThat(fixture.get("/metrics").statusCode()).isEqualTo(404);
            try (var socket = fixture.socket()) {
                ServerFixture.write(
                        socket,
                        ServerFixture.wire("/generate", ONE)
                                .replace("Host: x", "Host: x\r\nAuthorization: Bearer secret"));
                assertThat(ServerFixture.readUntil(socket, "}}")).startsWith("HTTP/1.1 200 ");
            }
        }
    }
}
