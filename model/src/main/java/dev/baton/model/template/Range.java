package dev.baton.model.template;

import java.util.AbstractList;
import org.jspecify.annotations.Nullable;

/** {@code range(...)}, of at most 100,000 numbers as the sandbox has it. */
final class Range extends AbstractList<@Nullable Object> {
    private static final long LIMIT = 100_000;

    private final long from;
    private final long to;
    private final long step;
    private final int size;

    Range(long from, long to, long step) {
        if (step == 0) {
            throw TemplateFault.value("range() arg 3 must not be zero");
        }
        long count = step > 0 ? (to - from + step - 1) / step : (from - to - step - 1) / -step;
        if (count > LIMIT) {
            throw new TemplateFault(
                    "OverflowError", "Range too big. The sandbox blocks ranges larger than MAX_RANGE (" + LIMIT + ").");
        }
        this.from = from;
        this.to = to;
        this.step = step;
        this.size = (int) Math.max(count, 0);
    }

    @Override
    public Object get(int index) {
        return from + index * step;
    }

    @Override
    public int size() {
        return size;
    }

    @Override
    public String toString() {
        return "range(" + from + ", " + to + (step == 1 ? "" : ", " + step) + ")";
    }
}
