package dev.baton.lab.client;

import tools.jackson.databind.JsonNode;

/** Frames of OpenAI's completions and chat completions: incremental text, counts in {@code usage}. */
final class CompletionsRecorder extends AnswerRecorder {
    private final boolean chat;
    private final StringBuilder text = new StringBuilder();

    CompletionsRecorder(int index, int promptTokens, int requestedTokens, boolean chat) {
        super(index, promptTokens);
        this.chat = chat;
        this.outputTokens = requestedTokens;
    }

    @Override
    protected void frame(byte[] bytes, int from, int to, long nanos) {
        JsonNode json = ServerCalls.JSON.readTree(bytes, from, to - from);
        JsonNode error = json.path("error");
        if (error.isObject() || json.path("object").asString("").equals("error")) {
            failFrom(json);
            return;
        }
        JsonNode choice = json.path("choices").path(0);
        String piece = piece(choice);
        if (!piece.isEmpty()) {
            text.append(piece);
            tokens(1, nanos);
        }
        JsonNode finish = choice.path("finish_reason");
        if (finish.isString()) {
            if (finish.asString().equals("abort")) {
                fail("aborted");
            }
            finish();
        }
        outputTokens = json.path("usage").path("completion_tokens").asInt(outputTokens);
    }

    private String piece(JsonNode choice) {
        if (!chat) {
            return choice.path("text").asString("");
        }
        JsonNode delta = choice.has("delta") ? choice.path("delta") : choice.path("message");
        return delta.path("reasoning_content").asString("")
                + delta.path("content").asString("");
    }

    @Override
    protected String text() {
        return text.toString();
    }
}
