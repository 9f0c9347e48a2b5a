package dev.baton.serve.openai;

import dev.baton.engine.request.TokenLogprob;
import dev.baton.protocol.FinishReason;
import dev.baton.protocol.reply.ChatChunks;
import dev.baton.protocol.reply.ChatLogprobs;
import dev.baton.protocol.reply.JsonBytes;
import dev.baton.protocol.reply.Usage;
import dev.baton.protocol.request.ChatRequest;
import dev.baton.serve.generate.Requests;
import dev.baton.serve.generate.TokenStream;
import dev.baton.serve.http.Exchange;
import java.util.Objects;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** The reply of {@code /v1/chat/completions}. */
final class ChatReply extends OpenAiReply {
    private final ChatChunks chunks;
    private final boolean logprobs;

    /** @param parts makes what divides one choice's text into its parts; null for plain text */
    ChatReply(
            Exchange exchange,
            Requests requests,
            ChatRequest body,
            ChatChunks chunks,
            int choices,
            @Nullable Supplier<ChatParts> parts) {
        super(exchange, requests, body.options(), choices);
        this.chunks = chunks;
        this.logprobs = body.logprobs();
        for (int i = 0; i < choices; i++) {
            add(new Answer(i, parts == null ? null : parts.get()));
        }
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
            FinishReason reason = Objects.requireNonNull(one.finish());
            if (one.parts == null) {
                chunks.wholeChoice(out, one.index, one.text, one.logprobs, reason);
            } else {
                one.parts.whole(out, chunks, one.index, one.logprobs, reason);
            }
        }
        chunks.endWhole(out, totalUsage(), requests.config().weightVersion());
    }

    private final class Answer extends OpenAiAnswer {
        private final @Nullable ChatLogprobs logprobs;
        private final @Nullable ChatParts parts;
        private boolean roleTold;

        Answer(int index, @Nullable ChatParts parts) {
            super(ChatReply.this, index, ChatReply.this.logprobs);
            logprobs = ChatReply.this.logprobs ? new ChatLogprobs(requests.codec()) : null;
            this.parts = parts;
        }

        @Override
        void newText(String added) {
            if (parts == null) {
                super.newText(added);
            } else {
                parts.push(added);
            }
        }

        @Override
        void textEnded() {
            if (parts != null) {
                parts.end();
            }
        }

        @Override
        void inputLogprob(TokenLogprob position) {
            // A chat reply holds those of the answer alone.
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
            if (!roleTold) {
                roleTold = true;
                chunks.role(data(out), index, usage);
                end(out);
            }
            if (parts != null) {
                parts.frames(out, chunks, index, logprobs, usage);
            } else if (text.length() > 0 || logprobs != null && reason == null) {
                chunks.text(data(out), index, text, logprobs, usage);
                end(out);
                text.clear();
            }
            if (reason != null) {
                chunks.finish(data(out), index, reason, parts != null && parts.calledTools(), usage);
                end(out);
            }
        }
    }
}
