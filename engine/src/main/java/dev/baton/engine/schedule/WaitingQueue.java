package dev.baton.engine.schedule;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.function.Predicate;
import java.util.function.ToIntFunction;

/** Requests that hold nothing and wait for prefill. Its length is bounded by the limit on submission. */
final class WaitingQueue {
    /** Above this many waiting requests LPM takes them in order of arrival: ordering costs a match each. */
    static final int LPM_LIMIT = 128;

    private final ArrayDeque<Request> queue = new ArrayDeque<>();
    private long tokens;

    int size() {
        return queue.size();
    }

    boolean isEmpty() {
        return queue.isEmpty();
    }

    /** Prompt and output tokens of the waiting requests. */
    long tokens() {
        return tokens;
    }

    void add(Request request) {
        request.phase = Request.Phase.WAITING;
        queue.addLast(request);
        tokens += request.known;
    }

    /** Puts retracted requests before all others: they have been served already. */
    void addFirst(Request request) {
        request.phase = Request.Phase.WAITING;
        queue.addFirst(request);
        tokens += request.known;
    }

    void remove(Request request) {
        if (request == queue.peekFirst()) {
            queue.pollFirst();
            tokens -= request.known;
        } else if (queue.remove(request)) {
            tokens -= request.known;
        }
    }

    /** The requests that fulfil the condition, in order; they stay. */
    List<Request> where(Predicate<Request> condition) {
        List<Request> found = new ArrayList<>();
        for (Request request : queue) {
            if (condition.test(request)) {
                found.add(request);
            }
        }
        return found;
    }

    /** In the order of the queue. */
    Iterable<Request> inOrder() {
        return queue;
    }

    /** Most cached tokens first, ties in the order of the queue. */
    List<Request> byMatch(ToIntFunction<Request> matchedTokens) {
        record Ranked(Request request, int tokens) {}
        List<Ranked> ranked = new ArrayList<>(queue.size());
        for (Request request : queue) {
            ranked.add(new Ranked(request, matchedTokens.applyAsInt(request)));
        }
        ranked.sort(Comparator.comparingInt(r -> -r.tokens));
        return ranked.stream().map(Ranked::request).toList();
    }
}
