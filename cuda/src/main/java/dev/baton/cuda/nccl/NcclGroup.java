package dev.baton.cuda.nccl;

import dev.baton.cuda.driver.Gpu;
import dev.baton.tensor.TensorException;
import dev.baton.tensor.parallel.Communicator;
import dev.baton.tensor.parallel.LocalCommunicator;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.atomic.AtomicReferenceArray;
import org.jspecify.annotations.Nullable;

/**
 * A group of ranks that are threads of this JVM, each with a GPU of its own. Bytes of tensors move between the GPUs; what
 * the host has to agree on (counts, barriers, failures) is agreed on in this JVM's memory.
 */
public final class NcclGroup {
    private static final Duration ABORT_LIMIT = Duration.ofSeconds(10);

    private final List<Communicator> host;
    private final AtomicReferenceArray<@Nullable NcclCommunicator> ranks;
    private final AtomicReference<@Nullable TensorException> failure = new AtomicReference<>();
    private final byte[] id;
    private volatile @Nullable Thread aborting;

    /**
     * @param deadline how long a rank waits for the others where the host waits: to join, for counts and barriers
     * @throws TensorException UNAVAILABLE when the library is missing, with the remedy
     */
    public NcclGroup(int size, Duration deadline) {
        this.host = LocalCommunicator.group(size, deadline);
        this.ranks = new AtomicReferenceArray<>(size);
        this.id = id();
    }

    private static byte[] id() {
        try {
            return Nccl.uniqueId();
        } catch (ExceptionInInitializerError e) {
            if (e.getCause() instanceof TensorException missing) {
                throw missing;
            }
            throw e;
        } catch (NoClassDefFoundError e) {
            throw new TensorException(
                    TensorException.Code.UNAVAILABLE, "NVIDIA's NCCL could not be loaded, see the first error", e);
        }
    }

    /** The library's version, for logs. */
    public static String libraryVersion() {
        return Nccl.version();
    }

    /**
     * Joins the calling thread, which is the GPU's, as a rank; waits for the others.
     *
     * @throws TensorException PEER when another rank does not come within the deadline
     */
    public Communicator join(int rank, Gpu gpu) {
        // The library waits without an end for ranks that do not come.
        host.get(rank).barrier();
        NcclCommunicator mine = new NcclCommunicator(this, host.get(rank), gpu, Nccl.join(id, rank, host.size()));
        ranks.set(rank, mine);
        return mine;
    }

    @Nullable
    TensorException failure() {
        return failure.get();
    }

    /**
     * Fails the group: ranks that wait on the host return at once, kernels that wait for another rank end. On a thread of
     * its own, because the library changes the calling thread's GPU and may wait.
     */
    void fail(TensorException cause) {
        if (failure.compareAndSet(null, cause)) {
            aborting = Thread.ofPlatform().daemon().name("nccl-abort").start(() -> {
                for (int r = 0; r < ranks.length(); r++) {
                    NcclCommunicator rank = ranks.get(r);
                    if (rank != null) {
                        rank.abortNow();
                    }
                }
            });
        }
    }

    /** Waits until kernels of a failed group have been ended. */
    void awaitAborted() {
        Thread thread = aborting;
        try {
            if (thread != null) {
                thread.join(ABORT_LIMIT);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
