package dev.baton.engine.balance;

import java.util.Locale;

/**
 * Balancedness of each pass: per layer (mean over ranks of their tokens + 1e-5) / (most + 1e-5), mean over the layers that
 * had tokens. 1 is perfect. Layers without experts are left out; SGLang counts each as 1.
 */
final class BalancednessMeter {
    private static final int[] WINDOWS = {10, 100, 1000};
    private static final double EPSILON = 1e-5;

    /** Ring of the last passes' values. */
    private final double[] values = new double[WINDOWS[WINDOWS.length - 1]];

    private long measured;

    /**
     * Takes a pass.
     *
     * @param loads [layer][rank] tokens
     * @return the log line; empty when no expert had a token
     */
    String measured(long pass, long[][] loads) {
        double sum = 0;
        long tokens = 0;
        int layers = 0;
        for (long[] layer : loads) {
            long total = 0;
            long most = 0;
            for (long load : layer) {
                total += load;
                most = Math.max(most, load);
            }
            if (total > 0) {
                sum += ((double) total / layer.length + EPSILON) / (most + EPSILON);
                layers++;
                tokens += total;
            }
        }
        if (layers == 0) {
            return "";
        }
        values[(int) (measured++ % values.length)] = sum / layers;
        StringBuilder line = new StringBuilder(String.format(
                Locale.ROOT,
                "[Expert Balancedness] forward_pass_id=%d current_pass_balancedness=%.3f",
                pass,
                sum / layers));
        for (int window : WINDOWS) {
            line.append(String.format(Locale.ROOT, " last_%d_average_balancedness=%.3f", window, average(window)));
        }
        return line.append(" gpu_physical_count_sum=").append(tokens).toString();
    }

    /** Mean of the last passes, at most {@code window}; NaN before the first. */
    double average(int window) {
        int count = (int) Math.min(window, Math.min(measured, values.length));
        double sum = 0;
        for (int i = 1; i <= count; i++) {
            sum += values[(int) ((measured - i) % values.length)];
        }
        return count == 0 ? Double.NaN : sum / count;
    }

    /** Of the last pass; NaN before the first. */
    double last() {
        return average(1);
    }
}
