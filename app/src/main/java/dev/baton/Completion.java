package dev.baton;

import dev.baton.protocol.FinishReason;

/**
 * A whole answer.
 *
 * @param promptTokens tokens of the prompt
 * @param cachedTokens those of them whose keys and values were still there from an earlier prompt
 * @param completionTokens tokens generated
 * @param finish why it ended
 */
public record Completion(String text, int promptTokens, int cachedTokens, int completionTokens, FinishReason finish) {}
