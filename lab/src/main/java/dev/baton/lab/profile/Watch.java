package dev.baton.lab.profile;

import java.time.Duration;
import java.util.function.Consumer;

/** Follows servers until a condition has held for its time. */
public final class Watch {
    private Watch() {}

    /** Where readings come from. */
    @FunctionalInterface
    public interface Source {
        RankLoads read() throws InterruptedException;
    }

    /**
     * Reads again and again.
     *
     * @param every pause between readings
     * @param limit for how long at most
     * @param seen gets each reading
     * @return whether the condition came true
     */
    public static boolean until(
            Condition condition, Source source, Duration every, Duration limit, Consumer<RankLoads> seen)
            throws InterruptedException {
        long end = System.nanoTime() + limit.toNanos();
        long since = -1;
        RankLoads before = null;
        while (System.nanoTime() < end) {
            RankLoads read = source.read();
            RankLoads loads = before == null ? read : read.since(before);
            before = read;
            seen.accept(loads);
            long now = System.nanoTime();
            if (!condition.holds(loads)) {
                since = -1;
            } else {
                since = since < 0 ? now : since;
                if ((now - since) / 1e9 >= condition.seconds()) {
                    return true;
                }
            }
            Thread.sleep(every);
        }
        return false;
    }
}
