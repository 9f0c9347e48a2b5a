package dev.baton.protocol.request;

import static dev.baton.protocol.request.JsonBody.invalid;
import static dev.baton.protocol.request.JsonBody.isNull;

import dev.baton.protocol.SamplingParams;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/**
 * The body of {@code /v1/completions}.
 *
 * @param prompts in order, at least one
 * @param options shared with chat
 * @param echo the prompt stands before the answer
 * @param logprobs alternatives a position, 0 for the chosen token alone; null for none
 */
public record CompletionRequest(
        List<Prompt> prompts,
        OpenAiOptions options,
        boolean echo,
        @Nullable Integer logprobs) {

    /** Tokens of an answer when the body does not say. */
    public static final int DEFAULT_MAX_TOKENS = 16;

    /** Exactly one of the two is there. */
    public record Prompt(@Nullable String text, int @Nullable [] ids) {}

    /**
     * Reads and checks a body.
     *
     * @throws dev.baton.protocol.ProtocolException INVALID_REQUEST naming the field
     */
    public static CompletionRequest read(byte[] body) {
        var reader = new Reader();
        JsonBody.object(body, false, reader::read);
        if (reader.prompts == null) {
            throw invalid("prompt is missing: give a string, an array of strings, or token ids.");
        }
        if (reader.prompts.isEmpty()) {
            throw invalid("prompt is an empty list.");
        }
        if (reader.bestOf != null
                && reader.bestOf != reader.fields.sampling().params().n()) {
            throw invalid("best_of other than n is not supported yet; leave it out.");
        }
        return new CompletionRequest(reader.prompts, reader.fields.options(), reader.echo, reader.logprobs);
    }

    private static final class Reader {
        final OpenAiFields fields = new OpenAiFields(SamplingParams.DEFAULT.withMaxNewTokens(DEFAULT_MAX_TOKENS));

        @Nullable
        List<Prompt> prompts;

        boolean echo;

        @Nullable
        Integer logprobs;

        @Nullable
        Integer bestOf;

        void read(String name, JsonParser parser) {
            switch (name) {
                case "prompt" -> prompts = prompts(parser);
                case "echo" -> echo = !isNull(parser) && JsonBody.bool(name, parser);
                case "logprobs" -> logprobs = isNull(parser) ? null : count(name, parser);
                case "best_of" -> bestOf = isNull(parser) ? null : count(name, parser);
                default -> fields.read(name, parser);
            }
        }

        private static Integer count(String name, JsonParser parser) {
            int value = JsonBody.integer(name, parser);
            if (value < 0 || value > 1_000) {
                throw invalid(name + " must be in [0, 1000], got " + value + ".");
            }
            return value;
        }

        private static List<Prompt> prompts(JsonParser parser) {
            if (parser.currentToken() == JsonToken.VALUE_STRING) {
                return List.of(new Prompt(parser.getString(), null));
            }
            String expected = "a string, an array of strings, an array of token ids, or an array of such arrays";
            if (parser.currentToken() != JsonToken.START_ARRAY) {
                throw JsonBody.wrong("prompt", expected, parser);
            }
            List<Prompt> list = new ArrayList<>();
            JsonToken first = parser.nextToken();
            if (first.isNumeric()) {
                return List.of(new Prompt(null, JsonBody.idsFromFirst("prompt", parser)));
            }
            for (int i = 0; parser.currentToken() != JsonToken.END_ARRAY; i++, parser.nextToken()) {
                switch (parser.currentToken()) {
                    case VALUE_STRING -> list.add(new Prompt(parser.getString(), null));
                    case START_ARRAY -> list.add(new Prompt(null, JsonBody.ids("prompt[" + i + "]", parser)));
                    default -> throw JsonBody.wrong("prompt[" + i + "]", "a string or an array of token ids", parser);
                }
            }
            return list;
        }
    }
}
