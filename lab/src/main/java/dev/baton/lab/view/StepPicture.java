package dev.baton.lab.view;

import dev.baton.trace.analyse.RankAnalysis;
import dev.baton.trace.classify.KernelClass;
import dev.baton.trace.read.Events;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * A stretch of one rank's step as blocks that a screen can show: work shorter than a block's width is drawn together with
 * its neighbours, so the picture's size depends on the screen and not on the trace.
 */
final class StepPicture {
    /** Lanes of a rank: what computes, what communicates. */
    static final int LANES = 2;

    private static final int CLASSES = KernelClass.values().length;

    private StepPicture() {}

    /**
     * Neighbouring work of one lane.
     *
     * @param startNanos first start
     * @param endNanos last end
     * @param busyNanos sum of its durations, at most the block's length
     * @param kernelClass of most of its time
     * @param longestEvent index into the rank's events
     * @param count of its events
     */
    record Block(
            long startNanos, long endNanos, long busyNanos, KernelClass kernelClass, int longestEvent, int count) {}

    /** Which lane work is drawn in. */
    static int lane(KernelClass kernelClass) {
        return kernelClass.isCommunication() ? 1 : 0;
    }

    /**
     * The blocks of one lane.
     *
     * @param step index of the rank's step
     * @param from first instant shown, in nanoseconds of the rank's trace
     * @param to end of what is shown
     * @param most blocks wanted; up to four times as many come where streams run side by side
     */
    static List<Block> lane(RankAnalysis rank, int step, int lane, long from, long to, int most) {
        Events e = rank.work().trace().events();
        int[] events = rank.steps().get(step).step().events();
        long width = Math.max(1, (to - from) / most);
        while (true) {
            Builder builder = new Builder(rank, width);
            for (int event : events) {
                if (e.startNanos(event) > to || builder.blocks.size() > 4 * most) {
                    break;
                }
                if (e.endNanos(event) >= from && lane(rank.classOf(event)) == lane) {
                    builder.add(event);
                }
            }
            builder.close();
            if (builder.blocks.size() <= 4 * most) {
                return builder.blocks;
            }
            width *= 4;
        }
    }

    /** Collects work by start: long work stands alone, short work is joined up to the width of a block. */
    private static final class Builder {
        final List<Block> blocks = new ArrayList<>();
        private final RankAnalysis rank;
        private final Events events;
        private final long width;
        private final long[] byClass = new long[CLASSES];
        private int longest = -1;
        private int count;
        private long start;
        private long end;

        Builder(RankAnalysis rank, long width) {
            this.rank = rank;
            this.events = rank.work().trace().events();
            this.width = width;
        }

        void add(int event) {
            long duration = events.durationNanos(event);
            if (duration >= width) {
                close();
                blocks.add(new Block(
                        events.startNanos(event), events.endNanos(event), duration, rank.classOf(event), event, 1));
                return;
            }
            if (count > 0 && events.endNanos(event) - start > width) {
                close();
            }
            if (count == 0) {
                start = events.startNanos(event);
                end = start;
            }
            end = Math.max(end, events.endNanos(event));
            byClass[rank.classOf(event).ordinal()] += duration;
            longest = longest < 0 || duration > events.durationNanos(longest) ? event : longest;
            count++;
        }

        void close() {
            if (count == 0) {
                return;
            }
            int most = 0;
            long sum = 0;
            for (int c = 0; c < CLASSES; c++) {
                most = byClass[c] > byClass[most] ? c : most;
                sum += byClass[c];
            }
            KernelClass kernelClass = sum == 0 ? rank.classOf(longest) : KernelClass.values()[most];
            blocks.add(new Block(start, end, Math.min(sum, end - start), kernelClass, longest, count));
            Arrays.fill(byClass, 0);
            longest = -1;
            count = 0;
        }
    }

    /** The shortest work of a lane within {@code slack} of an instant; -1 when there is none. */
    static int eventAt(RankAnalysis rank, int step, int lane, long nanos, long slack) {
        Events e = rank.work().trace().events();
        int best = -1;
        for (int event : rank.steps().get(step).step().events()) {
            if (e.startNanos(event) > nanos + slack) {
                break;
            }
            boolean isThere = e.endNanos(event) >= nanos - slack && lane(rank.classOf(event)) == lane;
            if (isThere && (best < 0 || isNearer(e, event, best, nanos))) {
                best = event;
            }
        }
        return best;
    }

    /** Work under the instant comes before work beside it, then the shorter. */
    private static boolean isNearer(Events e, int event, int best, long nanos) {
        boolean isUnder = e.startNanos(event) <= nanos && nanos <= e.endNanos(event);
        boolean bestIsUnder = e.startNanos(best) <= nanos && nanos <= e.endNanos(best);
        return isUnder == bestIsUnder ? e.durationNanos(event) < e.durationNanos(best) : isUnder;
    }

    /** How many launches of the event's kernel come before it in the step. */
    static int occurrence(RankAnalysis rank, int step, int event) {
        Events e = rank.work().trace().events();
        int before = 0;
        for (int other : rank.steps().get(step).step().events()) {
            if (other == event) {
                return before;
            }
            before += e.nameId(other) == e.nameId(event) ? 1 : 0;
        }
        return -1;
    }

    /** The launch of that number of a kernel in the step; -1 when there is none. */
    static int launch(RankAnalysis rank, int step, int nameId, int occurrence) {
        Events e = rank.work().trace().events();
        int left = occurrence;
        for (int event : rank.steps().get(step).step().events()) {
            if (e.nameId(event) == nameId && left-- == 0) {
                return event;
            }
        }
        return -1;
    }

    /** The id of a name in the rank's trace; -1 when it does not occur. */
    static int nameId(RankAnalysis rank, String name) {
        Events e = rank.work().trace().events();
        for (int id = 0; id < e.names().size(); id++) {
            if (e.names().name(id).equals(name)) {
                return id;
            }
        }
        return -1;
    }
}
