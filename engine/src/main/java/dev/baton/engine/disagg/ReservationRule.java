package dev.baton.engine.disagg;

import dev.baton.engine.schedule.Request;
import dev.baton.engine.schedule.SchedulerPort;
import java.util.List;

/**
 * When a decode server lets a new request in: so much stays free that every request that it holds can write
 * {@code reservedTokens} more, and that the one with the longest way to go could finish if all others gave up their
 * memory. SGLang's rule, with one repair: where nothing else holds memory, a request that fits at all is let in, so
 * that a reservation larger than the pool does not make it wait for ever.
 *
 * @param reservedTokens kept free for each request
 * @param clipNewTokens most output tokens that are counted for one request
 */
record ReservationRule(int reservedTokens, int clipNewTokens) {
    /**
     * Requests that hold memory beside the running ones.
     *
     * @param transferring whose KV is on its way
     * @param draining that have ended but whose memory is not free yet
     */
    record Demand(int transferring, int draining) {}

    /** What a new request takes from the allocatable tokens. */
    long need(Request request) {
        return (long) request.promptTokens() + reservedTokens;
    }

    /** Tokens that new requests may take. */
    long allocatable(Demand demand, SchedulerPort scheduler) {
        List<Request> running = scheduler.running();
        long retractable = retractable(running);
        long oneToFinish = 0;
        for (Request request : running) {
            oneToFinish = Math.max(oneToFinish, newTokens(request) + request.promptTokens() - retractable);
        }
        long requests = (long) running.size() + demand.transferring() + scheduler.waitingRequests();
        return scheduler.availableTokens() - Math.max(reservedTokens * requests, oneToFinish);
    }

    /** @param allocatable what is left of {@link #allocatable} */
    boolean mayReserve(Request request, long allocatable, Demand demand, SchedulerPort scheduler) {
        if (isAlone(demand, scheduler)) {
            return request.promptTokens() < scheduler.availableTokens();
        }
        long worst = request.promptTokens() + newTokens(request) - retractable(scheduler.running());
        return Math.max(need(request), worst) <= allocatable;
    }

    /** Whether a retracted request may have its memory again. */
    boolean mayResume(Request request, Demand demand, SchedulerPort scheduler) {
        long tokens = (long) request.promptTokens() + request.generated();
        if (isAlone(demand, scheduler)) {
            return tokens <= scheduler.availableTokens();
        }
        long requests = (long) scheduler.running().size() + demand.transferring();
        return tokens + reservedTokens <= scheduler.availableTokens() - reservedTokens * requests;
    }

    private static boolean isAlone(Demand demand, SchedulerPort scheduler) {
        return scheduler.running().isEmpty() && demand.transferring() == 0 && demand.draining() == 0;
    }

    private long newTokens(Request request) {
        return Math.min(request.sampling().maxNewTokens(), clipNewTokens);
    }

    private static long retractable(List<Request> running) {
        long sum = 0;
        for (Request request : running) {
            sum += request.promptTokens() + request.generated();
        }
        return sum;
    }
}
