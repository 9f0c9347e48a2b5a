package dev.baton.engine.disagg;

import dev.baton.engine.disagg.transfer.FakeTransfer;
import dev.baton.engine.request.EngineRequest.Bootstrap;
import dev.baton.engine.schedule.Request;
import java.util.Objects;

/** The rooms of requests. */
final class Rooms {
    /** What an aborted request tells the other side. */
    static final String ABORTED = "Aborted by AbortReq.";

    private Rooms() {}

    static Bootstrap of(Request request) {
        return Objects.requireNonNull(request.source().bootstrap(), "a request of a role has a bootstrap room");
    }

    /** No other server takes part: warm-up and health checks. */
    static boolean isFake(Bootstrap bootstrap) {
        return bootstrap.host().equals(FakeTransfer.HOST);
    }

    /** Pages of the first {@code tokens} positions from {@code firstPage} on, given every position's slot. */
    static int[] pages(Request request, int firstPage, int tokens, int pageTokens) {
        int first = firstPage * pageTokens;
        if (tokens <= first) {
            return new int[0];
        }
        int[] slots = request.slots(first, tokens);
        int[] pages = new int[(slots.length + pageTokens - 1) / pageTokens];
        for (int i = 0; i < pages.length; i++) {
            pages[i] = slots[i * pageTokens] / pageTokens;
        }
        return pages;
    }
}
