package dev.baton.lab.client;

import java.io.PrintStream;
import java.util.Locale;
import java.util.concurrent.TimeUnit;

/** Progress on the error stream: a bar redrawn in place on a terminal, else a line every few seconds. Thread-safe. */
final class ProgressBar implements AutoCloseable {
    private static final int BAR = 40;

    private final PrintStream out;
    private final String label;
    private final int total;
    private final boolean terminal;
    private final long intervalNanos;
    private final long startNanos = System.nanoTime();
    private long shownNanos = startNanos;
    private int done;
    private int failed;
    private boolean closed;

    ProgressBar(PrintStream out, String label, int total, boolean terminal) {
        this.out = out;
        this.label = label;
        this.total = total;
        this.terminal = terminal;
        this.intervalNanos = terminal ? TimeUnit.MILLISECONDS.toNanos(200) : TimeUnit.SECONDS.toNanos(5);
    }

    synchronized void step(boolean success) {
        done++;
        failed += success ? 0 : 1;
        long now = System.nanoTime();
        if (!closed && done < total && now - shownNanos >= intervalNanos) {
            shownNanos = now;
            show(now);
        }
    }

    @Override
    public synchronized void close() {
        if (!closed) {
            closed = true;
            show(System.nanoTime());
            if (terminal) {
                out.println();
            }
        }
    }

    private void show(long now) {
        double seconds = (now - startNanos) / 1e9;
        String lost = failed == 0 ? "" : ", " + failed + " lost";
        String text = String.format(
                Locale.ROOT,
                "%d/%d [%.1f s, %.2f req/s%s]",
                done,
                total,
                seconds,
                done / Math.max(seconds, 1e-9),
                lost);
        if (terminal) {
            int filled = total == 0 ? BAR : (int) ((long) done * BAR / total);
            out.print("\r" + label + " |" + "#".repeat(filled) + "-".repeat(BAR - filled) + "| " + text + " ");
            out.flush();
        } else {
            out.println(label + " " + text);
        }
    }
}
