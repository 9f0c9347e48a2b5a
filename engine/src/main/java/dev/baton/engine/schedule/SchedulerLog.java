package dev.baton.engine.schedule;

import dev.baton.protocol.log.DecodeLine;
import dev.baton.protocol.log.LogPrefix;
import dev.baton.protocol.log.PrefillLine;
import dev.baton.protocol.log.RankLabel;
import dev.baton.protocol.log.RetractLine;
import dev.baton.protocol.log.SleepLine;
import java.lang.System.Logger;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** The lines of one rank's scheduler, in SGLang's form, and the figures that stand in them. */
public final class SchedulerLog {
    private final Consumer<String> lines;
    private final RankLabel label;
    private final boolean cuda;
    private final int decodeInterval;

    private long decodeSteps;
    private long generatedSinceLine;
    private long generatedBefore;
    private long lastDecodeNanos = System.nanoTime();
    private double lastThroughput;
    private long lastPrefillTokens;
    private long lastPrefillNanos = lastDecodeNanos;
    private double cacheHitRate;

    /** @param cuda whether the device's graphs are CUDA graphs */
    SchedulerLog(RankLabel label, boolean cuda, int decodeInterval, Consumer<String> lines) {
        this.label = label;
        this.cuda = cuda;
        this.decodeInterval = decodeInterval;
        this.lines = lines;
    }

    /** Hands lines to the logging system with time and rank before the message. */
    public static Consumer<String> toLogger() {
        Logger logger = System.getLogger(Scheduler.class.getName());
        return line -> logger.log(Logger.Level.INFO, line);
    }

    /** tokens/s of the last decode log interval. */
    double lastThroughput() {
        return lastThroughput;
    }

    /** Tokens of all decode steps so far. */
    long generatedTokens() {
        return generatedBefore + generatedSinceLine;
    }

    /** Cached over all prompt tokens of the last prefill step. */
    double cacheHitRate() {
        return cacheHitRate;
    }

    void prefill(Admission.Selection step, double usage, int running, int queued, RoleQueues role) {
        long now = System.nanoTime();
        int prompt = step.newTokens() + step.cachedTokens();
        cacheHitRate = prompt == 0 ? 0 : (double) step.cachedTokens() / prompt;
        PrefillLine.PrefillRole part = null;
        if ("prefill".equals(role.name())) {
            RoleQueues.Counts counts = role.counts();
            double seconds = Math.max(now - lastPrefillNanos, 1) / 1e9;
            part = new PrefillLine.PrefillRole(
                    counts.beforeWaiting(), counts.inTransfer(), lastPrefillTokens / seconds);
        }
        lastPrefillTokens = step.newTokens();
        lastPrefillNanos = now;
        print(new PrefillLine(
                        step.requests().size(), step.newTokens(), step.cachedTokens(), usage, running, queued, part)
                .format());
    }

    /** A decode step's result was applied. */
    void decode(int batch, int appended, KvSpace space, int waiting, RoleQueues role) {
        generatedSinceLine += appended;
        if (++decodeSteps % decodeInterval != 0) {
            return;
        }
        long now = System.nanoTime();
        lastThroughput = generatedSinceLine * 1e9 / Math.max(now - lastDecodeNanos, 1);
        generatedBefore += generatedSinceLine;
        generatedSinceLine = 0;
        lastDecodeNanos = now;
        // On a decode server only retracted requests wait.
        DecodeLine.DecodeRole part = decodeRole(space, waiting + role.retractedRequests(), role);
        print(new DecodeLine(
                        batch,
                        space.usedTokens(),
                        (double) space.usedTokens() / space.totalTokens(),
                        part,
                        cuda,
                        false,
                        lastThroughput,
                        part == null ? waiting : 0)
                .format());
    }

    private static DecodeLine.@Nullable DecodeRole decodeRole(KvSpace space, int retracted, RoleQueues role) {
        if (!"decode".equals(role.name())) {
            return null;
        }
        RoleQueues.Counts counts = role.counts();
        return new DecodeLine.DecodeRole(
                (double) counts.heldTokens() / space.totalTokens(),
                counts.beforeWaiting(),
                counts.inTransfer(),
                retracted);
    }

    void retract(int requests, double oldRatio, double newRatio) {
        print(new RetractLine(requests, oldRatio, newRatio).format());
    }

    void sleep(double seconds) {
        print(new SleepLine(seconds).format());
    }

    void print(String message) {
        lines.accept(LogPrefix.now(label).format() + message);
    }
}
