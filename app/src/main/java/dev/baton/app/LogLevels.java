package dev.baton.app;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import org.slf4j.LoggerFactory;

/** The level of Baton's own log lines. */
final class LogLevels {
    private LogLevels() {}

    /** @param level debug, info, warning or error; anything else is info */
    static void apply(String level) {
        if (LoggerFactory.getLogger("dev.baton") instanceof Logger logger) {
            logger.setLevel(Level.toLevel(level.equalsIgnoreCase("warning") ? "warn" : level, Level.INFO));
        }
    }
}
