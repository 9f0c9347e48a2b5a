package dev.baton.trace.record;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Bounded memory for one rank's spans: when it is full the oldest are overwritten and counted. Threads of one rank
 * (its scheduler and its compute thread) share it.
 */
public final class SpanRing {
    /** Spans kept unless said otherwise: about half an hour of decode steps of a small model. */
    public static final int DEFAULT_CAPACITY = 1 << 18;

    private final int capacity;
    private final ArrayList<Span> spans = new ArrayList<>();
    private int next;
    private long dropped;

    public SpanRing(int capacity) {
        if (capacity < 1) {
            throw new IllegalArgumentException("capacity must be at least 1, got " + capacity);
        }
        this.capacity = capacity;
    }

    /** Adds a span of the calling thread. */
    public void add(Span.Kind kind, String name, long startNanos, long endNanos, Span.@Nullable Detail detail) {
        add(new Span(kind, name, Thread.currentThread().threadId(), startNanos, endNanos, detail));
    }

    /** Adds a span. */
    public synchronized void add(Span span) {
        if (spans.size() < capacity) {
            spans.add(span);
            return;
        }
        spans.set(next, span);
        next = (next + 1) % capacity;
        dropped++;
    }

    /** Takes every span, oldest first, and leaves the ring empty. */
    public synchronized Drained drain() {
        List<Span> all = new ArrayList<>(spans.size());
        all.addAll(spans.subList(next, spans.size()));
        all.addAll(spans.subList(0, next));
        Drained drained = new Drained(all, dropped);
        spans.clear();
        next = 0;
        dropped = 0;
        return drained;
    }

    /**
     * @param spans oldest first (by the time they ended)
     * @param dropped spans that were overwritten
     */
    public record Drained(List<Span> spans, long dropped) {}
}
