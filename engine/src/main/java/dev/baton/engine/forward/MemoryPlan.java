package dev.baton.engine.forward;

import dev.baton.engine.EngineException;
import dev.baton.tensor.TensorException;
import java.util.Locale;

/**
 * How one rank's memory is divided.
 *
 * @param deviceBytes what the device has
 * @param fraction share of it that may be used
 * @param weightBytes this rank's weights
 * @param bufferBytes activations, logits and tables
 * @param bytesPerToken of the KV cache
 * @param fittingTokens KV slots that the rest holds
 */
public record MemoryPlan(
        long deviceBytes, double fraction, long weightBytes, long bufferBytes, long bytesPerToken, long fittingTokens) {

    /** What is left after weights and buffers, in tokens; 0 when nothing is. */
    public static MemoryPlan of(
            long deviceBytes, double fraction, long weightBytes, long bufferBytes, long bytesPerToken) {
        long usable = (long) (deviceBytes * fraction) - weightBytes - bufferBytes;
        // One slot belongs to padding.
        long tokens = Math.max(0, usable / bytesPerToken - 1);
        return new MemoryPlan(deviceBytes, fraction, weightBytes, bufferBytes, bytesPerToken, tokens);
    }

    /**
     * KV slots to allocate.
     *
     * @param wanted slots asked for, 0 for as many as useful
     * @param useful slots beyond which no request could use any
     * @throws EngineException CONFIGURATION when they do not fit, with the arithmetic and what to lower
     */
    public int capacityTokens(int wanted, long useful) {
        if (wanted > fittingTokens || fittingTokens == 0) {
            throw new EngineException(EngineException.Code.CONFIGURATION, tooLarge(wanted));
        }
        long tokens = wanted > 0 ? wanted : Math.min(fittingTokens, useful);
        return (int) Math.min(tokens, Integer.MAX_VALUE - 1);
    }

    /**
     * The error of weights for which a device has no room; other errors as they are.
     *
     * @param loadedBytes of weights that found room
     */
    static RuntimeException weightsDoNotFit(long loadedBytes, long deviceBytes, TensorException error) {
        if (error.code() != TensorException.Code.OUT_OF_MEMORY) {
            return error;
        }
        return new EngineException(
                EngineException.Code.CONFIGURATION,
                "the weights do not fit: after " + gib(loadedBytes) + " of them on a device with " + gib(deviceBytes)
                        + " free: " + error.getMessage()
                        + "; for weights, spread the model over devices (--tp-size, --pp-size), take a smaller or F8 model,"
                        + " or end other programs that hold the device's memory",
                error);
    }

    /** The error of an allocation that the plan had room for; other errors as they are. */
    RuntimeException explain(String what, TensorException error) {
        if (error.code() != TensorException.Code.OUT_OF_MEMORY) {
            return error;
        }
        return new EngineException(
                EngineException.Code.CONFIGURATION, what + ": " + arithmetic() + "; " + error.getMessage(), error);
    }

    private String arithmetic() {
        return String.format(
                Locale.ROOT,
                "%s of memory * %.3f - %s of weights - %s of buffers leave room for %d KV tokens of %d bytes",
                gib(deviceBytes),
                fraction,
                gib(weightBytes),
                gib(bufferBytes),
                fittingTokens,
                bytesPerToken);
    }

    private String tooLarge(int wanted) {
        String arithmetic = arithmetic();
        return wanted > 0
                ? "--max-total-tokens " + wanted + " does not fit: " + arithmetic
                        + "; lower --max-total-tokens, --chunked-prefill-size or --max-running-requests, or raise"
                        + " --mem-fraction-static or --tp-size"
                : "no KV cache fits: " + arithmetic
                        + "; raise --mem-fraction-static or --tp-size, lower --chunked-prefill-size or"
                        + " --max-running-requests, or take a smaller model";
    }

    private static String gib(long bytes) {
        return String.format(Locale.ROOT, "%.2f GiB", bytes / (double) (1L << 30));
    }
}
