package dev.baton.engine.disagg;

import dev.baton.engine.schedule.Request;
import dev.baton.protocol.FinishReason;
import org.jspecify.annotations.Nullable;

/** What a client is told when its transfer failed, in SGLang's words. */
final class TransferFailure {
    private TransferFailure() {}

    /** @param what e.g. {@code Decode transfer failed} */
    static FinishReason of(String what, int dpRank, Request request, @Nullable String reason) {
        long room = Rooms.of(request).room();
        return new FinishReason.Abort(
                what + " for request rank=" + dpRank + " req.rid=" + request.rid() + " req.bootstrap_room=" + room
                        + " with exception KVTransferError(bootstrap_room=" + room + "): " + reason,
                500,
                "InternalServerError");
    }

    /** The room cannot be used: the request is wrong. */
    static FinishReason refused(String message) {
        return new FinishReason.Abort(message, 400, "BadRequestError");
    }
}
