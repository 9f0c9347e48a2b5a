package dev.baton.trace.read;

import java.nio.file.Path;
import java.util.List;

/**
 * One rank's part of a trace file.
 *
 * @param file it came from
 * @param label which part of a merged file, e.g. {@code TP00-DP01}; empty for a file of one rank
 * @param info what the file says of itself
 * @param events in file order
 * @param uncompressedBytes length of the whole file as JSON
 * @param notes what a reader must know: what was damaged, left out, guessed
 */
public record Trace(
        Path file, String label, TraceInfo info, Events events, long uncompressedBytes, List<String> notes) {
    public Trace {
        notes = List.copyOf(notes);
    }

    /** Whether there is any work of a device in it. */
    public boolean hasDeviceWork() {
        for (int i = 0; i < events.size(); i++) {
            if (events.kind(i).isDeviceWork()) {
                return true;
            }
        }
        return false;
    }

    /** How reports name it: the file's name, with the part of a merged file. */
    public String displayName() {
        return file.getFileName() + (label.isEmpty() ? "" : " [" + label + "]");
    }
}
