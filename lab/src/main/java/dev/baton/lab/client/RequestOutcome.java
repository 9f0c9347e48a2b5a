package dev.baton.lab.client;

/**
 * How one request went.
 *
 * @param index place in the workload
 * @param success a whole answer arrived; otherwise the request is lost and {@code error} says why
 * @param promptTokens length of the prompt, tokens
 * @param outputTokens tokens of the answer as the server counts them; 0 when lost
 * @param startNanos when it was sent, on the client's clock
 * @param ttftSeconds from sending to the first frame with text; 0 when none came
 * @param latencySeconds from sending to the last line of the answer; 0 when nothing came
 * @param itlSeconds gaps between tokens after the first, seconds; not to be modified
 * @param generatedText the answer
 * @param error why it was lost; empty for a success
 */
@SuppressWarnings("ArrayRecordComponent")
public record RequestOutcome(
        int index,
        boolean success,
        int promptTokens,
        int outputTokens,
        long startNanos,
        double ttftSeconds,
        double latencySeconds,
        double[] itlSeconds,
        String generatedText,
        String error) {}
