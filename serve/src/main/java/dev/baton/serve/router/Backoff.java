package dev.baton.serve.router;

import java.util.random.RandomGenerator;

/** When a failed request is tried again. */
final class Backoff {
    private Backoff() {}

    /** Whether another attempt may answer what this status could not. */
    static boolean retryable(int status) {
        return switch (status) {
            case 408, 429, 500, 502, 503, 504 -> true;
            default -> false;
        };
    }

    /** Milliseconds before retry {@code retry} (1 is the first): grows by the multiplier, is cut, then jittered. */
    static double millis(RouterConfig config, int retry, RandomGenerator random) {
        double grown = config.retryInitialBackoffMs() * Math.pow(config.retryBackoffMultiplier(), retry - 1);
        double cut = Math.min(grown, config.retryMaxBackoffMs());
        return Math.max(0, cut * (1 + config.retryJitterFactor() * (2 * random.nextDouble() - 1)));
    }
}
