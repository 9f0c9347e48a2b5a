package dev.baton.engine.disagg.transfer;

import dev.baton.engine.disagg.transfer.KvRegion.DevicePool;
import dev.baton.tensor.PageMover;
import dev.baton.tensor.SharedDeviceMemory;
import dev.baton.tensor.TensorException;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/**
 * How pages travel from a prefill rank to a decode rank, chosen by the prefill rank when it knows both sides: into the
 * peer's memory where that can be reached, over the socket otherwise.
 *
 * @param name for the log
 * @param direct the peer's memory is written
 * @param echo what was written in the shared memory of the host, to prove that it is the peer's
 */
record PageRoute(PageSender sender, String name, boolean direct, long echo) {
    private static final System.Logger LOG = System.getLogger("dev.baton.engine.disagg");

    /**
     * @throws IOException when one side insists on direct writes and they cannot be done; with the reason
     */
    static PageRoute choose(TransferOptions options, KvRegion source, Handshake.Hello hello, FrameChannel channel)
            throws IOException {
        TransferBackend own = options.backend();
        if (own != TransferBackend.TCP && hello.backend() != TransferBackend.TCP) {
            try {
                return source.device() == null
                        ? sharedMemory(source, hello, channel)
                        : sharedDevice(options, source, source.device(), hello, channel);
            } catch (IOException e) {
                if (own == TransferBackend.SHM || hello.backend() == TransferBackend.SHM) {
                    throw e;
                }
                LOG.log(Level.INFO, "KV pages for {0} go over TCP: {1}", hello.server(), e.getMessage());
            }
        }
        DevicePool device = source.device();
        if (device == null) {
            return new PageRoute(new HostPageSender(channel, source, hello, List.of(), null), "TCP", false, 0);
        }
        PageSender sender = deviceSender(options, source, device, hello, channel, null);
        return new PageRoute(sender, "TCP, through host memory", false, 0);
    }

    private static PageRoute sharedMemory(KvRegion source, Handshake.Hello hello, FrameChannel channel)
            throws IOException {
        if (hello.shared() == null) {
            throw new IOException("the decode server's KV pool does not lie in shared memory");
        }
        SharedMemory.Mapping mapping = SharedMemory.map(hello.shared());
        try {
            List<MemorySegment> targets = slices(mapping.memory(), hello);
            return new PageRoute(
                    new HostPageSender(channel, source, hello, targets, mapping),
                    "shared memory",
                    true,
                    mapping.echo());
        } catch (IOException e) {
            mapping.close();
            throw e;
        }
    }

    private static PageRoute sharedDevice(
            TransferOptions options, KvRegion source, DevicePool device, Handshake.Hello hello, FrameChannel channel)
            throws IOException {
        Handshake.DeviceDescriptor peer = hello.device();
        if (peer == null) {
            throw new IOException("the decode server's KV pool lies on no device that shares its memory");
        }
        if (!peer.hostId().equals(SharedMemory.hostId())) {
            throw new IOException("the peer runs on another host");
        }
        PageSender sender = deviceSender(options, source, device, hello, channel, peer.memory());
        return new PageRoute(sender, "device memory", true, 0);
    }

    /** @param peer the decode rank's memory, which the device opens; null where pages go over the socket */
    private static PageSender deviceSender(
            TransferOptions options,
            KvRegion source,
            DevicePool device,
            Handshake.Hello hello,
            FrameChannel channel,
            @Nullable SharedDeviceMemory peer)
            throws IOException {
        return onPlatformThread(options, () -> {
            PageMover mover = device.exchange().mover();
            return closedUnless(
                    mover,
                    () -> new DevicePageSender(
                            channel,
                            device.exchange(),
                            mover,
                            PageSender.Buffers.of(
                                    source, hello, peer == null ? List.of() : slices(mover.open(peer), hello)),
                            options.waitingTimeout()));
        });
    }

    /** The decode rank's buffers in its memory. */
    private static List<MemorySegment> slices(MemorySegment memory, Handshake.Hello hello) throws IOException {
        List<MemorySegment> targets = new ArrayList<>();
        try {
            for (int i = 0; i < hello.layout().buffers().size(); i++) {
                long bytes = hello.layout().pageBytes(i) * hello.pages();
                targets.add(memory.asSlice(hello.offsets()[i], bytes));
            }
            return targets;
        } catch (IndexOutOfBoundsException e) {
            throw new IOException("the decode server's buffers do not lie within its shared memory", e);
        }
    }

    private static PageSender closedUnless(PageMover mover, Callable<PageSender> make) throws Exception {
        PageSender made = null;
        try {
            made = make.call();
            return made;
        } finally {
            if (made == null) {
                mover.close();
            }
        }
    }

    /** A device is not called from a virtual thread. */
    private static PageSender onPlatformThread(TransferOptions options, Callable<PageSender> make) throws IOException {
        FutureTask<PageSender> task = new FutureTask<>(make);
        Thread.ofPlatform().daemon().name("kv-open").start(task);
        try {
            return task.get(options.handshakeTimeout().toMillis(), TimeUnit.MILLISECONDS);
        } catch (ExecutionException e) {
            throw reason(e.getCause());
        } catch (TimeoutException e) {
            throw new IOException(
                    "the device did not open within "
                            + options.handshakeTimeout().toSeconds() + " s",
                    e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted while the device was opened", e);
        }
    }

    private static IOException reason(@Nullable Throwable cause) {
        if (cause instanceof IOException known) {
            return known;
        }
        return cause instanceof TensorException
                ? new IOException(cause.getMessage(), cause)
                : new IOException(String.valueOf(cause), cause);
    }
}
