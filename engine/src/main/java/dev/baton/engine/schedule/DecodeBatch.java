package dev.baton.engine.schedule;

import dev.baton.protocol.FinishReason;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The running batch: who takes part in the next decode step, and who must go when memory runs out. */
final class DecodeBatch {
    /** Most generated tokens first, then shortest prompt: the victim is the last one. */
    private static final Comparator<Request> KEEP_FIRST = Comparator.comparingInt((Request r) -> -r.generated())
            .thenComparingInt(Request::promptTokens)
            .thenComparingLong(r -> r.arrival);

    private final KvSpace space;
    private final int microBatches;
    private final int most;
    private final List<Request> running = new ArrayList<>();
    private final List<Request> next = new ArrayList<>();
    private boolean stale;

    /**
     * @param microBatches decode steps that may be in flight at once, each with requests of its own; 1: the next step is
     *     planned from the one that runs
     * @param most requests of one step
     */
    DecodeBatch(KvSpace space, int microBatches, int most) {
        this.space = space;
        this.microBatches = microBatches;
        this.most = most;
    }

    /** Those that ended since the last {@link #compact} included. */
    List<Request> running() {
        return running;
    }

    void add(Request r) {
        r.phase = Request.Phase.RUNNING;
        running.add(r);
    }

    /** A running request has ended. */
    void ended() {
        stale = true;
    }

    /** Drops the requests that do not run any more. */
    void compact() {
        if (stale) {
            running.removeIf(r -> r.phase != Request.Phase.RUNNING);
            stale = false;
        }
    }

    /**
     * Requests that take part in the next step; valid until the next call. In a pipeline those whose tokens are all known,
     * at most an even share of all that run, those first that have waited longest: as many such steps as there are
     * micro-batches take up everybody, and a step that has become small fills up by itself.
     */
    List<Request> candidates() {
        int share = (running.size() + microBatches - 1) / microBatches;
        return microBatches == 1 ? ready(most) : ready(Math.min(share, most));
    }

    private List<Request> ready(int limit) {
        next.clear();
        for (int i = 0; i < running.size() && next.size() < limit; i++) {
            Request r = running.get(i);
            if (r.canDecode() && (microBatches == 1 || r.inFlight == 0)) {
                next.add(r);
            }
        }
        return next;
    }

    /** The step of these {@link #candidates} is launched: the others come first now. */
    void launched(List<Request> batch) {
        if (batch.size() == running.size()) {
            return;
        }
        List<Request> taken = List.copyOf(batch);
        List<Request> order = new ArrayList<>(running.size());
        int t = 0;
        for (Request r : running) {
            if (t < taken.size() && r == taken.get(t)) {
                t++;
            } else {
                order.add(r);
            }
        }
        order.addAll(taken);
        running.clear();
        running.addAll(order);
    }

    /** Whether every request of the batch can have its next slot, after evicting. */
    boolean fits(List<Request> batch) {
        int pages = 0;
        for (int i = 0; i < batch.size(); i++) {
            if (space.needsPage(batch.get(i))) {
                pages++;
            }
        }
        return space.shortPages(pages) == 0;
    }

    /**
     * Chooses victims until the rest fits: fewest generated tokens first, then the longest prompt. No step may be in
     * flight.
     *
     * @param release frees a victim's memory and sends it back
     * @return the victims
     */
    List<Request> retract(java.util.function.Consumer<Request> release) {
        List<Request> ordered = new ArrayList<>(ready(Integer.MAX_VALUE));
        ordered.sort(KEEP_FIRST);
        List<Request> victims = new ArrayList<>();
        while (ordered.size() > 1 && !fits(ordered)) {
            Request victim = ordered.removeLast();
            release.accept(victim);
            victims.add(victim);
        }
        if (!victims.isEmpty()) {
            stale = true;
            compact();
        }
        return victims;
    }

    /** What a request is told that cannot go on although it is alone. */
    static FinishReason noSpace(@Nullable String holders) {
        return new FinishReason.Abort(
                "The KV cache is full: no space is left for the only running request"
                        + (holders == null ? "" : " beside " + holders)
                        + "; raise --max-total-tokens.",
                500,
                "InternalServerError");
    }
}
