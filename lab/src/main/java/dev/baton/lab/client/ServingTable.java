package dev.baton.lab.client;

import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** The console table of {@code bench_serving}: 50 wide, labels padded to 40, values to 10. */
final class ServingTable {
    private static final int WIDTH = 50;

    private final StringBuilder out = new StringBuilder();

    private ServingTable() {}

    static String render(ServingResult result) {
        ServingTable table = new ServingTable();
        table.write(result);
        return table.out.toString();
    }

    private void write(ServingResult result) {
        ServingBenchmarkConfig config = result.config();
        ServingMetrics m = result.metrics();
        out.append('\n');
        title(" Serving Benchmark Result ", '=');
        row("Backend:", config.backend().wire());
        row("Traffic request rate:", number(config.requestRate()));
        row("Max request concurrency:", config.maxConcurrency() == null ? "not set" : config.maxConcurrency());
        row("Successful requests:", m.completed());
        row("Benchmark duration (s):", m.durationSeconds());
        row("Total input tokens:", m.totalInputTokens());
        row("Total input text tokens:", m.totalInputTokens());
        row("Total input vision tokens:", 0);
        row("Total generated tokens:", m.totalOutputTokens());
        row("Total generated tokens (retokenized):", m.totalOutputTokensRetokenized());
        row("Request throughput (req/s):", m.requestThroughput());
        row("Input token throughput (tok/s):", m.inputThroughput());
        row("Output token throughput (tok/s):", m.outputThroughput());
        row("Peak output token throughput (tok/s):", m.peakOutputTokensPerSecond());
        row("Peak concurrent requests:", m.peakConcurrentRequests());
        row("Total token throughput (tok/s):", m.totalThroughput());
        row("Concurrency:", m.concurrency());
        accept(result.acceptLength());
        title("End-to-End Latency", '-');
        row("Mean E2E Latency (ms):", m.e2eMillis().mean());
        row("Median E2E Latency (ms):", m.e2eMillis().median());
        title("Time to First Token", '-');
        row("Mean TTFT (ms):", m.ttftMillis().mean());
        row("Median TTFT (ms):", m.ttftMillis().median());
        row("P99 TTFT (ms):", m.ttftMillis().at(99));
        title("Time per Output Token (excl. 1st token)", '-');
        row("Mean TPOT (ms):", m.tpotMillis().mean());
        row("Median TPOT (ms):", m.tpotMillis().median());
        row("P99 TPOT (ms):", m.tpotMillis().at(99));
        title("Inter-Token Latency", '-');
        row("Mean ITL (ms):", m.itlMillis().mean());
        row("Median ITL (ms):", m.itlMillis().median());
        row("P95 ITL (ms):", m.itlMillis().at(95));
        row("P99 ITL (ms):", m.itlMillis().at(99));
        row("Max ITL (ms):", m.itlMillis().max());
        out.append("=".repeat(WIDTH)).append('\n');
    }

    private void accept(@Nullable Double length) {
        if (length != null) {
            row("Accept length:", length);
        }
    }

    private void title(String text, char fill) {
        int left = (WIDTH - text.length()) / 2;
        String side = String.valueOf(fill);
        out.append(side.repeat(left))
                .append(text)
                .append(side.repeat(WIDTH - text.length() - left))
                .append('\n');
    }

    private void row(String label, Object value) {
        String text = value instanceof Double d ? String.format(Locale.ROOT, "%.2f", d) : value.toString();
        out.append(String.format(Locale.ROOT, "%-40s %-10s%n", label, text).replace("\r", ""));
    }

    /** A float as Python prints it: {@code inf}, else with a point. */
    private static String number(double value) {
        return Double.isInfinite(value) ? "inf" : Double.toString(value);
    }
}
