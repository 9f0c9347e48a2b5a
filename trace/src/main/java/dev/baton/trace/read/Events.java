package dev.baton.trace.read;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The events of one rank in columns, in file order; about 45 bytes each. Times are nanoseconds after the trace's base
 * ({@link TraceInfo#baseNanos}).
 */
public final class Events {
    private static final EventKind[] KINDS = EventKind.values();

    private byte[] kind = new byte[1024];
    private long[] start = new long[1024];
    private long[] duration = new long[1024];
    private int[] name = new int[1024];
    private int[] device = new int[1024];
    private long[] lane = new long[1024];
    private long[] correlation = new long[1024];
    private long[] ordinal = new long[1024];
    private final Map<Integer, CollectiveCall> collectives = new HashMap<>();
    private final NameTable names;
    private int size;

    Events(NameTable names) {
        this.names = names;
    }

    void add(
            EventKind kindOf,
            int nameId,
            long startNanos,
            long durationNanos,
            int deviceIndex,
            long laneId,
            long correlationId,
            long position) {
        if (size == kind.length) {
            grow(size + (size >> 1));
        }
        kind[size] = (byte) kindOf.ordinal();
        start[size] = startNanos;
        duration[size] = durationNanos;
        name[size] = nameId;
        device[size] = deviceIndex;
        lane[size] = laneId;
        correlation[size] = correlationId;
        ordinal[size] = position;
        size++;
    }

    void collective(CollectiveCall call) {
        collectives.put(size - 1, call);
    }

    /** Appends another stretch of the same file, whose first event has that position in the file. */
    void append(Events next, long firstOrdinal) {
        int[] ids = new int[next.names.size()];
        for (int id = 0; id < ids.length; id++) {
            ids[id] = names.idOf(next.names, id);
        }
        if (size + next.size > kind.length) {
            grow(size + next.size + (size >> 2));
        }
        System.arraycopy(next.kind, 0, kind, size, next.size);
        System.arraycopy(next.start, 0, start, size, next.size);
        System.arraycopy(next.duration, 0, duration, size, next.size);
        System.arraycopy(next.device, 0, device, size, next.size);
        System.arraycopy(next.lane, 0, lane, size, next.size);
        System.arraycopy(next.correlation, 0, correlation, size, next.size);
        for (int i = 0; i < next.size; i++) {
            name[size + i] = ids[next.name[i]];
            ordinal[size + i] = firstOrdinal + next.ordinal[i];
        }
        int before = size;
        next.collectives.forEach((event, call) -> collectives.put(before + event, call));
        size += next.size;
    }

    private void grow(int length) {
        kind = Arrays.copyOf(kind, length);
        start = Arrays.copyOf(start, length);
        duration = Arrays.copyOf(duration, length);
        name = Arrays.copyOf(name, length);
        device = Arrays.copyOf(device, length);
        lane = Arrays.copyOf(lane, length);
        correlation = Arrays.copyOf(correlation, length);
        ordinal = Arrays.copyOf(ordinal, length);
    }

    public int size() {
        return size;
    }

    public EventKind kind(int event) {
        return KINDS[kind[event]];
    }

    public int nameId(int event) {
        return name[event];
    }

    public String name(int event) {
        return names.name(name[event]);
    }

    public NameTable names() {
        return names;
    }

    public long startNanos(int event) {
        return start[event];
    }

    /** Never negative. */
    public long durationNanos(int event) {
        return duration[event];
    }

    public long endNanos(int event) {
        return start[event] + duration[event];
    }

    /** Index of the device for its work, -1 for events of the host. */
    public int device(int event) {
        return device[event];
    }

    /** Stream on a device, thread on the host. */
    public long lane(int event) {
        return lane[event];
    }

    /** What joins a launch and its device work; -1 for none. */
    public long correlation(int event) {
        return correlation[event];
    }

    /** Position in the file's {@code traceEvents}, from 0: with the file name it says which event a figure came from. */
    public long ordinal(int event) {
        return ordinal[event];
    }

    /** What more is known of a collective; null for other events. */
    public @Nullable CollectiveCall collective(int event) {
        return collectives.get(event);
    }
}
