package dev.baton.lab.workload;

import org.jspecify.annotations.Nullable;

/**
 * One request of a workload; exactly one of {@code text} and {@code inputIds} is set.
 *
 * @param text the prompt as text
 * @param inputIds the prompt as token ids; not to be modified
 * @param promptTokens length of the prompt, tokens
 * @param outputTokens tokens to ask for
 */
@SuppressWarnings("ArrayRecordComponent")
public record BenchPrompt(@Nullable String text, int @Nullable [] inputIds, int promptTokens, int outputTokens) {
    public BenchPrompt {
        if ((text == null) == (inputIds == null)) {
            throw new IllegalArgumentException("a prompt is either text or ids");
        }
    }

    /** A prompt of text. */
    public static BenchPrompt ofText(String text, int promptTokens, int outputTokens) {
        return new BenchPrompt(text, null, promptTokens, outputTokens);
    }

    /** A prompt of token ids. */
    public static BenchPrompt ofIds(int[] ids, int outputTokens) {
        return new BenchPrompt(null, ids, ids.length, outputTokens);
    }

    /** The same prompt with another output length. */
    public BenchPrompt withOutputTokens(int tokens) {
        return new BenchPrompt(text, inputIds, promptTokens, tokens);
    }
}
