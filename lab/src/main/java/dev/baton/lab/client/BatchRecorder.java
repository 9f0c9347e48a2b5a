package dev.baton.lab.client;

import tools.jackson.databind.JsonNode;

/** Times the stream of one batch: frames of all items interleave, each names its item with {@code index}. */
final class BatchRecorder extends AnswerRecorder {
    private final int batchSize;
    private long startedNanos;
    private double lastTtftSeconds;
    private int finishedItems;
    private int tokens;

    BatchRecorder(int batchSize, int promptTokens) {
        super(0, promptTokens);
        this.batchSize = batchSize;
    }

    @Override
    protected void started(long nanos) {
        startedNanos = nanos;
    }

    /** When the last frame with one completion token arrived, seconds after sending. */
    double lastTtftSeconds() {
        return lastTtftSeconds;
    }

    @Override
    protected void frame(byte[] bytes, int from, int to, long nanos) {
        GenerateFrame frame = GenerateFrame.scan(bytes, from, to);
        if (frame != null) {
            first(frame.completionTokens(), nanos);
            return;
        }
        JsonNode json = ServerCalls.JSON.readTree(bytes, from, to - from);
        JsonNode meta = json.path("meta_info");
        if (json.has("error") || !meta.isObject()) {
            failFrom(json);
            return;
        }
        int completion = meta.path("completion_tokens").asInt(0);
        first(completion, nanos);
        JsonNode finish = meta.path("finish_reason");
        if (finish.isMissingNode() || finish.isNull()) {
            return;
        }
        if (finish.path("type").asString("").equals("abort")) {
            fail("aborted: " + finish.path("message").asString("no reason given"));
        }
        tokens += completion;
        outputTokens = tokens;
        if (++finishedItems == batchSize) {
            finish();
        }
    }

    private void first(int completion, long nanos) {
        if (completion == 1) {
            lastTtftSeconds = seconds(nanos - startedNanos);
        }
    }

    @Override
    protected String text() {
        return "";
    }
}
