package dev.baton.engine.parallel;

import dev.baton.tensor.Device;

/** Opens a rank's device; called on the rank's own thread, which owns the device from then on. */
@FunctionalInterface
public interface DeviceSupplier {
    /**
     * @param rank 0 to ranks - 1
     * @param ranks ranks of the group
     */
    Device open(int rank, int ranks);
}
