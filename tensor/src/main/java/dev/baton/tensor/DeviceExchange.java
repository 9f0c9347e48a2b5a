package dev.baton.tensor;

/**
 * A device's memory as other threads and other processes of this host see it, for bytes that move beside the rank's own
 * work: pages of a KV cache. Lives as long as its device.
 */
public interface DeviceExchange {
    /** The mark that is always passed. */
    long NOTHING = 0;

    /** Marks what the rank has queued so far. On the rank's thread. */
    long mark();

    /**
     * Whether the device has done everything that was queued before a mark. Any thread.
     *
     * @throws TensorException FAULT when the device is closed
     */
    boolean hasPassed(long mark);

    /**
     * How another process of this host can open memory of this device. On the rank's thread.
     *
     * @param allocation what {@link Device#allocate} returned, at least 2 MiB of it
     * @throws TensorException UNAVAILABLE when the device cannot share memory
     */
    SharedDeviceMemory share(Tensor allocation);

    /**
     * A mover of its own for whoever calls. Its work runs beside the rank's.
     *
     * @throws TensorException UNAVAILABLE when the device cannot be opened
     */
    PageMover mover();
}
