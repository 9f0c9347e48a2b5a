package dev.baton.serve.openai;

import dev.baton.protocol.reply.JsonBytes;
import dev.baton.protocol.reply.Usage;
import dev.baton.protocol.request.OpenAiOptions;
import dev.baton.serve.generate.Reply;
import dev.baton.serve.generate.Requests;
import dev.baton.serve.generate.TokenStream;
import dev.baton.serve.http.Exchange;

/** What completion and chat replies share: options and the sum of the usage. */
abstract class OpenAiReply extends Reply {
    final OpenAiOptions options;
    final Requests requests;
    private final int copies;

    /**
     * @param copies answers to each prompt: its tokens count once
     */
    OpenAiReply(Exchange exchange, Requests requests, OpenAiOptions options, int copies) {
        super(exchange, requests.delivery(), options.stream(), requests.config().streamInterval());
        this.requests = requests;
        this.options = options;
        this.copies = copies;
    }

    final Usage totalUsage() {
        int prompt = 0;
        int completion = 0;
        for (TokenStream answer : answers()) {
            OpenAiAnswer one = (OpenAiAnswer) answer;
            if (one.index % copies == 0) {
                prompt += one.promptTokens();
            }
            completion += one.completionTokens();
        }
        return new Usage(prompt, completion);
    }

    @Override
    protected final void lastFrames(JsonBytes out) {
        if (options.includeUsage()) {
            data(out);
            usageChunk(out, totalUsage());
            end(out);
        }
    }

    abstract void usageChunk(JsonBytes out, Usage usage);
}
