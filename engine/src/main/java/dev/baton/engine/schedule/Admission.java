package dev.baton.engine.schedule;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Decides what the next prefill step computes. A waiting request is taken when its prompt and the tokens that it may
 * write fit beside what the running requests are expected to need; a prompt longer than what is left of the step is cut
 * at a page boundary, and there is at most one such request at a time.
 */
final class Admission {
    /**
     * What one prefill step takes.
     *
     * @param requests whose positions up to {@code filled} are computed
     * @param from first position of each that is computed
     * @param newTokens sum of what is computed
     * @param cachedTokens sum of what was found in the prefix cache by requests that enter
     */
    record Selection(List<Request> requests, int[] from, int newTokens, int cachedTokens) {}

    private enum Verdict {
        TAKEN,
        /** Memory or rows are used up: nothing changes until something is given back. */
        FULL,
        /** This step's token budget is used up. */
        STEP_FULL
    }

    private final SchedulerConfig config;
    private final KvSpace space;
    private final WaitingQueue waiting;
    private final int runningLimit;
    /** Set when memory or rows ran out; cleared when any request gives something back. */
    private boolean full;

    private @Nullable Request chunked;

    // State of one selection.
    private final List<Request> taken = new ArrayList<>();
    private int[] from = new int[16];
    private long reservedTokens;
    private long inputLeft;
    private long chunkLeft;
    private int newTokens;
    private int cachedTokens;

    Admission(SchedulerConfig config, KvSpace space, WaitingQueue waiting, int runningLimit) {
        this.config = config;
        this.space = space;
        this.waiting = waiting;
        this.runningLimit = runningLimit;
    }

    /** Requests that may hold a row at once. */
    int runningLimit() {
        return runningLimit;
    }

    /** The request whose prompt is not computed to its end yet. */
    @Nullable
    Request chunked() {
        return chunked;
    }

    /** The chunked request ended or was retracted. */
    void dropChunked() {
        chunked = null;
    }

    /** Something was given back, so that waiting requests are looked at again. */
    void released() {
        full = false;
    }

    /**
     * Takes what fits; slots and rows are allocated when it returns.
     *
     * @param running requests in decode
     * @param held other requests that hold rows
     * @param ratio share of their remaining tokens that running requests will need
     * @return null when there is nothing to compute
     */
    @Nullable
    Selection select(List<Request> running, int held, double ratio) {
        if (chunked == null && (waiting.isEmpty() || full)) {
            return null;
        }
        begin(running, ratio);
        if (chunked != null && !takeChunk(chunked)) {
            return null;
        }
        if (!full && chunked == null) {
            takeWaiting(running.size() + held);
        }
        return taken.isEmpty() ? null : new Selection(List.copyOf(taken), from, newTokens, cachedTokens);
    }

    private void begin(List<Request> running, double ratio) {
        taken.clear();
        newTokens = 0;
        cachedTokens = 0;
        inputLeft = config.maxPrefillTokens();
        chunkLeft = config.chunkedPrefillTokens() < 0 ? Long.MAX_VALUE : config.chunkedPrefillTokens();
        double expected = 0;
        for (int i = 0; i < running.size(); i++) {
            expected += NewTokenRatio.estimate(running.get(i)) * ratio;
        }
        reservedTokens = (long) expected;
    }

    /** Goes on with the chunked request; false when there is no memory for it. */
    private boolean takeChunk(Request r) {
        int start = r.filled;
        int count = (int) Math.min(r.known - start, chunkLeft);
        if (!space.extend(r, start + count)) {
            return false;
        }
        add(r, start);
        if (r.filled == r.known) {
            chunked = null;
            reservedTokens += NewTokenRatio.estimate(r);
        }
        return true;
    }

    private void takeWaiting(int rowsInUse) {
        boolean ordered = config.policy() == SchedulePolicy.LPM && waiting.size() <= WaitingQueue.LPM_LIMIT;
        Iterable<Request> candidates = ordered ? waiting.byMatch(space::matchedTokens) : waiting.inOrder();
        int before = taken.size();
        for (Request r : candidates) {
            if (rowsInUse + taken.size() >= runningLimit || space.freeRows() == 0) {
                full = true;
                break;
            }
            Verdict verdict = take(r);
            full = verdict == Verdict.FULL;
            if (verdict != Verdict.TAKEN || chunked != null) {
                break;
            }
        }
        for (int i = before; i < taken.size(); i++) {
            waiting.remove(taken.get(i));
            taken.get(i).phase = taken.get(i) == chunked ? Request.Phase.CHUNKED : Request.Phase.RUNNING;
        }
    }

    private Verdict take(Request r) {
        if (chunkLeft < space.pageTokens() || inputLeft <= 0) {
            return Verdict.STEP_FULL;
        }
        int matched = space.enter(r);
        int extend = r.known - matched;
        long paged = roundUp(extend);
        long estimate = NewTokenRatio.estimate(r);
        if (extend + estimate >= space.availableTokens() - reservedTokens) {
            space.release(r, false);
            return Verdict.FULL;
        }
        if (paged > inputLeft && !taken.isEmpty()) {
            space.release(r, false);
            return Verdict.STEP_FULL;
        }
        int end = r.known;
        if (paged > chunkLeft) {
            end = matched + (int) (chunkLeft - chunkLeft % space.pageTokens());
        }
        if (!space.extend(r, end) || !space.takeRow(r)) {
            space.release(r, false);
            return Verdict.FULL;
        }
        if (end < r.known) {
            chunked = r;
        } else {
            reservedTokens += estimate;
        }
        cachedTokens += matched;
        if (r.cachedTokens < 0) {
            r.cachedTokens = matched;
        }
        add(r, matched);
        return Verdict.TAKEN;
    }

    private void add(Request r, int start) {
        if (taken.size() == from.length) {
            from = java.util.Arrays.copyOf(from, from.length * 2);
        }
        from[taken.size()] = start;
        taken.add(r);
        int count = r.filled - start;
        newTokens += count;
        long paged = roundUp(count);
        inputLeft -= paged;
        chunkLeft -= paged;
    }

    private long roundUp(int tokens) {
        int page = space.pageTokens();
        return (tokens + page - 1L) / page * page;
    }
}
