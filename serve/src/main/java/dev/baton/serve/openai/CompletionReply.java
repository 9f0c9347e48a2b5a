package dev.baton.serve.openai;

import dev.baton.engine.request.TokenLogprob;
import dev.baton.protocol.FinishReason;
import dev.baton.protocol.reply.CompletionChunks;
import dev.baton.protocol.reply.CompletionLogprobs;
import dev.baton.protocol.reply.JsonBytes;
import dev.baton.protocol.reply.Usage;
import dev.baton.protocol.request.CompletionRequest;
import dev.baton.serve.generate.Requests;
import dev.baton.serve.generate.TokenStream;
import dev.baton.serve.http.Exchange;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** The reply of {@code /v1/completions}. */
final class CompletionReply extends OpenAiReply {
    private final CompletionChunks chunks;
    private final boolean logprobs;
    private final boolean echo;

    CompletionReply(Exchange exchange, Requests requests, CompletionRequest body, CompletionChunks chunks, int copies) {
        super(exchange, requests, body.options(), copies);
        this.chunks = chunks;
        this.logprobs = body.logprobs() != null;
        this.echo = body.echo();
    }

    /** The next choice; {@code prompt} stands before its text (empty unless echoed). */
    void addChoice(String prompt) {
        Answer answer = new Answer(answers().size());
        answer.text.escaped(prompt);
        add(answer);
    }

    @Override
    void usageChunk(JsonBytes out, Usage usage) {
        chunks.usage(out, usage);
    }

    @Override
    protected void whole(JsonBytes out) {
        chunks.beginWhole(out);
        for (TokenStream answer : answers()) {
            Answer one = (Answer) answer;
            chunks.wholeChoice(out, one.index, one.text, one.logprobs, Objects.requireNonNull(one.finish()));
        }
        chunks.endWhole(out, totalUsage(), requests.config().weightVersion());
    }

    private final class Answer extends OpenAiAnswer {
        private final @Nullable CompletionLogprobs logprobs;

        Answer(int index) {
            super(CompletionReply.this, index, CompletionReply.this.logprobs);
            logprobs = CompletionReply.this.logprobs ? new CompletionLogprobs(requests.codec()) : null;
        }

        @Override
        void inputLogprob(TokenLogprob position) {
            if (echo) {
                outputLogprob(position);
            }
        }

        @Override
        void outputLogprob(TokenLogprob position) {
            if (logprobs != null) {
                logprobs.add(Requests.position(position, new int[0]));
            }
        }

        @Override
        protected void frames(JsonBytes out) {
            FinishReason reason = finish();
            if (reason instanceof FinishReason.Abort abort && abort.statusCode() > 0) {
                failure(out, abort);
                return;
            }
            Usage usage = options.continuousUsage() ? usage() : null;
            chunks.text(data(out), index, text, logprobs, reason, usage);
            end(out);
            text.clear();
        }
    }
}
