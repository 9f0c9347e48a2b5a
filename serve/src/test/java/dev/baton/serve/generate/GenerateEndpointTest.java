package dev.baton.serve.generate;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.serve.ByteCodec;
import dev.baton.serve.FakeEngine;
import dev.baton.serve.ServerFixture;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** {@code /generate} over a real socket. */
class GenerateEndpointTest {
    private final ServerFixture fixture = new ServerFixture();

    @AfterEach
    void close() {
        fixture.close();
    }

    @Test
    void textAndIdsGiveTheSameAnswer() throws Exception {
        JsonNode text = fixture.postJson("/generate", "{\"text\":\"hi\",\"sampling_params\":{\"max_new_tokens\":4}}");
        JsonNode ids =
                fixture.postJson("/generate", "{\"input_ids\":[104,105],\"sampling_params\":{\"max_new_tokens\":4}}");
        assertThat(text.get("text").asString()).isEqualTo("abcd");
        assertThat(ids.get("text")).isEqualTo(text.get("text"));
        assertThat(ids.get("output_ids")).isEqualTo(text.get("output_ids"));
        assertThat(text.get("output_ids").toString()).isEqualTo("[97,98,99,100]");
        assertThat(text.get("meta_info").get("finish_reason").toString())
                .isEqualTo("{\"type\":\"length\",\"length\":4}");
        assertThat(text.get("meta_info").get("prompt_tokens").asInt()).isEqualTo(2);
        assertThat(text.get("meta_info").get("e2e_latency").asDouble()).isPositive();
    }

    @Test
    void streamedTextAndIdsAreCumulativeAndEndWithDone() throws Exception {
        var reply = fixture.post(
                "/generate", "{\"text\":\"hi\",\"stream\":true,\"sampling_params\":{\"max_new_tokens\":3}}");
        assertThat(reply.headers().firstValue("content-type").orElse("")).startsWith("text/event-stream");
        List<String> frames = ServerFixture.frames(reply.body());
        assertThat(frames).hasSize(4).endsWith("[DONE]");
        List<String> texts = new ArrayList<>();
        for (String frame : frames.subList(0, 3)) {
            JsonNode node = ServerFixture.JSON.readTree(frame);
            texts.add(node.get("text").asString() + node.get("output_ids"));
            assertThat(node.get("meta_info").get("finish_reason").isNull()).isEqualTo(texts.size() < 3);
        }
        assertThat(texts).containsExactly("a[97]", "ab[97,98]", "abc[97,98,99]");
    }

    @Test
    void theServersStreamIntervalHoldsUntilARequestSaysOtherwise() throws Exception {
        String chat = "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"stream\":true,\"max_tokens\":6}";
        try (var slow = new ServerFixture(new FakeEngine(), config -> config.streamInterval(4))) {
            assertThat(texts(slow, "{\"max_new_tokens\":6}")).containsExactly("a", "abcde", "abcdef");
            assertThat(texts(slow, "{\"max_new_tokens\":4,\"stream_interval\":3}"))
                    .containsExactly("a", "abcd");
            List<String> deltas = new ArrayList<>();
            for (String frame :
                    ServerFixture.frames(slow.post("/v1/chat/completions", chat).body())) {
                if (frame.startsWith("{")) {
                    JsonNode content = ServerFixture.JSON.readTree(frame).at("/choices/0/delta/content");
                    deltas.add(content.isNull() ? "" : content.asString());
                }
            }
            assertThat(deltas).containsExactly("", "a", "bcde", "f", "");
        }
    }

    private static List<String> texts(ServerFixture server, String sampling) throws Exception {
        var reply = server.post("/generate", "{\"text\":\"hi\",\"stream\":true,\"sampling_params\":" + sampling + "}");
        List<String> texts = new ArrayList<>();
        for (String frame : ServerFixture.frames(reply.body())) {
            if (frame.startsWith("{")) {
                texts.add(ServerFixture.JSON.readTree(frame).get("text").asString());
            }
        }
        return texts;
    }

