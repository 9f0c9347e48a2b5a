package dev.baton.tensor;

/** A point in a device's queue, set anew as often as wanted. Lives as long as its device; used by the device's thread. */
public interface DeviceMark {
    /** Puts the mark behind everything queued so far. */
    void set();

    /** Whether everything before the mark has been done. */
    boolean passed();

    /**
     * Waits until then.
     *
     * @throws TensorException FAULT when something before it has failed
     */
    void await();
}
