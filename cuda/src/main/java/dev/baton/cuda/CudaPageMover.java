package dev.baton.cuda;

import dev.baton.cuda.Kernels.Source;
import dev.baton.cuda.compile.KernelCache;
import dev.baton.cuda.driver.Gpu;
import dev.baton.cuda.driver.Launch;
import dev.baton.cuda.driver.PeerMemory;
import dev.baton.tensor.PageMover;
import dev.baton.tensor.PageShape;
import dev.baton.tensor.SharedDeviceMemory;
import dev.baton.tensor.TensorException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Moves pages by a kernel that reads one side and writes the other, wherever they lie, so that scattered pages cost no more
 * than pages in a row. Page numbers go to the device once for all moves of the same pages, the memories' addresses travel
 * with each launch.
 */
final class CudaPageMover implements PageMover {
    /** Room for page numbers of moves that are under way. */
    private static final int LIST_BYTES = 4 << 20;

    /** Memories of one launch, as in pages.cu. */
    private static final int MOST_BUFFERS = 128;

    /** As in {@link Kernels}. */
    private static final int THREADS = 512;

    private static final int BLOCKS_A_PROCESSOR = 2;
    /** Every so many looks at a mark, the driver is asked for errors. */
    private static final int LOOKS = 256;

    private static final VarHandle WORD = ValueLayout.JAVA_LONG.varHandle();

    /** Units of a launch: the kernel counts them in 32 bits. */
    private static final long MOST_UNITS = 1L << 31;

    private final Gpu gpu;
    private final Kernels kernels;
    private final Launch launch;
    private final MemorySegment list;
    private final long listOnDevice;
    private int listUsed;
    /** Counts how often the list was begun anew. */
    private long listEpoch;

    /** The structure of a launch: where memories lie, then where they go. */
    private final long[] addresses = new long[2 * MOST_BUFFERS];

    /** A word that the stream writes. */
    private final MemorySegment passed;

    private long marks;
    /** In vain, since a mark was last found passed. */
    private int looks;

    private final String device;
    private final List<Long> mappings = new ArrayList<>();
    private final List<MemorySegment> hostBuffers = new ArrayList<>();
    private boolean closed;

    CudaPageMover(int ordinal) {
        this.gpu = Gpu.openBeside(ordinal);
        this.kernels = new Kernels(gpu, KernelCache.standard());
        try {
            // Compiled and loaded while the sides agree, not behind the first prompt.
            kernels.get(Source.PAGES, "move_pages_16");
        } catch (RuntimeException e) {
            gpu.close();
            throw e;
        }
        this.launch = new Launch(gpu);
        this.list = gpu.allocateHost(LIST_BYTES);
        this.listOnDevice = gpu.allocate(LIST_BYTES);
        this.passed = gpu.allocateHost(Long.BYTES);
        passed.set(ValueLayout.JAVA_LONG, 0, 0);
        this.device = PeerMemory.universalId(ordinal);
    }

    @Override
    public MemorySegment open(SharedDeviceMemory peer) {
        gpu.use();
        long address;
        if (peer.isHere()) {
            if (!peer.device().equals(device)) {
                PeerMemory.reach(peer.ordinal());
            }
            address = peer.address();
        } else {
            address = PeerMemory.open(peer.handle());
            mappings.add(address);
        }
        return MemorySegment.ofAddress(address).reinterpret(peer.bytes());
    }

    @Override
    public MemorySegment hostBuffer(long bytes) {
        gpu.use();
        MemorySegment buffer = gpu.allocateHost(bytes);
        hostBuffers.add(buffer);
        return buffer;
    }

    /** Where the numbers lie on the device, while the list's epoch is theirs. */
    private static final class Listed implements PageList {
        private final int[] from;
        private final int[] to;
        private long address;
        private long epoch = -1;

        Listed(int[] from, int[] to) {
            this.from = from;
            this.to = to;
        }

        @Override
        public int count() {
            return from.length;
        }

        Listed part(int first, int count) {
            return new Listed(
                    Arrays.copyOfRange(from, first, first + count), Arrays.copyOfRange(to, first, first + count));
        }
    }

    @Override
    public PageList pages(int[] from, int[] to) {
        if (from.length != to.length) {
            throw new TensorException(
                    TensorException.Code.SHAPE, from.length + " pages cannot become " + to.length + " pages");
        }
        return new Listed(from, to);
    }

