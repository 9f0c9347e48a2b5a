package dev.baton.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A prefill server, a decode server and a router in front of them, each a process. */
final class PairUnderTest implements AutoCloseable {
    private final String name;
    private final String backend;
    private final int prefillPort = ServerUnderTest.freePort();
    private final int bootstrapPort = ServerUnderTest.freePort();
    private final String prefillFlags;
    private ServerUnderTest prefill;
    private ServerUnderTest decode;
    private ServerUnderTest router;

    private PairUnderTest(String name, String backend, String prefillFlags) {
        this.name = name;
        this.prefillFlags = prefillFlags;
        this.backend = backend;
    }

    /** Starts all three; the two sides differ in pages, requests and chunks. */
    static PairUnderTest start(String name, String backend) {
        return start(name, backend, "", "");
    }

    /** The same with further flags, separated by spaces. */
    static PairUnderTest start(String name, String backend, String prefillFlags, String decodeFlags) {
        PairUnderTest pair = new PairUnderTest(name, backend, prefillFlags);
        try {
            pair.prefill = pair.prefillLater();
            pair.decode = ServerUnderTest.serveLater(
                    name + "-decode",
                    ServerUnderTest.NANO,
                    with(
                            decodeFlags,
                            "--disaggregation-mode=decode",
                            "--disaggregation-transfer-backend=" + backend,
                            "--page-size=16",
                            "--max-total-tokens=12288",
                            "--max-running-requests=12",
                            "--cpu-threads=1",
                            "--num-reserved-decode-tokens=64"));
            pair.prefill.awaitReady();
            pair.decode.awaitReady();
            pair.router = pair.startRouter();
            return pair;
        } catch (Throwable e) {
            pair.close();
            throw e;
        }
    }

    private ServerUnderTest prefillLater() {
        return ServerUnderTest.serveLater(
                name + "-prefill",
                ServerUnderTest.NANO,
                with(
                        prefillFlags,
                        "--port=" + prefillPort,
                        "--disaggregation-mode=prefill",
                        "--disaggregation-bootstrap-port=" + bootstrapPort,
                        "--disaggregation-transfer-backend=" + backend,
                        "--page-size=16",
                        "--max-total-tokens=8192",
                        "--max-running-requests=5",
                        "--chunked-prefill-size=64",
                        "--cpu-threads=1"));
    }

    private static String[] with(String more, String... flags) {
        return Stream.concat(Stream.of(flags), Stream.of(more.split(" ")).filter(f -> !f.isEmpty()))
                .toArray(String[]::new);
    }

    ServerUnderTest startRouter() {
        router = ServerUnderTest.route(
                name + "-router",
                "--pd-disaggregation",
                "--prefill",
                prefill.url().toString(),
                "" + bootstrapPort,
                "--decode",
                decode.url().toString());
        return router;
    }

    /** A new prefill server where the old one was. */
    void restartPrefill() {
        prefill.close();
        prefill = prefillLater().awaitReady();
    }

    ServerUnderTest prefill() {
        return prefill;
    }

    ServerUnderTest decode() {
        return decode;
    }

    ServerUnderTest router() {
        return router;
    }

    int bootstrapPort() {
        return bootstrapPort;
    }

    /** Seconds that a server sleeps before each step. */
    static void slowDown(ServerUnderTest server, String seconds) {
        assertThat(server.post("/slow_down", "{\"forward_sleep_time\": " + seconds + "}")
                        .statusCode())
                .isEqualTo(200);
    }

    static Map<String, Object> body(Questions.Question question, boolean stream) {
        return body(
                question.ids(),
                question.sampling().maxNewTokens(),
                question.sampling().ignoreEos(),
                stream);
    }

    static Map<String, Object> body(int[] ids, int newTokens, boolean ignoreEos, boolean stream) {
        Map<String, Object> body = new LinkedHashMap<>();
        body.put("input_ids", ids);
        body.put("stream", stream);
        body.put("sampling_params", Map.of("max_new_tokens", newTokens, "temperature", 0, "ignore_eos", ignoreEos));
        return body;
    }

    /** Sends to the router; the lines of the answer as they are, also when the stream breaks in the middle. */
    CompletableFuture<Reply> ask(Map<String, Object> body) {
        return ServerUnderTest.http()
                .sendAsync(router.postRequest("/generate", body), BodyHandlers.ofLines())
                .thenApplyAsync(Reply::of)
                .exceptionally(Reply::broken)
                .orTimeout(60, TimeUnit.SECONDS);
    }

    /**
     * An answer.
     *
     * @param status 0 when there was none
     * @param broken why the answer did not come to its end; null when it did
     */
    record Reply(int status, List<String> lines, Throwable broken) {
        private static Reply of(HttpResponse<Stream<String>> response) {
            List<String> lines = new ArrayList<>();
            try (Stream<String> body = response.body()) {
                body.filter(l -> !l.isEmpty()).forEach(lines::add);
                return new Reply(response.statusCode(), lines, null);
            } catch (RuntimeException e) {
                return new Reply(response.statusCode(), lines, e);
            }
        }

        private static Reply broken(Throwable fault) {
            return new Reply(0, List.of(), fault);
        }

        /** The last object: the whole answer, or the last frame before {@code [DONE]}. */
        JsonNode last() {
            assertThat(broken).isNull();
            assertThat(status).as("%s", lines).isEqualTo(200);
            String text = lines.getLast();
            if (text.startsWith("data:")) {
                assertThat(text).isEqualTo("data: [DONE]");
                text = lines.get(lines.size() - 2).substring("data:".length());
            }
            return JsonMapper.shared().readTree(text);
        }

        List<Integer> ids() {
            return last().get("output_ids").valueStream().map(JsonNode::asInt).toList();
        }

        /** A client can tell that this is no whole answer. */
        boolean isError() {
            return broken != null
                    || status >= 500
                    || lines.isEmpty()
                    || lines.stream().anyMatch(l -> l.contains("\"error\"") || l.contains("\"type\":\"abort\""))
                    || lines.getFirst().startsWith("data:") && !lines.getLast().equals("data: [DONE]");
        }
    }

    /** A server lives, is healthy and has nothing left to do. */
    static void assertFreeAndHealthy(ServerUnderTest server) {
        await().atMost(Duration.ofSeconds(40)).untilAsserted(() -> {
            assertThat(server.isAlive()).as(server.logTail()).isTrue();
            assertThat(server.isHealthy()).as(server.logTail()).isTrue();
            assertThat(server.requests()).as(server.logTail()).isZero();
        });
    }

    @Override
    public void close() {
        Stream.of(router, decode, prefill).filter(s -> s != null).forEach(ServerUnderTest::close);
    }
}
