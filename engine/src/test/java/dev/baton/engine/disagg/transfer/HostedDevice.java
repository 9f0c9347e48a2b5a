package dev.baton.engine.disagg.transfer;

import dev.baton.engine.disagg.transfer.KvRegion.DevicePool;
import dev.baton.tensor.DeviceExchange;
import dev.baton.tensor.PageMover;
import dev.baton.tensor.PageShape;
import dev.baton.tensor.SharedDeviceMemory;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.TensorException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/**
 * A device whose memory is the host's, for the ways that pages take between devices. As on a real one nothing has moved
 * before it is asked for, and a mark is passed when the device says so.
 */
final class HostedDevice implements DeviceExchange {
    /** Marks are passed at once up to here. */
    final AtomicLong passed = new AtomicLong(Long.MAX_VALUE);

    final AtomicLong marks = new AtomicLong();
    /** Movers have passed their marks up to here, when they are asked. */
    final AtomicLong moved = new AtomicLong(Long.MAX_VALUE);
    /** Marks of movers, and memories that are moved before them. */
    final AtomicInteger moverMarks = new AtomicInteger();

    final AtomicInteger markedMemories = new AtomicInteger();
    final AtomicInteger openMovers = new AtomicInteger();
    /** Moves that one {@link PageMover#finish} waited for, at most. */
    final AtomicInteger mostTogether = new AtomicInteger();

    /** Why shared memory cannot be opened; empty when it can. */
    volatile String refusesToOpen = "";
    /** What {@link PageMover#finish} reports; empty for nothing. */
    volatile String fault = "";

    /** The region as memory of this device, from which pages leave. */
    KvRegion source(KvRegion region) {
        return new KvRegion(region.layout(), region.buffers(), null, new DevicePool(this, null));
    }

    /** The region as memory of this device that others may open. */
    KvRegion target(KvRegion region) {
        long first = region.buffers().stream()
                .mapToLong(MemorySegment::address)
                .min()
                .orElseThrow();
        long end = region.buffers().stream()
                .mapToLong(b -> b.address() + b.byteSize())
                .max()
                .orElseThrow();
        SharedDeviceMemory shared = new SharedDeviceMemory(
                SharedDeviceMemory.THIS_PROCESS, "hosted", 0, first, end - first, new byte[] {1, 2, (byte) 0xfe});
        return new KvRegion(region.layout(), region.buffers(), null, new DevicePool(this, shared));
    }

    @Override
    public long mark() {
        return marks.incrementAndGet();
    }

    @Override
    public boolean hasPassed(long mark) {
        return mark <= passed.get();
    }

    @Override
    public SharedDeviceMemory share(Tensor allocation) {
        throw new UnsupportedOperationException("see target()");
    }

    @Override
    public PageMover mover() {
        openMovers.incrementAndGet();
        return new Mover();
    }

    private final class Mover implements PageMover {
        private final List<Runnable> queued = new ArrayList<>();
        private final Arena arena = Arena.ofShared();
        /** How many moves were queued before each mark. */
        private final List<Integer> behind = new ArrayList<>();

        private int done;
        private int memories;

        @Override
        public MemorySegment open(SharedDeviceMemory peer) {
            if (!refusesToOpen.isEmpty()) {
                throw new TensorException(TensorException.Code.UNAVAILABLE, refusesToOpen);
            }
            return MemorySegment.ofAddress(peer.address()).reinterpret(peer.bytes());
        }

        @Override
        public MemorySegment hostBuffer(long bytes) {
            return arena.allocate(bytes);
        }

        private record Numbers(int[] from, int[] to) implements PageList {
            @Override
            public int count() {
                return from.length;
            }
        }

        @Override
        public PageList pages(int[] from, int[] to) {
            return new Numbers(from, to);
        }

        @Override
        public void move(PageShape shape, PageList pages, MemorySegment[] from, MemorySegment[] to) {
            Numbers numbers = (Numbers) pages;
            memories += from.length;
            queued.add(() -> {
                PageShape joined = shape.joined();
                for (int b = 0; b < from.length; b++) {
                    for (int i = 0; i < numbers.count(); i++) {
                        copy(joined, from[b], numbers.from[i], to[b], numbers.to[i]);
                    }
                }
            });
        }

        private static void copy(PageShape shape, MemorySegment from, int fromPage, MemorySegment to, int toPage) {
            for (long row = 0; row < shape.rows(); row++) {
                MemorySegment.copy(
                        from,
                        shape.fromOffset() + (fromPage * (long) shape.rows() + row) * shape.fromStride(),
                        to,
                        shape.toOffset() + (toPage * (long) shape.rows() + row) * shape.toStride(),
                        shape.width());
            }
        }

        @Override
        public long mark() {
            behind.add(done + queued.size());
            moverMarks.incrementAndGet();
            markedMemories.addAndGet(memories);
            memories = 0;
            return behind.size();
        }

        @Override
        public boolean hasPassed(long mark) {
            if (mark > moved.get()) {
                return false;
            }
            run(behind.get((int) mark - 1) - done);
            return true;
        }

        @Override
        public void finish() {
            run(queued.size());
        }

        private void run(int moves) {
            if (moves <= 0) {
                return;
            }
            mostTogether.accumulateAndGet(moves, Math::max);
            List<Runnable> next = queued.subList(0, moves);
            if (fault.isEmpty()) {
                next.forEach(Runnable::run);
            }
            next.clear();
            done += moves;
            if (!fault.isEmpty()) {
                throw new TensorException(TensorException.Code.FAULT, fault);
            }
        }

        @Override
        public void close() {
            openMovers.decrementAndGet();
            arena.close();
        }
    }
}
