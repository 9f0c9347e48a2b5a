package dev.baton.serve.generate;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.serve.FakeEngine;
import dev.baton.serve.ServerFixture;
import java.util.ArrayList;
import java.util.List;
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
