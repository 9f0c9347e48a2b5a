package dev.baton.protocol.request;

import dev.baton.protocol.SamplingParams;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The body of {@code /generate}, lists spread over the items and scalars repeated for each.
 *
 * @param items one for each prompt, in the body's order
 * @param batch true when the prompt field was a list: the reply is then an array
 * @param stream server-sent events
 * @param streamInterval tokens a frame; 0 leaves it to the server
 * @param returnTextInLogprobs the third place of a log probability holds the token's text
 */
public record GenerateRequest(
        List<Item> items, boolean batch, boolean stream, int streamInterval, boolean returnTextInLogprobs) {

    /** {@code maxNewTokens} of an item that asks for as many tokens as the context still holds. */
    public static final int REST_OF_CONTEXT = Integer.MAX_VALUE;

    public GenerateRequest {
        items = List.copyOf(items);
    }

    /**
     * One prompt; exactly one of {@code text} and {@code inputIds} is there.
     *
     * @param rid the client's name for it; null lets the server choose
     * @param sampling not yet held against the vocabulary
     * @param logprobs null for none
     * @param dataParallelRank null lets the engine choose
     * @param cacheSalt {@code extra_key}: cached prefixes are shared only where it is the same; null for none
     */
    public record Item(
            @Nullable String rid,
            @Nullable String text,
            int @Nullable [] inputIds,
            SamplingParams sampling,
            @Nullable Logprobs logprobs,
            BootstrapFields bootstrap,
            @Nullable Integer dataParallelRank,
            @Nullable String cacheSalt) {}

    /**
     * @param startPosition first prompt position wanted; -1 for output tokens only
     * @param top alternatives a position
     * @param tokenIds ids wanted at each position
     */
    public record Logprobs(int startPosition, int top, int[] tokenIds) {}

    /**
     * Reads and checks a body.
     *
     * @throws dev.baton.protocol.ProtocolException INVALID_REQUEST naming the field
     */
    public static GenerateRequest read(byte[] body) {
        return new GenerateFields(body).request();
    }
}
