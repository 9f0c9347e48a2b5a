package dev.baton.engine.disagg.transfer;

import dev.baton.tensor.PageShape;
import java.lang.foreign.MemorySegment;

/**
 * How the heads of one (prefill rank, decode rank) pair lie in a page of one buffer on both sides, and the copies
 * between memory and a packed stream of rows [tokens, width] or between two caches.
 *
 * @param pageTokens rows of a page
 * @param sourceStride bytes from one token to the next at prefill
 * @param sourceOffset where the wanted heads begin in a token there
 * @param targetStride bytes from one token to the next at decode
 * @param targetOffset where they begin in a token there
 * @param width bytes of the wanted heads of one token
 */
record PageCopy(
        int pageTokens, long sourceStride, long sourceOffset, long targetStride, long targetOffset, long width) {
    /** A copy is cut into pieces of at most this size, so that an abort is seen soon. */
    static final long PIECE_BYTES = 1 << 20;

    /** The copies of a part, one for each of its travelling buffers. */
    static PageCopy[] of(KvLayout prefill, KvLayout decode, CachePairing.Part part) {
        PageCopy[] copies = new PageCopy[part.buffers(decode)];
        for (int i = 0; i < copies.length; i++) {
            int source = part.bufferIn(prefill, i);
            int target = part.bufferIn(decode, i);
            long headBytes = prefill.buffers().get(source).headBytes();
            copies[i] = new PageCopy(
                    prefill.pageTokens(),
                    prefill.tokenBytes(source),
                    (part.firstHead() - prefill.heads().first()) * headBytes,
                    decode.tokenBytes(target),
                    (part.firstHead() - decode.heads().first()) * headBytes,
                    part.heads() * headBytes);
        }
        return copies;
    }

    /** Bytes of one page that travel. */
    long pageBytes() {
        return width * pageTokens;
    }

    /** Pages are contiguous at prefill: nothing lies between the wanted bytes. */
    boolean sourceIsDense() {
        return width == sourceStride;
    }

    /** Pages are contiguous at decode. */
    boolean targetIsDense() {
        return width == targetStride;
    }

    /** From cache to cache, for a device. */
    PageShape betweenCaches() {
        return new PageShape(pageTokens, sourceStride, sourceOffset, targetStride, targetOffset, width);
    }

    /** From the source cache to packed pages, for a device. */
    PageShape toPacked() {
        return new PageShape(pageTokens, sourceStride, sourceOffset, width, 0, width);
    }

    /** From packed pages to the target cache, for a device. */
    PageShape fromPacked() {
        return new PageShape(pageTokens, width, 0, targetStride, targetOffset, width);
    }

    /** Copies {@code count} consecutive pages from cache to cache. */
    void copy(MemorySegment source, int sourcePage, MemorySegment target, int targetPage, int count) {
        rows(
                source,
                sourcePage * sourceStride * pageTokens + sourceOffset,
                sourceStride,
                target,
                targetPage * targetStride * pageTokens + targetOffset,
                targetStride,
                (long) count * pageTokens);
    }

    /** Copies {@code count} consecutive pages of the source cache to packed rows. */
    void pack(MemorySegment source, int sourcePage, int count, MemorySegment packed, long at) {
        rows(
                source,
                sourcePage * sourceStride * pageTokens + sourceOffset,
                sourceStride,
                packed,
                at,
                width,
                (long) count * pageTokens);
    }

    /** Copies packed rows to {@code count} consecutive pages of the target cache. */
    void unpack(MemorySegment packed, long at, MemorySegment target, int targetPage, int count) {
        rows(
                packed,
                at,
                width,
                target,
                targetPage * targetStride * pageTokens + targetOffset,
                targetStride,
                (long) count * pageTokens);
    }

    private void rows(
            MemorySegment from, long fromAt, long fromStride, MemorySegment to, long toAt, long toStride, long rows) {
        if (width == fromStride && width == toStride) {
            MemorySegment.copy(from, fromAt, to, toAt, rows * width);
            return;
        }
        for (long row = 0; row < rows; row++) {
            MemorySegment.copy(from, fromAt + row * fromStride, to, toAt + row * toStride, width);
        }
    }

    /** Pages in a piece of at most {@link #PIECE_BYTES}; at least 1. */
    int pagesPerPiece() {
        return (int) Math.max(1, PIECE_BYTES / pageBytes());
    }

    /** Pages 0, 1, ... of packed rows. */
    static int[] inOrder(int count) {
        int[] pages = new int[count];
        for (int i = 0; i < count; i++) {
            pages[i] = i;
        }
        return pages;
    }

    /** How many of {@code pages[at..limit)} follow each other without a gap. */
    static int run(int[] pages, int at, int limit) {
        int end = at + 1;
        while (end < limit && pages[end] == pages[end - 1] + 1) {
            end++;
        }
        return end - at;
    }

    /** Into how many runs without a gap {@code pages[at..limit)} falls. */
    static int runs(int[] pages, int at, int limit) {
        int runs = 0;
        for (int p = at; p < limit; p += run(pages, p, limit)) {
            runs++;
        }
        return runs;
    }
}
