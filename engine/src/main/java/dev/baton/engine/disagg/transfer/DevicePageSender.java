package dev.baton.engine.disagg.transfer;

import dev.baton.tensor.DeviceExchange;
import dev.baton.tensor.PageMover;
import dev.baton.tensor.PageShape;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * Pages of a device's memory: written by the device into the decode rank's device memory, or packed by it into host memory
 * and sent as DATA frames. A layer's pages are sent when the device has passed the mark behind them; a mark of the mover behind
 * each launch tells when they have arrived, so that the device is never drained.
 */
final class DevicePageSender implements PageSender {
    /** Under way at once: enough to hide launches, little enough that a room that failed is left soon. */
    private static final long MOST_BEGUN_BYTES = 1L << 30;
    /** Layers that are written already are gathered to launches of this size at most. */
    private static final long LAUNCH_BYTES = 256 << 20;
    /** While fewer launches are under way, the next one waits for no company. */
    private static final int LAUNCHES = 2;

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

    private final List<PageShape> shapesOnce;
    /** The buffers of each layer of the model. */
    private final int[][] ofLayer;

    private final int[] alike;

    private @Nullable Listed listed;
    /** A job whose pages wait for a launch, with the buffers of it and of those like it. */
    private PrefillConnection.@Nullable Pages gathered;

    private final BitSet places = new BitSet();
    private long gatheredBytes;
    /** The mover's marks behind launches under way, the oldest first. */
    private final ArrayDeque<Long> marks = new ArrayDeque<>();

    private long launched;

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
        this.shapesOnce = Arrays.stream(shapes).distinct().toList();
        this.alike = new int[shapes.length];
        this.ofLayer = buffers.ofLayer();
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
        long bytes = 0;
        for (int layer = Math.max(0, job.fromLayer()); layer < Math.min(job.toLayer(), ofLayer.length); layer++) {
            for (int buffer : ofLayer[layer]) {
                places.set(buffer);
                bytes += buffers.copies()[buffer].pageBytes() * job.pages().length;
            }
        }
        gatheredBytes += bytes;
        if (gatheredBytes >= LAUNCH_BYTES || underWay() < LAUNCHES) {
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
        for (PageShape shape : shapesOnce) {
            int count = 0;
            for (int buffer = places.nextSetBit(0); buffer >= 0; buffer = places.nextSetBit(buffer + 1)) {
                if (shapes[buffer].equals(shape)) {
                    alike[count++] = buffer;
                }
            }
            MemorySegment[] from = new MemorySegment[count];
            MemorySegment[] to = new MemorySegment[count];
            for (int i = 0; i < count; i++) {
                from[i] = buffers.sources()[alike[i]];
                to[i] = buffers.targets()[alike[i]];
            }
            mover.move(shape, pages, from, to);
        }
        places.clear();
        gatheredBytes = 0;
        marks.add(mover.mark());
        launched++;
    }

    /** Launches that the device has not done yet. */
    private int underWay() {
        while (!marks.isEmpty() && mover.hasPassed(marks.element())) {
            marks.remove();
        }
        return marks.size();
    }

    @Override
    public long flight() {
        return places.isEmpty() ? launched : launched + 1;
    }

    @Override
    public boolean hasLanded(long flight) {
        return flight <= launched - underWay();
    }

    @Override
    public void push() {
        launch();
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
            marks.clear();
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
