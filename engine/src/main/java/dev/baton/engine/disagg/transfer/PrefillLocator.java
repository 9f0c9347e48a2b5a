package dev.baton.engine.disagg.transfer;

import dev.baton.engine.request.EngineRequest.Bootstrap;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.List;

/** Finds the ranks of the prefill group that serves a room. */
public interface PrefillLocator extends AutoCloseable {
    /**
     * May block, up to the deadline that the locator was made with.
     *
     * @throws IOException when the bootstrap server cannot be reached or does not know the prefill server
     */
    Group locate(Bootstrap bootstrap) throws IOException, InterruptedException;

    /** A connection to this server was lost: the next {@link #locate} asks again. */
    default void forget(Bootstrap bootstrap) {}

    @Override
    default void close() {}

    /**
     * @param ranks address of tensor-parallel rank 0, 1, ... of the group; may be the same
     */
    record Group(List<InetSocketAddress> ranks) {
        public Group {
            ranks = List.copyOf(ranks);
            if (ranks.isEmpty()) {
                throw new IllegalArgumentException("a prefill group has at least one rank");
            }
        }
    }
}
