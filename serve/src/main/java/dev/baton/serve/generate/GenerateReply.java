package dev.baton.serve.generate;

import dev.baton.engine.request.RequestOutput;
import dev.baton.engine.request.TokenLogprob;
import dev.baton.protocol.FinishReason;
import dev.baton.protocol.reply.ErrorBody;
import dev.baton.protocol.reply.GenerateAnswer;
import dev.baton.protocol.reply.JsonBytes;
import dev.baton.protocol.reply.NativeLogprobs;
import dev.baton.protocol.request.GenerateRequest;
import dev.baton.serve.http.Exchange;
import org.jspecify.annotations.Nullable;

/** The reply of {@code /generate}: one object, or an array of them; streamed, text and ids are cumulative. */
final class GenerateReply extends Reply {
    private final Requests requests;
    private final boolean textInLogprobs;
    private final boolean list;

    GenerateReply(Exchange exchange, Requests requests, GenerateRequest body, boolean list, int interval) {
        super(exchange, requests.delivery(), body.stream(), interval);
        this.requests = requests;
        this.textInLogprobs = body.returnTextInLogprobs();
        this.list = list;
    }

    /**
     * @param rid as the client knows it
     * @param index in the array or stream; -1 for a single answer
     */
    void addAnswer(String rid, GenerateRequest.@Nullable Logprobs wanted, int index) {
        NativeLogprobs logprobs = wanted == null
                ? null
                : new NativeLogprobs(
                        wanted.top() > 0, wanted.tokenIds().length > 0, textInLogprobs ? requests.codec()::text : null);
        int[] asked = wanted == null ? new int[0] : wanted.tokenIds();
        add(new Answer(new GenerateAnswer(rid, requests.config().weightVersion(), true, logprobs), asked, index));
    }

    @Override
    protected void lastFrames(JsonBytes out) {
        // Every answer has said its last.
    }

    @Override
    protected void whole(JsonBytes out) {
        if (list) {
            out.raw('[');
        }
        for (TokenStream answer : answers()) {
            Answer one = (Answer) answer;
            if (one.index > 0) {
                out.raw(',');
            }
            one.state.write(out, -1);
        }
        if (list) {
            out.raw(']');
        }
    }

    private final class Answer extends TokenStream {
        private final GenerateAnswer state;
        private final int[] askedIds;
        private final int index;

        Answer(GenerateAnswer state, int[] askedIds, int index) {
            super(GenerateReply.this, state.logprobs() != null);
            this.state = state;
            this.askedIds = askedIds;
            this.index = index;
        }

        @Override
        protected void absorb(RequestOutput output) {
            state.add(output.newIds(), output.newText());
            NativeLogprobs logprobs = state.logprobs();
            if (logprobs != null) {
                for (TokenLogprob position : output.inputLogprobs()) {
                    logprobs.addInput(Requests.position(position, askedIds));
                }
                for (TokenLogprob position : output.outputLogprobs()) {
                    logprobs.addOutput(Requests.position(position, askedIds));
                }
            }
            state.counts(
                    output.promptTokens(),
                    output.cachedTokens(),
                    output.completionTokens(),
                    output.retractions(),
                    output.finish());
        }

        @Override
        protected void finished(FinishReason reason, @Nullable RequestTimes times) {
            state.meta("e2e_latency", (System.nanoTime() - exchange().receivedNanos()) * 1e-9);
            state.meta("response_sent_to_client_ts", RequestTimes.epochSeconds());
            if (times != null) {
                state.meta("request_received_ts", times.receivedEpochSeconds());
                state.meta("request_sent_to_scheduler_ts", times.submittedEpochSeconds());
                state.meta("prefill_finished_ts", times.firstTokenEpochSeconds());
                state.meta("decode_finished_ts", times.lastTokenEpochSeconds());
                state.meta("inference_time", times.lastTokenEpochSeconds() - times.submittedEpochSeconds());
                state.meta("decode_throughput", times.decodeThroughput());
            }
        }

        @Override
        protected void frames(JsonBytes out) {
            data(out);
            if (state.finish() instanceof FinishReason.Abort abort && abort.statusCode() > 0) {
                out.raw(ErrorBody.nativeForm(abort.message()));
            } else {
                state.write(out, index);
            }
            end(out);
        }
    }
}
