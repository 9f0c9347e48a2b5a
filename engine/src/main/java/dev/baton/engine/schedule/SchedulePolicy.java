package dev.baton.engine.schedule;

import dev.baton.engine.EngineException;
import java.util.Locale;

/** In which order waiting requests are taken. */
public enum SchedulePolicy {
    /** First come, first served. */
    FCFS,
    /** Longest cached prefix first; first come, first served while more than 128 wait. */
    LPM;

    /**
     * The policy of {@code --schedule-policy}.
     *
     * @throws EngineException CONFIGURATION naming the ones there are
     */
    public static SchedulePolicy of(String name) {
        for (SchedulePolicy policy : values()) {
            if (policy.name().toLowerCase(Locale.ROOT).equals(name)) {
                return policy;
            }
        }
        throw new EngineException(
                EngineException.Code.CONFIGURATION, "--schedule-policy must be fcfs or lpm, got " + name);
    }
}