    @Test
    void extraKeysAndCacheSaltsReachTheEngine() throws Exception {
        fixture.postJson("/generate", "{\"text\":\"a\",\"extra_key\":\"k\"}");
        fixture.postJson("/generate", "{\"text\":[\"a\",\"b\"],\"extra_key\":[\"k1\",null]}");
        fixture.postJson("/v1/completions", "{\"prompt\":[\"a\",\"b\"],\"cache_salt\":\"s\",\"extra_key\":\"k\"}");
        fixture.postJson("/v1/completions", "{\"prompt\":[\"a\",\"b\"],\"cache_salt\":[\"s1\",\"s2\"]}");
        String chat = "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"max_tokens\":1";
        fixture.postJson("/v1/chat/completions", chat + ",\"cache_salt\":\"c\"}");
        fixture.postJson("/v1/chat/completions", chat + "}");
        assertThat(fixture.engine.submitted)
                .extracting(request -> request.cacheSalt())
                .containsExactly("k", "k1", null, "sk", "sk", "s1", "s2", "c", null);
    }

    @Test
    void logProbabilitiesOfAWholeReplyAreNotWrittenOnTheEnginesThread() throws Exception {
        List<String> threads = new CopyOnWriteArrayList<>();
        var codec = new ByteCodec() {
            @Override
            public String text(int id) {
                threads.add(Thread.currentThread().getName());
                return super.text(id);
            }
        };
        try (var server = new ServerFixture(new FakeEngine(), codec, config -> config)) {
            JsonNode reply = server.postJson(
                    "/generate",
                    "{\"text\":[\"hi\",\"ho\"],\"return_logprob\":[false,true],\"return_text_in_logprobs\":true,"
                            + "\"top_logprobs_num\":2,\"sampling_params\":{\"max_new_tokens\":5}}");
            assertThat(reply.get(0).get("text").asString()).isEqualTo("abcde");
            assertThat(reply.get(1).get("text").asString()).isEqualTo("abcde");
            assertThat(reply.get(1).at("/meta_info/output_token_logprobs").size())
                    .isEqualTo(5);
        }
        assertThat(threads).isNotEmpty().doesNotContain("fake-engine");
    }

    @Test
    void onlySmallRequestsForOneAnswerRunOnTheEventLoop() throws Exception {
        List<String> threads = new CopyOnWriteArrayList<>();
        var codec = new ByteCodec() {
            @Override
            public int[] encode(String text, boolean special) {
                threads.add(Thread.currentThread().getName().replaceAll("-\\d.*", ""));
                return super.encode(text, special);
            }
        };
        try (var server = new ServerFixture(new FakeEngine(), codec, config -> config)) {
            server.postJson("/generate", "{\"text\":\"a\"}");
            server.postJson("/generate", "{\"text\":\"a\",\"sampling_params\":{\"n\":2}}");
            server.postJson("/generate", "{\"text\":\"" + "a".repeat(2_048) + "\"}");
        }
        assertThat(threads).containsExactly("baton-http", "", "");
    }

    @Test
    void aBatchTimesNIsAFlatArray() throws Exception {
        JsonNode reply = fixture.postJson(
                "/generate",
                "{\"text\":[\"x\",\"yy\"],\"rid\":\"r\",\"sampling_params\":{\"max_new_tokens\":2,\"n\":2}}");
        List<String> seen = new ArrayList<>();
        reply.forEach(one -> seen.add(one.get("meta_info").get("id").asString() + ":"
                + one.get("meta_info").get("prompt_tokens").asInt()));
        assertThat(seen).containsExactly("r_0_0:1", "r_0_1:1", "r_1_0:2", "r_1_1:2");
    }

    @Test
    void aClientThatGoesAwayFreesItsRequest() throws Exception {
        fixture.engine.pause();
        for (boolean stream : new boolean[] {true, false}) {
            String body = "{\"text\":\"hi\",\"stream\":" + stream + ",\"sampling_params\":{\"max_new_tokens\":99}}";
            try (var socket = fixture.socket()) {
                ServerFixture.write(socket, ServerFixture.wire("/generate", body));
                await(fixture.engine, 1);
            }
            await(fixture.engine, 0);
        }
    }

    private static void await(FakeEngine engine, int live) {
        org.awaitility.Awaitility.await().until(() -> engine.liveRequests() == live);
    }
}
