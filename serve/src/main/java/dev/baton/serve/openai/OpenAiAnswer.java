package dev.baton.serve.openai;

import dev.baton.engine.request.RequestOutput;
import dev.baton.engine.request.TokenLogprob;
import dev.baton.protocol.FinishReason;
import dev.baton.protocol.reply.ErrorBody;
import dev.baton.protocol.reply.JsonBytes;
import dev.baton.protocol.reply.Usage;
import dev.baton.serve.generate.Reply;
import dev.baton.serve.generate.RequestTimes;
import dev.baton.serve.generate.TokenStream;
import org.jspecify.annotations.Nullable;

/** One choice of a completion or chat reply. Text is incremental: what a frame has told is forgotten. */
abstract class OpenAiAnswer extends TokenStream {
    final int index;

    /** Escaped text that no frame has told yet; all of it where the reply is not streamed. */
    final JsonBytes text = new JsonBytes(64);

    private int promptTokens;
    private int completionTokens;

    OpenAiAnswer(Reply reply, int index, boolean logprobs) {
        super(reply, logprobs);
        this.index = index;
    }

    int promptTokens() {
        return promptTokens;
    }

    int completionTokens() {
        return completionTokens;
    }

    Usage usage() {
        return new Usage(promptTokens, completionTokens);
    }

    @Override
    protected final void absorb(RequestOutput output) {
        newText(output.newText());
        if (output.isLast()) {
            textEnded();
        }
        promptTokens = output.promptTokens();
        completionTokens = output.completionTokens();
        for (TokenLogprob position : output.inputLogprobs()) {
            inputLogprob(position);
        }
        for (TokenLogprob position : output.outputLogprobs()) {
            outputLogprob(position);
        }
    }

    /** Takes the text that a step added. */
    void newText(String added) {
        text.escaped(added);
    }

    /** No more text comes. */
    void textEnded() {
        // Plain text has nothing held back.
    }

    abstract void inputLogprob(TokenLogprob position);

    abstract void outputLogprob(TokenLogprob position);

    @Override
    protected final void finished(FinishReason reason, @Nullable RequestTimes times) {
        // OpenAI replies tell no times.
    }

    /** A request that the engine ended with a status while its stream was open. */
    static void failure(JsonBytes out, FinishReason.Abort abort) {
        int code = abort.statusCode();
        String type = code == 400 ? "BadRequestError" : Integer.toString(code);
        Reply.data(out).raw(ErrorBody.openAiStreamForm(abort.message(), type, code));
        Reply.end(out);
    }
}
