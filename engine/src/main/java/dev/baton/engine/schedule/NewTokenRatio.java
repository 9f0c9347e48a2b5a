package dev.baton.engine.schedule;

import java.util.List;

/**
 * The share of their remaining tokens that running requests are expected to need: what admission keeps free for them.
 * Starts at 0.7 times the conservativeness, falls over 600 decode steps to 0.14 of that, rises when a retraction has
 * shown it to be too low.
 */
final class NewTokenRatio {
    private static final double INITIAL = 0.7;
    private static final double LEAST_SHARE = 0.14;
    private static final int DECAY_STEPS = 600;
    /** Decode steps that a batch should be able to go on for after a retraction. */
    private static final int RETRACT_DECODE_STEPS = 20;
    /** No request is expected to write more than this at once. */
    static final int CLIP_NEW_TOKENS = 4096;

    private final double initial;
    private final double least;
    private double value;

    NewTokenRatio(double conservativeness) {
        initial = Math.min(INITIAL * conservativeness, 1);
        least = initial * LEAST_SHARE;
        value = initial;
    }

    double value() {
        return value;
    }

    /** After a decode step without retraction. */
    void decay() {
        value = Math.max(value - (initial - least) / DECAY_STEPS, least);
    }

    /** When nothing runs. */
    void reset() {
        value = initial;
    }

    /** After a retraction, from the requests that still run. */
    void raise(List<Request> running) {
        long generated = 0;
        long wanted = 0;
        for (Request request : running) {
            generated += request.generated();
            wanted += request.sampling.maxNewTokens();
        }
        value = Math.min(1, (generated + (double) RETRACT_DECODE_STEPS * running.size()) / (wanted + 1));
    }

    /** Tokens that the request may still need. */
    static int estimate(Request request) {
        return Math.min(request.remaining(), CLIP_NEW_TOKENS);
    }
}
