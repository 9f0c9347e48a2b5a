package dev.baton.trace.log;

import java.time.LocalDateTime;

/**
 * Something that happened at a moment.
 *
 * @param time local time of the server
 * @param rank label, {@code -} for the server itself
 * @param kind what
 * @param value seconds of a sleep, requests of a retraction; 0 for others
 */
public record LogEvent(LocalDateTime time, String rank, Kind kind, double value) {
    /** What a server says of itself between batches. */
    public enum Kind {
        READY,
        SLOW_DOWN,
        SLEEP,
        PROFILE_START,
        PROFILE_STOP,
        PROFILE_DONE,
        RETRACT
    }
}
