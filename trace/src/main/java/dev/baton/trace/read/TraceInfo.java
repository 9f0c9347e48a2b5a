package dev.baton.trace.read;

import java.util.Map;

/**
 * What a trace file says of itself.
 *
 * @param rank in the world; -1 when the file does not say
 * @param worldSize ranks of the run; 0 when the file does not say
 * @param baseNanos what event times count from, Unix nanoseconds; 0 when they are absolute themselves
 * @param backend of the communication library; empty when the file does not say
 * @param hostName empty when the file does not say
 * @param devices name of each device index
 */
public record TraceInfo(
        int rank, int worldSize, long baseNanos, String backend, String hostName, Map<Integer, String> devices) {
    public TraceInfo {
        devices = Map.copyOf(devices);
    }
}
