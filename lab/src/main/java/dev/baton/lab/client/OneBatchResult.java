package dev.baton.lab.client;

import java.math.BigDecimal;
import java.math.RoundingMode;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ObjectNode;

/**
 * One measured case of {@code one-batch-server}.
 *
 * @param runName name of the run
 * @param batchSize requests of the batch
 * @param inputLen prompt length, tokens
 * @param outputLen answer length, tokens
 * @param latencySeconds of the whole batch
 * @param lastTtftSeconds until the last item had its first token
 * @param lastGenThroughput what the server's first rank said last, tokens a second; null when it said nothing
 * @param acceptLength mean accepted length of speculation, or null
 * @param tensorParallelSize ranks of the server, for the cost
 */
public record OneBatchResult(
        String runName,
        int batchSize,
        int inputLen,
        int outputLen,
        double latencySeconds,
        double lastTtftSeconds,
        @Nullable Double lastGenThroughput,
        @Nullable Double acceptLength,
        int tensorParallelSize) {
    /** SGLang's table assumes an H100 at 2 dollars an hour. */
    private static final double DOLLARS_AN_HOUR = 2;

    /** Input tokens count as if prefill were interrupted by 30% of other work, as SGLang's table has it. */
    private static final double INPUT_UTILIZATION = 0.7;

    /** Prompt tokens a second until the last first token. */
    public double inputThroughput() {
        return (double) batchSize * inputLen / lastTtftSeconds;
    }

    /** Answer tokens a second after it. */
    public double outputThroughput() {
        return (double) batchSize * outputLen / (latencySeconds - lastTtftSeconds);
    }

    /** All tokens a second. */
    public double overallThroughput() {
        return (double) batchSize * (inputLen + outputLen) / latencySeconds;
    }

    /** Milliseconds between two tokens of one item. */
    public double itlMillis() {
        return batchSize / outputThroughput() * 1000;
    }

    /** Dollars a million prompt tokens. */
    public double inputCost() {
        return 1e6 / (inputThroughput() * INPUT_UTILIZATION) / 3600 * DOLLARS_AN_HOUR * tensorParallelSize;
    }

    /** Dollars a million answer tokens. */
    public double outputCost() {
        return 1e6 / outputThroughput() / 3600 * DOLLARS_AN_HOUR * tensorParallelSize;
    }

    /** The line of the result file, keys in SGLang's order. */
    public ObjectNode record() {
        ObjectNode json = ServerCalls.JSON.createObjectNode();
        json.put("run_name", runName);
        json.put("batch_size", batchSize);
        json.put("input_len", inputLen);
        json.put("output_len", outputLen);
        json.put("latency", rounded(latencySeconds, 4));
        json.put("input_throughput", rounded(inputThroughput(), 2));
        json.put("output_throughput", rounded(outputThroughput(), 2));
        json.put("overall_throughput", rounded(overallThroughput(), 2));
        json.put("last_ttft", rounded(lastTtftSeconds, 4));
        json.put("last_gen_throughput", lastGenThroughput);
        json.put("acc_length", acceptLength);
        return json;
    }

    private static double rounded(double value, int digits) {
        return Double.isFinite(value)
                ? BigDecimal.valueOf(value)
                        .setScale(digits, RoundingMode.HALF_EVEN)
                        .doubleValue()
                : value;
    }
}
