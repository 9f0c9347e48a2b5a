package dev.baton.engine.cache;

import dev.baton.engine.EngineException;

/**
 * Gives out cache slots, whole pages at a time. Page p holds slots {@code [p * pageTokens, (p + 1) * pageTokens)};
 * page 0 is never given out, because slot 0 belongs to padding. A sequence's position i always stands at offset
 * {@code i % pageTokens} of its page, so that pages can be shared and sent whole.
 *
 * <p>Not thread safe: one scheduler thread owns it.
 */
public final class SlotAllocator {
    private final int pageTokens;
    private final int pages;
    /** Free pages; the top of the stack is at {@code free - 1}. */
    private final int[] stack;
    /** One bit a page, set while it is free: finds a page that is freed twice. */
    private final long[] freeBits;

    private int free;

    /**
     * @param capacityTokens slots 1 to this number exist
     * @param pageTokens slots a page
     * @throws EngineException CONFIGURATION when not even one page fits
     */
    public SlotAllocator(int capacityTokens, int pageTokens) {
        if (pageTokens < 1) {
            throw new EngineException(
                    EngineException.Code.CONFIGURATION, "page size must be at least 1, got " + pageTokens);
        }
        this.pageTokens = pageTokens;
        this.pages = (int) ((capacityTokens + 1L) / pageTokens) - 1;
        if (pages < 1) {
            throw new EngineException(
                    EngineException.Code.CONFIGURATION,
                    "a KV pool of " + capacityTokens + " tokens holds no page of " + pageTokens
                            + " tokens; raise --max-total-tokens or lower --page-size");
        }
        this.stack = new int[pages];
        this.freeBits = new long[(pages >> 6) + 1];
        reset();
    }

    /** Every page is free again, in ascending order. */
    public void reset() {
        free = pages;
        java.util.Arrays.fill(freeBits, 0);
        for (int i = 0; i < pages; i++) {
            stack[i] = pages - i;
            mark(pages - i);
        }
    }

    public int pageTokens() {
        return pageTokens;
    }

    /** Slots that can be given out in all. */
    public int totalTokens() {
        return pages * pageTokens;
    }

    public int freeTokens() {
        return free * pageTokens;
    }

    public int freePages() {
        return free;
    }

    /** New pages that positions {@code [from, to)} need when {@code [0, from)} have their slots. */
    public int pagesFor(int from, int to) {
        return (to + pageTokens - 1) / pageTokens - (from + pageTokens - 1) / pageTokens;
    }

    /**
     * Gives slots to positions {@code [from, to)} of a sequence: first the rest of the page that holds position
     * {@code from - 1}, then whole pages.
     *
     * @param slots [>= to] slot of each position; {@code slots[from - 1]} is read, {@code [from, to)} is written
     * @return false when there are too few free pages; nothing has changed then
     */
    public boolean extend(int[] slots, int from, int to) {
        if (pagesFor(from, to) > free) {
            return false;
        }
        if (pageTokens == 1) {
            for (int i = from; i < to; i++) {
                slots[i] = take();
            }
            return true;
        }
        int position = from;
        while (position < to) {
            int offset = position % pageTokens;
            int slot = offset == 0 ? take() * pageTokens : slots[position - 1] + 1;
            int end = Math.min(to, position - offset + pageTokens);
            while (position < end) {
                slots[position++] = slot++;
            }
        }
        return true;
    }

    /**
     * Takes back the pages of positions {@code [from, to)}, the last of which may be partly filled.
     *
     * @param slots slot of each position
     * @param from a multiple of the page size
     * @throws EngineException INTERNAL when a page is free already or was never given out
     */
    public void free(int[] slots, int from, int to) {
        if (from % pageTokens != 0) {
            throw new EngineException(
                    EngineException.Code.INTERNAL, "pages are freed whole: position " + from + " is inside a page");
        }
        if (from >= to) {
            return;
        }
        // From the last page down, so that the next sequence gets them in ascending order.
        for (int i = from + (to - 1 - from) / pageTokens * pageTokens; i >= from; i -= pageTokens) {
            int page = slots[i] / pageTokens;
            if (page < 1 || page > pages || isFree(page)) {
                throw new EngineException(
                        EngineException.Code.INTERNAL, "slot " + slots[i] + " is freed but nobody holds it");
            }
            stack[free++] = page;
            mark(page);
        }
    }

    /** True while the slot's page is in the free list. */
    public boolean isFreeSlot(int slot) {
        return isFree(slot / pageTokens);
    }

    private int take() {
        int page = stack[--free];
        freeBits[page >> 6] &= ~(1L << page);
        return page;
    }

    private boolean isFree(int page) {
        return (freeBits[page >> 6] & 1L << page) != 0;
    }

    private void mark(int page) {
        freeBits[page >> 6] |= 1L << page;
    }
}
