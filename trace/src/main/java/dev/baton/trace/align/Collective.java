package dev.baton.trace.align;

import dev.baton.trace.classify.CollectiveKind;
import java.util.List;

/**
 * One exchange as its ranks saw it.
 *
 * @param name of the kernel
 * @param kind of exchange
 * @param index its place among all matched collectives, from 0
 * @param step number of the step on the first rank that has it, -1 for none
 * @param layer model layer, -1 when the trace shows none
 * @param calls of the ranks that have it, by rank order; at least two
 */
public record Collective(String name, CollectiveKind kind, int index, int step, int layer, List<Call> calls) {
    /**
     * One rank's part.
     *
     * @param rankIndex which of the analysed ranks
     * @param event index into that rank's events
     * @param startNanos Unix time, the clock's offset taken out where it was corrected
     * @param endNanos likewise
     */
    public record Call(int rankIndex, int event, long startNanos, long endNanos) {}

    public Collective {
        calls = List.copyOf(calls);
    }

    /** The call that began last: the rank all others wait for. */
    public Call last() {
        Call last = calls.getFirst();
        for (Call call : calls) {
            if (call.startNanos > last.startNanos) {
                last = call;
            }
        }
        return last;
    }

    /** From the first start to the last. */
    public long startSpreadNanos() {
        return last().startNanos
                - calls.stream().mapToLong(Call::startNanos).min().orElseThrow();
    }

    /** From the first end to the last. */
    public long endSpreadNanos() {
        return calls.stream().mapToLong(Call::endNanos).max().orElseThrow()
                - calls.stream().mapToLong(Call::endNanos).min().orElseThrow();
    }

    /** How much of a call passed before the last rank began: waiting, no transfer. */
    public long waitNanos(Call call) {
        return Math.max(0, Math.min(last().startNanos, call.endNanos) - call.startNanos);
    }

    /** What of a call is left after the wait: moving bytes. */
    public long transferNanos(Call call) {
        return call.endNanos - call.startNanos - waitNanos(call);
    }
}
