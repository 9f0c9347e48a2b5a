package dev.baton.lab.client;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.netty.buffer.Unpooled;
import java.nio.charset.StandardCharsets;
import java.util.Objects;
import java.util.Random;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** Times below are by hand: milliseconds on a clock that the test moves. */
class AnswerRecorderTest {
    private final AnswerRecorder generate = AnswerRecorder.of(Backend.Form.GENERATE, 3, 7, 5);
    private final SseLines lines = new SseLines();

    private static String frame(String text, int tokens, String finish) {
        return "data: {\"text\": " + ServerCalls.JSON.writeValueAsString(text)
                + ", \"output_ids\": [1], \"meta_info\": {\"id\": \"x\", \"finish_reason\": " + finish
                + ", \"prompt_tokens\": 7, \"completion_tokens\": " + tokens + ", \"cached_tokens\": 0}}\n\n";
    }

    private void at(AnswerRecorder recorder, double millis, String bytes) {
        lines.feed(Unpooled.wrappedBuffer(bytes.getBytes(StandardCharsets.UTF_8)), (long) (millis * 1e6), recorder);
    }

    @Test
    void timesACumulativeStream() {
        generate.start(0);
        at(generate, 5, frame("", 1, "null")); // decodes to nothing yet: no first token
        at(generate, 10, frame("a", 2, "null"));
        at(generate, 16, frame("abc", 4, "null"));
        at(generate, 20, frame("abcd", 5, "{\"type\": \"length\", \"length\": 5}"));
        at(generate, 21, "data: [DONE]\n\n");
        RequestOutcome outcome = generate.outcome();
        assertThat(outcome.success()).isTrue();
        assertThat(outcome.index()).isEqualTo(3);
        assertThat(outcome.promptTokens()).isEqualTo(7);
        assertThat(outcome.outputTokens()).isEqualTo(5);
        assertThat(outcome.ttftSeconds()).isCloseTo(0.010, within(1e-12));
        assertThat(outcome.latencySeconds()).isCloseTo(0.021, within(1e-12));
        assertThat(outcome.itlSeconds()).containsExactly(new double[] {0.003, 0.003, 0.004}, within(1e-12));
        assertThat(outcome.generatedText()).isEqualTo("abcd");
    }

    @Test
    void framesCutAnywhereAreTimedWhenTheirLastByteArrives() {
        String all = frame("é\"completion_tokens\": 99", 1, "null")
                + frame("é!", 2, "{\"type\": \"stop\", \"matched\": 2}") + "data: [DONE]\r\n\r\n";
        byte[] bytes = all.getBytes(StandardCharsets.UTF_8);
        generate.start(0);
        for (int i = 0; i < bytes.length; i++) {
            lines.feed(Unpooled.wrappedBuffer(bytes, i, 1), i, generate);
        }
        RequestOutcome outcome = generate.outcome();
        int firstFrameEnds = all.indexOf('\n');
        assertThat(outcome.success()).isTrue();
        assertThat(outcome.outputTokens()).isEqualTo(2);
        // One byte more than characters: the accented letter takes two.
        assertThat(outcome.ttftSeconds()).isCloseTo((firstFrameEnds + 1) / 1e9, within(1e-15));
    }

    @Test
    void anErrorFrameIsALostRequest() {
        generate.start(0);
        at(generate, 10, frame("a", 1, "null"));
        at(generate, 20, "data: {\"error\": {\"message\": \"decode died\"}}\n\ndata: [DONE]\n\n");
        assertThat(generate.outcome().success()).isFalse();
        assertThat(generate.outcome().error()).isEqualTo("error frame: decode died");
        assertThat(generate.outcome().outputTokens()).isZero();
    }

    @Test
    void aStreamThatEndsWithoutAFinishReasonIsALostRequest() {
        generate.start(0);
        at(generate, 10, frame("a", 1, "null"));
        at(generate, 20, "data: [DONE]\n\n");
        assertThat(generate.outcome().success()).isFalse();
        assertThat(generate.outcome().error()).contains("without a finish reason");
    }

