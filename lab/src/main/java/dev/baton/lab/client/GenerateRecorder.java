package dev.baton.lab.client;

import tools.jackson.databind.JsonNode;

/** Frames of {@code /generate}: cumulative text, token counts in {@code meta_info}. */
final class GenerateRecorder extends AnswerRecorder {
    private String text = "";

    GenerateRecorder(int index, int promptTokens) {
        super(index, promptTokens);
    }

    @Override
    protected void frame(byte[] bytes, int from, int to, long nanos) {
        GenerateFrame frame = GenerateFrame.scan(bytes, from, to);
        if (frame != null) {
            if (frame.hasText()) {
                advance(frame.completionTokens(), nanos);
            }
            return;
        }
        JsonNode json = ServerCalls.JSON.readTree(bytes, from, to - from);
        JsonNode meta = json.path("meta_info");
        if (json.has("error") || !meta.isObject()) {
            failFrom(json);
            return;
        }
        text = json.path("text").asString("");
        int tokens = meta.path("completion_tokens").asInt(outputTokens);
        // Without a tokenizer the server sends ids and no text; then every frame with tokens counts.
        if (!text.isEmpty() || (!json.has("text") && tokens > 0)) {
            advance(tokens, nanos);
        }
        JsonNode finish = meta.path("finish_reason");
        if (finish.isMissingNode() || finish.isNull()) {
            return;
        }
        if (finish.path("type").asString("").equals("abort")) {
            fail("aborted: " + finish.path("message").asString("no reason given"));
        }
        outputTokens = tokens;
        finish();
    }

    private void advance(int tokens, long nanos) {
        tokens(tokens - outputTokens, nanos);
        outputTokens = tokens;
    }

    @Override
    protected String text() {
        return text;
    }
}
