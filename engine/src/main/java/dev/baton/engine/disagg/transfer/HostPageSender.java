package dev.baton.engine.disagg.transfer;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/** Pages of host memory, copied into the decode rank's mapped memory, or as DATA frames. */
final class HostPageSender implements PageSender {
    /** Below this many bytes a run, rows are packed; above, the socket takes them from the cache. */
    private static final int GATHER_RUN_BYTES = 8 << 10;

    private static final int MAX_GATHERED = 512;

    private final FrameChannel channel;
    private final Buffers buffers;
    private final SharedMemory.@Nullable Mapping mapping;

    /**
     * @param targets the decode rank's buffers, mapped; empty when pages go over the socket
     * @param mapping what they lie in; closed with this
     */
    HostPageSender(
            FrameChannel channel,
            KvRegion source,
            Handshake.Hello hello,
            List<MemorySegment> targets,
            SharedMemory.@Nullable Mapping mapping) {
        this.channel = channel;
        this.mapping = mapping;
        this.buffers = Buffers.of(source, hello, targets);
    }

    @Override
    public long pageBytes() {
        return buffers.pageBytes();
    }

    @Override
    public long mostBegunBytes() {
        return 0;
    }

    @Override
    public boolean isReady(PrefillConnection.Pages job) {
        return true;
    }

    @Override
    public long begin(PrefillConnection.Pages job, AtomicBoolean stop) throws IOException {
        long bytes = 0;
        for (int buffer = 0; buffer < buffers.copies().length; buffer++) {
            if (buffers.isOf(job, buffer)) {
                bytes += buffers.areDirect() ? copy(job, buffer, stop) : write(job, buffer, stop);
            }
        }
        return bytes;
    }

    @Override
    public long flight() {
        return 0;
    }

    @Override
    public boolean hasLanded(long flight) {
        return true;
    }

    @Override
    public void push() {
        // Nothing waits.
    }

    @Override
    public void finish() {
        // Each job is done when it has begun.
    }

    @Override
    public void close() {
        if (mapping != null) {
            mapping.close();
        }
    }

    /** Source pages to destination pages, piece by piece. */
    private long copy(PrefillConnection.Pages job, int buffer, AtomicBoolean stop) {
        PageCopy copy = buffers.copies()[buffer];
        MemorySegment from = buffers.sources()[buffer];
        MemorySegment to = buffers.targets()[buffer];
        int[] pages = job.pages();
        int[] target = job.target().pages;
        int first = job.firstPage();
        int limit = copy.pagesPerPiece();
        int i = 0;
        while (i < pages.length && !stop.get() && job.room().wants(job.pass())) {
            int end = Math.min(pages.length, i + limit);
            int count = Math.min(PageCopy.run(pages, i, end), PageCopy.run(target, first + i, first + end));
            copy.copy(from, pages[i], to, target[first + i], count);
            i += count;
        }
        return i * copy.pageBytes();
    }

    /** DATA frames of consecutive pages of the prompt. */
    private long write(PrefillConnection.Pages job, int buffer, AtomicBoolean stop) throws IOException {
        PageCopy copy = buffers.copies()[buffer];
        MemorySegment from = buffers.sources()[buffer];
        int[] pages = job.pages();
        int perFrame = (int) Math.max(1, FrameChannel.FRAME_TARGET_BYTES / copy.pageBytes());
        int i = 0;
        while (i < pages.length && !stop.get() && job.room().wants(job.pass())) {
            int end = Math.min(pages.length, i + perFrame);
            int bytes = Math.toIntExact((end - i) * copy.pageBytes());
            ByteBuffer body = FrameChannel.body(12);
            body.putInt(buffer).putInt(job.firstPage() + i).putInt(end - i).flip();
            int runs = PageCopy.runs(pages, i, end);
            if (copy.sourceIsDense() && runs <= MAX_GATHERED && bytes / runs >= GATHER_RUN_BYTES) {
                ByteBuffer[] payload = new ByteBuffer[runs];
                int n = 0;
                for (int p = i, run; p < end; p += run) {
                    run = PageCopy.run(pages, p, end);
                    payload[n++] = from.asSlice(pages[p] * copy.pageBytes(), run * copy.pageBytes())
                            .asByteBuffer();
                }
                channel.writeGathered(job.room().room(), body, payload, n, bytes);
            } else {
                int start = i;
                channel.writePacked(
                        job.room().room(),
                        body,
                        bytes,
                        (packed, at) -> pack(copy, from, pages, start, end, packed, at));
            }
            i = end;
        }
        return i * copy.pageBytes();
    }

    private static void pack(
            PageCopy copy, MemorySegment from, int[] pages, int start, int end, MemorySegment packed, long at) {
        long to = at;
        for (int p = start, run; p < end; p += run) {
            run = PageCopy.run(pages, p, end);
            copy.pack(from, pages[p], run, packed, to);
            to += run * copy.pageBytes();
        }
    }
}
