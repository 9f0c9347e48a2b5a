package dev.baton.engine.parallel;

import dev.baton.tensor.Device;
import dev.baton.tensor.parallel.Communicator;
import dev.baton.tensor.parallel.LocalCommunicator;
import java.time.Duration;
import java.util.List;

/** Joins a rank to its group; called on the rank's own thread, on all ranks at about the same time. */
@FunctionalInterface
public interface CommunicatorSupplier {
    Communicator join(int rank, Device device);

    /**
     * Ranks that are threads of this JVM.
     *
     * @param deadline how long a rank waits for the others in one collective
     */
    static CommunicatorSupplier local(int ranks, Duration deadline) {
        List<Communicator> group = LocalCommunicator.group(ranks, deadline);
        return (rank, device) -> group.get(rank);
    }
}
