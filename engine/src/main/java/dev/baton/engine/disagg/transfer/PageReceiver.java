package dev.baton.engine.disagg.transfer;

import dev.baton.engine.disagg.transfer.KvRegion.DevicePool;
import dev.baton.tensor.PageMover;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.Arrays;

/** Puts the payloads of DATA frames where their pages belong. Used by the reading thread. */
sealed interface PageReceiver extends AutoCloseable {
    /** For a rank's pool. */
    static PageReceiver of(KvRegion region) {
        DevicePool device = region.device();
        return device == null ? new OfHost() : new OfDevice(device);
    }

    /**
     * Reads pages {@code [first, end)} of a room.
     *
     * @param copy how a page lies packed and in the pool
     * @param target a buffer of the pool
     * @param pages all of the room
     */
    void receive(FrameChannel from, PageCopy copy, MemorySegment target, int[] pages, int first, int end)
            throws IOException;

    @Override
    void close();

    /** Into host memory. */
    final class OfHost implements PageReceiver {
        /** Below this many bytes a run, payloads are read packed and copied; above, the socket fills the pool. */
        private static final int SCATTER_RUN_BYTES = 8 << 10;

        private ByteBuffer packed = ByteBuffer.allocateDirect(0);

        private OfHost() {}

        @Override
        public void receive(FrameChannel from, PageCopy copy, MemorySegment target, int[] pages, int first, int end)
                throws IOException {
            int runs = PageCopy.runs(pages, first, end);
            if (copy.targetIsDense() && (end - first) * copy.pageBytes() / runs >= SCATTER_RUN_BYTES) {
                ByteBuffer[] parts = new ByteBuffer[runs];
                int n = 0;
                for (int p = first, run; p < end; p += run) {
                    run = PageCopy.run(pages, p, end);
                    parts[n++] = target.asSlice(pages[p] * copy.pageBytes(), run * copy.pageBytes())
                            .asByteBuffer();
                }
                from.readPayload(parts, n);
                return;
            }
            int perRead = (int) Math.max(1, FrameChannel.FRAME_TARGET_BYTES / copy.pageBytes());
            for (int p = first; p < end; ) {
                int last = Math.min(end, p + perRead);
                int bytes = Math.toIntExact((last - p) * copy.pageBytes());
                if (packed.capacity() < bytes) {
                    packed = ByteBuffer.allocateDirect(Math.max(bytes, FrameChannel.FRAME_TARGET_BYTES));
                }
                from.readPayload(new ByteBuffer[] {packed.clear().limit(bytes)}, 1);
                MemorySegment rows = MemorySegment.ofBuffer(packed.clear());
                long at = 0;
                for (int run; p < last; p += run) {
                    run = PageCopy.run(pages, p, last);
                    copy.unpack(rows, at, target, pages[p], run);
                    at += run * copy.pageBytes();
                }
            }
        }

        @Override
        public void close() {}
    }

    /** Into a device's memory, by way of host memory that the device reaches. */
    final class OfDevice implements PageReceiver {
        private final PageMover mover;
        private MemorySegment packed = MemorySegment.NULL;

        private OfDevice(DevicePool device) {
            this.mover = device.exchange().mover();
        }

        @Override
        public void receive(FrameChannel from, PageCopy copy, MemorySegment target, int[] pages, int first, int end)
                throws IOException {
            int perRead = (int) Math.max(1, FrameChannel.FRAME_TARGET_BYTES / copy.pageBytes());
            long most = perRead * copy.pageBytes();
            if (packed.byteSize() < most) {
                packed = mover.hostBuffer(most);
            }
            for (int p = first, last; p < end; p = last) {
                last = Math.min(end, p + perRead);
                int bytes = Math.toIntExact((last - p) * copy.pageBytes());
                from.readPayload(new ByteBuffer[] {packed.asSlice(0, bytes).asByteBuffer()}, 1);
                mover.move(
                        copy.fromPacked(),
                        mover.pages(PageCopy.inOrder(last - p), Arrays.copyOfRange(pages, p, last)),
                        new MemorySegment[] {packed},
                        new MemorySegment[] {target});
                // The buffer is written again next, and DONE may be the next message.
                mover.finish();
            }
        }

        @Override
        public void close() {
            mover.close();
        }
    }
}
