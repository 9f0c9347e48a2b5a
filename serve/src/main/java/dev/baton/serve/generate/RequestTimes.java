package dev.baton.serve.generate;

import dev.baton.engine.request.RequestOutput;
import java.time.Clock;

/** When what happened to one request, for its reply and the metrics. Kept only where metrics are on. */
public final class RequestTimes {
    private final RequestMetrics metrics;
    private final long receivedNanos;
    private final double receivedEpochSeconds;
    private final double submittedEpochSeconds;
    private long firstNanos;
    private long lastNanos;
    private int tokens;

    RequestTimes(RequestMetrics metrics, long receivedNanos) {
        this.metrics = metrics;
        this.receivedNanos = receivedNanos;
        submittedEpochSeconds = epochSeconds();
        receivedEpochSeconds = submittedEpochSeconds - (System.nanoTime() - receivedNanos) * 1e-9;
    }

    static double epochSeconds() {
        return Clock.systemUTC().millis() / 1e3;
    }

    /** The scheduler's thread: an output has come. */
    void output(RequestOutput output) {
        long now = System.nanoTime();
        int added = output.completionTokens() - tokens;
        if (added > 0) {
            if (firstNanos == 0) {
                firstNanos = now;
                metrics.firstToken((now - receivedNanos) * 1e-9);
            } else {
                metrics.tokens((now - lastNanos) * 1e-9, added);
            }
            lastNanos = now;
            tokens = output.completionTokens();
        }
        if (output.isLast()) {
            metrics.finished(output, (now - receivedNanos) * 1e-9);
        }
    }

    public double receivedEpochSeconds() {
        return receivedEpochSeconds;
    }

    public double submittedEpochSeconds() {
        return submittedEpochSeconds;
    }

    /** Epoch seconds of the first token; the time received when there was none. */
    public double firstTokenEpochSeconds() {
        return receivedEpochSeconds + (firstNanos == 0 ? 0 : (firstNanos - receivedNanos) * 1e-9);
    }

    /** Epoch seconds of the last token. */
    public double lastTokenEpochSeconds() {
        return receivedEpochSeconds + (firstNanos == 0 ? 0 : (lastNanos - receivedNanos) * 1e-9);
    }

    /** Tokens a second after the first one; 0 with fewer than two. */
    public double decodeThroughput() {
        return tokens < 2 ? 0 : (tokens - 1) / ((lastNanos - firstNanos) * 1e-9);
    }
}
