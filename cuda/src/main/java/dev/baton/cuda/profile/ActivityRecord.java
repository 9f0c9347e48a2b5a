package dev.baton.cuda.profile;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import dev.baton.tensor.DeviceSpan;
import dev.baton.tensor.DeviceSpan.Kind;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * One of CUPTI's records, as far as it is shown. Offsets are those of CUpti_ActivityKernel4 and later, CUpti_ActivityMemcpy5,
 * CUpti_ActivityMemset4 and CUpti_ActivityAPI and their successors, which only add fields behind these.
 *
 * @param span times on CUPTI's clock
 */
record ActivityRecord(DeviceSpan span) {
    private static final int MEMCPY = 1;
    private static final int MEMSET = 2;
    private static final int DRIVER = 4;
    private static final int CONCURRENT_KERNEL = 10;

    /** What is recorded. */
    static final int[] KINDS = {MEMCPY, MEMSET, DRIVER, CONCURRENT_KERNEL};

    /** All fields that are read lie before this. */
    static final long MOST_BYTES = 112;

    /** The runtime's name for it, by which readers of traces find the steps of a server. */
    private static final String GRAPH_LAUNCH = "cudaGraphLaunch";

    private static final int NAME_BYTES = 4096;
    private static final int[] NONE = {};
    private static final String[] COPIES = {
        "Unknown", "HtoD", "DtoH", "HtoA", "AtoH", "AtoA", "AtoD", "DtoA", "DtoD", "HtoH", "PtoP"
    };

    /** Null for a record of another kind. */
    static @Nullable ActivityRecord read(MemorySegment r) {
        return switch (r.get(JAVA_INT_UNALIGNED, 0)) {
            case CONCURRENT_KERNEL -> new ActivityRecord(kernel(r));
            case MEMCPY -> {
                int way = r.get(JAVA_BYTE, 4);
                String name = "Memcpy " + (way >= 0 && way < COPIES.length ? COPIES[way] : COPIES[0]);
                yield new ActivityRecord(memory(Kind.COPY, name, r));
            }
            case MEMSET -> new ActivityRecord(memory(Kind.FILL, "Memset (Device)", r));
            case DRIVER -> {
                String name = Cupti.callName(r.get(JAVA_INT_UNALIGNED, 4));
                boolean graph = name.startsWith("cuGraphLaunch");
                yield new ActivityRecord(new DeviceSpan(
                        graph ? Kind.GRAPH_LAUNCH : Kind.CALL,
                        graph ? GRAPH_LAUNCH : name,
                        r.get(JAVA_LONG_UNALIGNED, 8),
                        r.get(JAVA_LONG_UNALIGNED, 16),
                        -1,
                        0,
                        r.get(JAVA_INT_UNALIGNED, 32),
                        NONE,
                        NONE,
                        0,
                        0,
                        0));
            }
            default -> null;
        };
    }

    private static DeviceSpan kernel(MemorySegment r) {
        return new DeviceSpan(
                Kind.KERNEL,
                r.get(ADDRESS.withByteAlignment(1), 104).reinterpret(NAME_BYTES).getString(0),
                r.get(JAVA_LONG_UNALIGNED, 16),
                r.get(JAVA_LONG_UNALIGNED, 24),
                r.get(JAVA_INT_UNALIGNED, 40),
                r.get(JAVA_INT_UNALIGNED, 48),
                r.get(JAVA_INT_UNALIGNED, 92),
                three(r, 52),
                three(r, 64),
                r.get(JAVA_SHORT, 6),
                r.get(JAVA_INT_UNALIGNED, 76) + r.get(JAVA_INT_UNALIGNED, 80),
                0);
    }

    private static DeviceSpan memory(Kind kind, String name, MemorySegment r) {
        return new DeviceSpan(
                kind,
                name,
                r.get(JAVA_LONG_UNALIGNED, 16),
                r.get(JAVA_LONG_UNALIGNED, 24),
                r.get(JAVA_INT_UNALIGNED, 32),
                r.get(JAVA_INT_UNALIGNED, 40),
                r.get(JAVA_INT_UNALIGNED, 44),
                NONE,
                NONE,
                0,
                0,
                r.get(JAVA_LONG_UNALIGNED, 8));
    }

    private static int[] three(MemorySegment r, long at) {
        return new int[] {
            r.get(JAVA_INT_UNALIGNED, at), r.get(JAVA_INT_UNALIGNED, at + 4), r.get(JAVA_INT_UNALIGNED, at + 8)
        };
    }

    /** What a GPU did, and the calls that queued it. */
    static List<ActivityRecord> of(int device, List<ActivityRecord> all) {
        Set<Integer> correlations = new HashSet<>();
        for (ActivityRecord record : all) {
            if (record.span.device() == device) {
                correlations.add(record.span.correlation());
            }
        }
        List<ActivityRecord> own = new ArrayList<>();
        for (ActivityRecord record : all) {
            boolean queues = record.span.kind().isCall() && correlations.contains(record.span.correlation());
            if (record.span.device() == device || queues) {
                own.add(record);
            }
        }
        return own;
    }
}
