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
     * A pipeline stage of a prefill group.
     *
     * @param layers that it holds
     * @param ranks address of tensor-parallel rank 0, 1, ... of the stage; may be the same
     */
    record Stage(LayerRange layers, List<InetSocketAddress> ranks) {
        public Stage {
            ranks = List.copyOf(ranks);
            if (ranks.isEmpty()) {
                throw new IllegalArgumentException("a prefill stage has at least one rank");
            }
        }
    }

    /**
     * @param stages in their order; ranks are numbered stage by stage
     */
    record Group(List<Stage> stages) {
        public Group {
            stages = List.copyOf(stages);
            if (stages.isEmpty()) {
                throw new IllegalArgumentException("a prefill group has at least one stage");
            }
        }

        /** A group without a pipeline: each rank holds every layer. */
        public static Group oneStage(List<InetSocketAddress> ranks) {
            return new Group(List.of(new Stage(LayerRange.ALL, ranks)));
        }

        /** Address of rank 0, 1, ... */
        public List<InetSocketAddress> ranks() {
            return stages.stream().flatMap(stage -> stage.ranks().stream()).toList();
        }
    }
}