    @Override
    public void move(PageShape shape, PageList pages, MemorySegment[] from, MemorySegment[] to) {
        if (from.length != to.length) {
            throw new TensorException(
                    TensorException.Code.SHAPE, from.length + " memories cannot be copied to " + to.length);
        }
        if (from.length == 0 || pages.count() == 0) {
            return;
        }
        gpu.use();
        Listed listed = (Listed) pages;
        PageShape joined = shape.joined();
        int unit = Math.min(joined.unitBytes(), alignment(from, to));
        long fitting = Math.min(MOST_UNITS / (joined.pageBytes() / unit), LIST_BYTES / 8);
        if (fitting < 1) {
            throw new TensorException(
                    TensorException.Code.SHAPE, "a page of " + joined.pageBytes() + " bytes is too large for a move");
        }
        if (fitting >= listed.count()) {
            run(joined, unit, listed, from, to);
            return;
        }
        for (int first = 0; first < listed.count(); first += (int) fitting) {
            run(joined, unit, listed.part(first, (int) Math.min(fitting, listed.count() - first)), from, to);
        }
    }

    private static int alignment(MemorySegment[] from, MemorySegment[] to) {
        long all = 16;
        for (int b = 0; b < from.length; b++) {
            all |= from[b].address() | to[b].address();
        }
        return (int) Long.lowestOneBit(all);
    }

    private void run(PageShape shape, int unit, Listed pages, MemorySegment[] from, MemorySegment[] to) {
        if (pages.epoch != listEpoch) {
            upload(pages);
        }
        for (int first = 0; first < from.length; first += MOST_BUFFERS) {
            int buffers = Math.min(MOST_BUFFERS, from.length - first);
            for (int b = 0; b < buffers; b++) {
                addresses[b] = from[first + b].address();
                addresses[MOST_BUFFERS + b] = to[first + b].address();
            }
            long units = shape.pageBytes() / unit * pages.count();
            long useful = (units + THREADS - 1) / THREADS;
            long most = (BLOCKS_A_PROCESSOR * (long) gpu.info().multiprocessors() + buffers - 1) / buffers;
            launch.put(addresses)
                    .put(pages.address)
                    .put(pages.count())
                    .put(shape.rows())
                    .put(Math.toIntExact(shape.width()))
                    .put(shape.fromStride())
                    .put(shape.fromOffset())
                    .put(shape.toStride())
                    .put(shape.toOffset())
                    .run(kernels.get(Source.PAGES, "move_pages_" + unit), (int) Math.min(useful, most), buffers, 1, 0);
        }
    }

    /** Puts the numbers behind those of moves under way. */
    private void upload(Listed pages) {
        int bytes = 8 * pages.count();
        if (listUsed + bytes > LIST_BYTES) {
            // What kernels under way still read must stand.
            gpu.synchronize();
            restartList();
        }
        int at = listUsed;
        MemorySegment.copy(pages.from, 0, list, ValueLayout.JAVA_INT, at, pages.count());
        MemorySegment.copy(pages.to, 0, list, ValueLayout.JAVA_INT, at + 4L * pages.count(), pages.count());
        gpu.toDevice(list.asSlice(at, bytes), listOnDevice + at, bytes);
        listUsed = (at + bytes + 15) / 16 * 16;
        pages.address = listOnDevice + at;
        pages.epoch = listEpoch;
    }

    private void restartList() {
        listUsed = 0;
        listEpoch++;
    }

    @Override
    public long mark() {
        gpu.use();
        gpu.write(passed, ++marks);
        return marks;
    }

    @Override
    public boolean hasPassed(long mark) {
        if ((long) WORD.getAcquire(passed, 0L) >= mark) {
            looks = 0;
            return true;
        }
        if (++looks % LOOKS == 0) {
            // A stream that has failed writes nothing more.
            gpu.use();
            gpu.isIdle();
        }
        return false;
    }

    @Override
    public void finish() {
        gpu.use();
        gpu.synchronize();
        restartList();
    }

    @Override
    public void close() {
        if (closed) {
            return;
        }
        closed = true;
        gpu.use();
        gpu.synchronize();
        mappings.forEach(PeerMemory::close);
        hostBuffers.forEach(gpu::freeHost);
        gpu.freeHost(passed);
        gpu.freeHost(list);
        gpu.free(listOnDevice);
        kernels.close();
        gpu.close();
    }
}
