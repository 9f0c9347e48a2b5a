package dev.baton.trace.write;

import dev.baton.trace.RankCoordinates;
import java.util.Map;

/**
 * What a trace file says besides its events.
 *
 * @param rank where the rank stands
 * @param processName shown by viewers, e.g. {@code baton::scheduler_DP0_TP0}
 * @param processId of the server
 * @param threadNames name of each thread id
 * @param recordShapes whether operators carry their shapes
 * @param hostName of this machine
 * @param epochNanos wall clock at {@code anchorNanos}
 * @param anchorNanos {@link System#nanoTime} at {@code epochNanos}
 * @param rehearsal what of the times was modelled; empty for nothing
 */
public record TraceHeader(
        RankCoordinates rank,
        String processName,
        long processId,
        Map<Long, String> threadNames,
        boolean recordShapes,
        String hostName,
        long epochNanos,
        long anchorNanos,
        String rehearsal) {
    /** Nothing was modelled. */
    public TraceHeader(
            RankCoordinates rank,
            String processName,
            long processId,
            Map<Long, String> threadNames,
            boolean recordShapes,
            String hostName,
            long epochNanos,
            long anchorNanos) {
        this(rank, processName, processId, threadNames, recordShapes, hostName, epochNanos, anchorNanos, "");
    }

    public TraceHeader {
        threadNames = Map.copyOf(threadNames);
    }
}
