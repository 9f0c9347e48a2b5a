package dev.baton.engine.disagg.transfer;

import dev.baton.tensor.DeviceExchange;
import dev.baton.tensor.PageMover;
import dev.baton.tensor.PageShape;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Arrays;
import java.util.BitSet;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * Pages of a device's memory: written by the device into the decode rank's device memory, or packed by it into host memory
 * and sent as DATA frames. A layer's pages are sent when the device has passed the mark behind them.
 */
final class DevicePageSender implements PageSender {
    /** Under way at once: enough to hide launches, little enough that the end of a room is told soon. */
    private static final long MOST_BEGUN_BYTES = 256 << 20;
    /** Layers that are written already are gathered to launches of about this size. */
    private static final long LAUNCH_BYTES = 32 << 20;

    private static final long POLL_NANOS = 20_000;

    private final FrameChannel channel;
    private final DeviceExchange exchange;
    private final PageMover mover;
    private final Buffers buffers;
    private final Duration deadline;
    /** Packed pages on their way to the socket; none where the device writes the peer's memory. */
    private final MemorySegment packed;

    /** One a travelling buffer. */
    private final PageShape[] shapes;

    private @Nullable Listed listed;
    /** A job whose pages wait for a launch, with the buffers of it and of those like it. */
    private PrefillConnection.@Nullable Pages gathered;

    private final BitSet places = new BitSet();
    private long gatheredBytes;

    /** Pages of a job and those like it. */
    private record Listed(PrefillConnection.Pages job, PageMover.PageList list) {}

    /**
     * @param mover closed with this
     * @param buffers those of the decode rank opened by the mover
     * @param deadline how long the device may take to write pages that its rank has queued
     */
    DevicePageSender(
            FrameChannel channel, DeviceExchange exchange, PageMover mover, Buffers buffers, Duration deadline) {
        this.channel = channel;
        this.exchange = exchange;
        this.mover = mover;
        this.buffers = buffers;
        this.deadline = deadline;
        this.shapes =
                Arrays.stream(buffers.copies()).map(PageCopy::betweenCaches).toArray(PageShape[]::new);
        long largest = Arrays.stream(buffers.copies())
                .mapToLong(PageCopy::pageBytes)
                .max()
                .orElse(0);
        this.packed = buffers.areDirect()
                ? MemorySegment.NULL
                : mover.hostBuffer(Math.max(largest, FrameChannel.FRAME_TARGET_BYTES));
    }

    @Override
    public long pageBytes() {
        return buffers.pageBytes();
    }

    @Override
    public long mostBegunBytes() {
        return buffers.areDirect() ? MOST_BEGUN_BYTES : 0;
    }

    @Override
    public boolean isReady(PrefillConnection.Pages job) {
        return exchange.hasPassed(job.mark());
    }

    @Override
    public long begin(PrefillConnection.Pages job, AtomicBoolean stop) throws IOException {
        await(job, stop);
        if (stop.get() || !job.room().wants(job.pass())) {
            return 0;
        }
        return buffers.areDirect() ? gather(job) : write(job, stop);
    }

    private void await(PrefillConnection.Pages job, AtomicBoolean stop) throws IOException {
        long end = System.nanoTime() + deadline.toNanos();
        while (!isReady(job) && !stop.get()) {
            if (System.nanoTime() - end > 0) {
                throw new IOException("the device has not written a layer within " + deadline.toSeconds() + " s");
            }
            LockSupport.parkNanos(POLL_NANOS);
        }
    }

    /** Puts a job's buffers to those of the same pages that wait for a launch. */
    private long gather(PrefillConnection.Pages job) {
        PrefillConnection.Pages before = gathered;
        if (before != null && !before.isLike(job)) {
            launch();
        }
        gathered = job;
        PageCopy[] copies = buffers.copies();
        long bytes = 0;
        for (int buffer = 0; buffer < copies.length; buffer++) {
            if (buffers.isOf(job, buffer)) {
                places.set(buffer);
                bytes += copies[buffer].pageBytes() * job.pages().length;
            }
        }
        gatheredBytes += bytes;
        if (gatheredBytes >= LAUNCH_BYTES) {
            launch();
        }
        return bytes;
    }

    /** Queues the moves of what is gathered: one for all buffers whose pages have one shape. */
    private void launch() {
        PrefillConnection.Pages job = gathered;
        if (job == null || places.isEmpty()) {
            return;
        }
        PageMover.PageList pages = list(job);
        while (!places.isEmpty()) {
            PageShape shape = shapes[places.nextSetBit(0)];
            int[] alike = places.stream()
                    .filter(buffer -> shapes[buffer].equals(shape))
                    .toArray();
            MemorySegment[] from = new MemorySegment[alike.length];
            MemorySegment[] to = new MemorySegment[alike.length];
            for (int i = 0; i < alike.length; i++) {
                from[i] = buffers.sources()[alike[i]];
                to[i] = buffers.targets()[alike[i]];
                places.clear(alike[i]);
            }
            mover.move(shape, pages, from, to);
        }
        gatheredBytes = 0;
    }

    /** The job's pages; the layers of a chunk, one after the other, have the same. */
    private PageMover.PageList list(PrefillConnection.Pages job) {
        Listed before = listed;
        if (before == null || !before.job.isLike(job)) {
            int[] to = Arrays.copyOfRange(job.target().pages, job.firstPage(), job.firstPage() + job.pages().length);
            before = new Listed(job, mover.pages(job.pages(), to));
            listed = before;
        }
        return before.list;
    }

    @Override
    public void finish() {
        try {
            launch();
        } finally {
            gathered = null;
            gatheredBytes = 0;
            places.clear();
            mover.finish();
        }
    }

    /** DATA frames of consecutive pages of the prompt. */
    private long write(PrefillConnection.Pages job, AtomicBoolean stop) throws IOException {
        long bytes = 0;
        for (int buffer = 0; buffer < buffers.copies().length; buffer++) {
            if (buffers.isOf(job, buffer)) {
                bytes += write(job, buffer, stop);
            }
        }
        return bytes;
    }

    private long write(PrefillConnection.Pages job, int buffer, AtomicBoolean stop) throws IOException {
        PageCopy copy = buffers.copies()[buffer];
        int[] pages = job.pages();
        int perFrame = (int) Math.max(1, FrameChannel.FRAME_TARGET_BYTES / copy.pageBytes());
        int i = 0;
        while (i < pages.length && !stop.get() && job.room().wants(job.pass())) {
            int end = Math.min(pages.length, i + perFrame);
            int bytes = Math.toIntExact((end - i) * copy.pageBytes());
            mover.move(
                    copy.toPacked(),
                    mover.pages(Arrays.copyOfRange(pages, i, end), PageCopy.inOrder(end - i)),
                    new MemorySegment[] {buffers.sources()[buffer]},
                    new MemorySegment[] {packed});
            mover.finish();
            ByteBuffer body = FrameChannel.body(12);
            body.putInt(buffer).putInt(job.firstPage() + i).putInt(end - i).flip();
            ByteBuffer payload = packed.asSlice(0, bytes).asByteBuffer();
            channel.writeGathered(job.room().room(), body, new ByteBuffer[] {payload}, 1, bytes);
            i = end;
        }
        return i * copy.pageBytes();
    }

    @Override
    public void close() {
        mover.close();
    }
}
