package dev.baton.engine.schedule;

import dev.baton.protocol.FinishReason;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;

/**
 * The requests of one scheduler from their entry to their end, and those past it whose memory is not free yet. On the
 * scheduler's thread.
 */
final class LiveRequests {
    private final KvSpace space;
    private final WaitingQueue waiting;
    private final DecodeBatch decode;
    private final Admission admission;
    private final Results results;
    private final Consumer<Request> ended;

    private final Set<Request> live = new LinkedHashSet<>();
    /** Requests that have ended and keep their memory until the steps planned for them have run. */
    private final Set<Request> parted = new LinkedHashSet<>();
    /** Requests that have not been admitted for the first time; submitting threads share the limit. */
    private final AtomicInteger queued;
    /** Requests in phase PREFILLED or ROLE that hold a row. */
    private int heldRows;

    private boolean writtenFromOutside;
    private boolean moved;

    /**
     * @param queued raised before a request enters
     * @param ended told of each request that has ended
     */
    LiveRequests(
            KvSpace space,
            WaitingQueue waiting,
            DecodeBatch decode,
            Admission admission,
            Results results,
            AtomicInteger queued,
            Consumer<Request> ended) {
        this.space = space;
        this.waiting = waiting;
        this.decode = decode;
        this.admission = admission;
        this.results = results;
        this.queued = queued;
        this.ended = ended;
    }

    /** Others than the steps write slots, too: a decode server's, which pages arrive in. */
    void slotsAreWrittenFromOutside() {
        writtenFromOutside = true;
    }

    void enter(Request r) {
        live.add(r);
        moved = true;
    }

    /** Those that {@link Request#askToAbort} was called for. */
    List<Request> askedToAbort() {
        List<Request> asked = new ArrayList<>();
        for (Request r : live) {
            if (r.abortAsked()) {
                asked.add(r);
            }
        }
        return asked;
    }

    /** All that have not ended. */
    List<Request> all() {
        return List.copyOf(live);
    }

    /** No request lives and none that has ended still holds memory. */
    boolean isIdle() {
        return live.isEmpty() && parted.isEmpty() && heldRows == 0;
    }

    /** The request is no longer queued. */
    void leaveQueue(Request r) {
        if (r.queued) {
            r.queued = false;
            queued.decrementAndGet();
        }
    }

    /** Something changed outside of a step's results: figures and outputs are to be handed on. */
    void moved() {
        moved = true;
    }

    /** Whether {@link #moved} was called since the last call. */
    boolean takeMoved() {
        boolean was = moved;
        moved = false;
        return was;
    }

    /** Requests that hold a row and do not run. */
    int heldRows() {
        return heldRows;
    }

    void holdsRow() {
        heldRows++;
    }

    void givesRow() {
        heldRows--;
    }

    /** Ends a request that is not the role's. */
    void end(Request r, FinishReason reason) {
        if (r.phase == Request.Phase.WAITING) {
            waiting.remove(r);
        } else if (r == admission.chunked()) {
            admission.dropChunked();
        }
        decode.ended();
        free(r);
        tellEnd(r, reason);
    }

    /** Tells a request's end; its memory is another matter. */
    void tellEnd(Request r, FinishReason reason) {
        r.phase = Request.Phase.FINISHED;
        live.remove(r);
        leaveQueue(r);
        results.tellEnd(r, reason);
        ended.accept(r);
    }

    /**
     * Gives the request's memory back. Slots may be taken over at once by a later step, because steps run in order; but
     * where slots are also written from outside, they wait until no step that was planned before can write to them any
     * more.
     */
    void free(Request r) {
        if (r.pendingSteps > 0 && writtenFromOutside) {
            parted.add(r);
        } else {
            space.release(r, !r.awaitsKv);
            admission.released();
        }
    }

    /** A step planned for an ended request has run. */
    void stepBehindEnd(Request r) {
        if (r.pendingSteps == 0 && parted.remove(r)) {
            space.release(r, true);
            admission.released();
        }
    }
}
