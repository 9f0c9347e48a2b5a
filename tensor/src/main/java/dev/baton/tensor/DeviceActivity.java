package dev.baton.tensor;

import java.util.List;

/** Records what a device does beside what the host sees. Called on the device's thread. */
public interface DeviceActivity {
    /**
     * Begins to record.
     *
     * @throws TensorException UNAVAILABLE when a library is missing, with the remedy
     */
    void start();

    /** Waits for what is queued and ends it: what the device did since {@link #start}. */
    List<DeviceSpan> stop();

    /** Opens or closes the range that an outside profiler waits for ({@code nsys --capture-range=cudaProfilerApi}). */
    void outsideProfiler(boolean on);
}