    @Test
    void anAbortIsALostRequest() {
        generate.start(0);
        at(generate, 10, frame("a", 1, "{\"type\": \"abort\", \"message\": \"Abort in waiting queue\"}"));
        assertThat(generate.outcome().error()).isEqualTo("aborted: Abort in waiting queue");
    }

    @Test
    void completionsCountTheirUsageAndTimeEachChunk() {
        AnswerRecorder recorder = AnswerRecorder.of(Backend.Form.COMPLETIONS, 0, 7, 16);
        recorder.start(0);
        at(recorder, 4, "data: {\"choices\":[{\"index\":0,\"text\":\"x\",\"finish_reason\":null}]}\n\n");
        at(recorder, 9, "data: {\"choices\":[{\"index\":0,\"text\":\"yz\",\"finish_reason\":\"stop\"}]}\n\n");
        at(recorder, 10, "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3}}\n\n");
        at(recorder, 11, "data: [DONE]\n\n");
        RequestOutcome outcome = recorder.outcome();
        assertThat(outcome.success()).isTrue();
        assertThat(outcome.generatedText()).isEqualTo("xyz");
        assertThat(outcome.outputTokens()).isEqualTo(3);
        assertThat(outcome.ttftSeconds()).isCloseTo(0.004, within(1e-12));
        assertThat(outcome.itlSeconds()).containsExactly(new double[] {0.005}, within(1e-12));
        assertThat(outcome.latencySeconds()).isCloseTo(0.011, within(1e-12));
    }

    @Test
    void chatDeltasAreText() {
        AnswerRecorder recorder = AnswerRecorder.of(Backend.Form.CHAT, 0, 7, 16);
        recorder.start(0);
        at(
                recorder,
                1,
                "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n");
        at(recorder, 2, "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"},\"finish_reason\":null}]}\n\n");
        at(recorder, 3, "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"length\"}]}\n\n");
        assertThat(recorder.outcome().generatedText()).isEqualTo("hi");
        assertThat(recorder.outcome().ttftSeconds()).isCloseTo(0.002, within(1e-12));
        assertThat(recorder.outcome().success()).isTrue();
    }

    @Test
    void theFrameScanAgreesWithTheParser() {
        Random random = new Random(11);
        for (int round = 0; round < 2000; round++) {
            StringBuilder text = new StringBuilder();
            String[] pieces = {
                "\"", "\\", "\"text\": \"", "\"completion_tokens\": 5", "\"finish_reason\": null", "é", "\n", "a"
            };
            for (int i = random.nextInt(4); i > 0; i--) {
                text.append(pieces[random.nextInt(pieces.length)]);
            }
            String separator = random.nextBoolean() ? " " : "";
            String finish =
                    random.nextInt(4) == 0 ? "{\"type\":\"stop\",\"matched\":\"\\\"finish_reason\\\": null\"}" : "null";
            String json = "{\"text\":" + separator + ServerCalls.JSON.writeValueAsString(text.toString())
                    + ",\"meta_info\":{\"finish_reason\":" + separator + finish + ",\"completion_tokens\":" + separator
                    + random.nextInt(100_000) + "}}";
            byte[] bytes = json.getBytes(StandardCharsets.UTF_8);
            GenerateFrame frame = GenerateFrame.scan(bytes, 0, bytes.length);
            JsonNode tree = ServerCalls.JSON.readTree(json);
            if (finish.equals("null")) {
                assertThat(Objects.requireNonNull(frame, json).hasText())
                        .isEqualTo(!tree.path("text").asString().isEmpty());
                assertThat(frame.completionTokens())
                        .isEqualTo(
                                tree.path("meta_info").path("completion_tokens").asInt());
            } else {
                assertThat(frame).as(json).isNull();
            }
        }
    }
}
