package dev.baton.lab.client;

import java.util.Arrays;
import java.util.List;

/**
 * The figures of one run, by SGLang's formulas over the successful requests.
 *
 * @param completed requests with a whole answer
 * @param failed requests lost
 * @param totalInputTokens prompt tokens of the completed requests
 * @param totalOutputTokens answer tokens of the completed requests, as the server counts them
 * @param totalOutputTokensRetokenized the same by the client's tokenizer; the server's count where there is none
 * @param durationSeconds from the start of the first request to the end of the last
 * @param requestThroughput completed requests a second
 * @param inputThroughput prompt tokens a second
 * @param outputThroughput answer tokens a second
 * @param totalThroughput both
 * @param e2eMillis latencies
 * @param ttftMillis times to the first text
 * @param tpotMillis times per answer token after the first, of requests with more than one
 * @param itlMillis gaps between tokens, pooled over all requests
 * @param concurrency sum of latencies over the duration: the mean number of requests in flight
 * @param peakOutputTokensPerSecond most tokens that arrived in one second
 * @param peakConcurrentRequests most requests alive in one second
 */
public record ServingMetrics(
        int completed,
        int failed,
        long totalInputTokens,
        long totalOutputTokens,
        long totalOutputTokensRetokenized,
        double durationSeconds,
        double requestThroughput,
        double inputThroughput,
        double outputThroughput,
        double totalThroughput,
        Percentiles e2eMillis,
        Percentiles ttftMillis,
        Percentiles tpotMillis,
        Percentiles itlMillis,
        double concurrency,
        double peakOutputTokensPerSecond,
        int peakConcurrentRequests) {

    /**
     * Computes the figures.
     *
     * @param outcomes every request of the run
     * @param durationSeconds length of the run
     * @param retokenized answer tokens counted by the client, or -1 to take the server's count
     */
    public static ServingMetrics of(List<RequestOutcome> outcomes, double durationSeconds, long retokenized) {
        List<RequestOutcome> done =
                outcomes.stream().filter(RequestOutcome::success).toList();
        long input = done.stream().mapToLong(RequestOutcome::promptTokens).sum();
        long output = done.stream().mapToLong(RequestOutcome::outputTokens).sum();
        double latencies =
                done.stream().mapToDouble(RequestOutcome::latencySeconds).sum();
        double[] peaks = peaks(done);
        return new ServingMetrics(
                done.size(),
                outcomes.size() - done.size(),
                input,
                output,
                retokenized < 0 ? output : retokenized,
                durationSeconds,
                done.size() / durationSeconds,
                input / durationSeconds,
                output / durationSeconds,
                (input + output) / durationSeconds,
                millis(done.stream().mapToDouble(RequestOutcome::latencySeconds).toArray()),
                millis(done.stream().mapToDouble(RequestOutcome::ttftSeconds).toArray()),
                millis(done.stream()
                        .filter(r -> r.outputTokens() > 1)
                        .mapToDouble(r -> (r.latencySeconds() - r.ttftSeconds()) / (r.outputTokens() - 1))
                        .toArray()),
                millis(done.stream()
                        .flatMapToDouble(r -> Arrays.stream(r.itlSeconds()))
                        .toArray()),
                latencies / durationSeconds,
                peaks[0],
                (int) peaks[1]);
    }

    private static Percentiles millis(double[] seconds) {
        double[] millis = new double[seconds.length];
        for (int i = 0; i < seconds.length; i++) {
            millis[i] = seconds[i] * 1e3;
        }
        return Percentiles.of(millis);
    }

    /** Tokens and live requests of the busiest second, counted in whole seconds from the first request. */
    private static double[] peaks(List<RequestOutcome> done) {
        if (done.isEmpty()) {
            return new double[2];
        }
        long first = done.stream().mapToLong(RequestOutcome::startNanos).min().getAsLong();
        double last = done.stream()
                .mapToDouble(r -> AnswerRecorder.seconds(r.startNanos() - first) + r.latencySeconds())
                .max()
                .getAsDouble();
        int[] tokens = new int[(int) Math.ceil(last) + 1];
        int[] alive = new int[tokens.length];
        for (RequestOutcome request : done) {
            double start = AnswerRecorder.seconds(request.startNanos() - first);
            double at = start + request.ttftSeconds();
            tokens[bucket(at, tokens.length)]++;
            for (double gap : request.itlSeconds()) {
                at += gap;
                tokens[bucket(at, tokens.length)]++;
            }
            int end = bucket(start + request.latencySeconds(), alive.length);
            for (int second = (int) start; second <= end; second++) {
                alive[second]++;
            }
        }
        return new double[] {
            Arrays.stream(tokens).max().getAsInt(), Arrays.stream(alive).max().getAsInt()
        };
    }

    private static int bucket(double seconds, int buckets) {
        return Math.min((int) seconds, buckets - 1);
    }
}
