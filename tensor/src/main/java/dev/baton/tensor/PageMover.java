package dev.baton.tensor;

import java.lang.foreign.MemorySegment;

/**
 * Copies pages between memories that a device reaches: its own, what other processes or devices of this host share, and
 * its {@link #hostBuffer}. Copies are queued and run beside the rank's work, in any order among each other. Used by one
 * platform thread at a time.
 */
public interface PageMover extends AutoCloseable {
    /**
     * Makes shared memory reachable until {@link #close}. The segment carries an address alone and must not be read on the
     * host.
     *
     * @throws TensorException UNAVAILABLE with the driver's reason when it cannot be opened here
     */
    MemorySegment open(SharedDeviceMemory peer);

    /** Host memory that the device reaches; freed by {@link #close}. It may be read or reused after {@link #finish}. */
    MemorySegment hostBuffer(long bytes);

    /** Page numbers of both sides, for any number of {@link #move moves}; the arrays must not change any more. */
    interface PageList {
        int count();
    }

    /**
     * Which pages are meant.
     *
     * @param from n page numbers
     * @param to n page numbers
     */
    PageList pages(int[] from, int[] to);

    /**
     * Queues copies: the i-th page of {@code from[b]} becomes the i-th page of {@code to[b]}, for every i and b.
     *
     * @param pages of this mover
     * @param from n memories
     * @param to n memories
     */
    void move(PageShape shape, PageList pages, MemorySegment[] from, MemorySegment[] to);

    /** Marks what is queued so far, for {@link #hasPassed}; marks grow. */
    long mark();

    /**
     * Whether everything that was queued before a mark has been done, for whoever reads the memories afterwards.
     *
     * @throws TensorException FAULT when the device reported an error
     */
    boolean hasPassed(long mark);

    /**
     * Waits until everything queued has been done.
     *
     * @throws TensorException FAULT when the device reported an error
     */
    void finish();

    /** Waits for what is queued, gives opened memory back and frees the host buffers. */
    @Override
    void close();
}
