package dev.baton.engine.disagg.transfer;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/** KV memory with known contents for the tests. */
final class Caches {
    private Caches() {}

    /** Latent layout: one head, one buffer a layer. */
    static KvLayout latent(int layers, int pageTokens, int tokenBytes) {
        return KvLayout.uniform("m", layers, 1, pageTokens, HeadShare.whole(1), "BF16", tokenBytes);
    }

    /** Grouped layout of one rank of {@code ranks}. */
    static KvLayout grouped(int layers, int pageTokens, int heads, int headBytes, int ranks, int rank) {
        return KvLayout.uniform("m", layers, 2, pageTokens, HeadShare.of(heads, ranks, rank), "F32", headBytes);
    }

    /** The layout of a rank that holds some of the layers. */
    static KvLayout stage(KvLayout whole, LayerRange held) {
        return new KvLayout(
                whole.model(),
                whole.layers(),
                held,
                whole.pageTokens(),
                whole.heads(),
                whole.buffers().subList(0, whole.kinds() * held.count()));
    }

    /** Private memory. */
    static KvRegion region(KvLayout layout, int pages) {
        List<MemorySegment> buffers = new ArrayList<>();
        for (int i = 0; i < layout.buffers().size(); i++) {
            buffers.add(Arena.ofAuto().allocate(layout.pageBytes(i) * pages, 64));
        }
        return new KvRegion(layout, buffers, null);
    }

    static KvRegion shared(KvLayout layout, int pages) {
        return KvRegion.allocateShared(layout, pages * layout.pageTokens());
    }

    /** The byte at {@code offset} of head {@code head} of prompt token {@code token} in buffer {@code buffer} of the model. */
    static byte value(long seed, int buffer, int token, int head, int offset) {
        long x = seed * 0x9E3779B97F4A7C15L + buffer * 1_000_003L + token * 10_007L + head * 131L + offset;
        x ^= x >>> 29;
        x *= 0xBF58476D1CE4E5B9L;
        return (byte) (x >>> 40);
    }

    /** Writes the prompt of this seed in the given pages. */
    static void write(KvRegion region, int[] pages, long seed) {
        visit(region, pages, seed, true);
    }

    /** The first difference between these pages and the prompt of this seed; empty when there is none. */
    static String difference(KvRegion region, int[] pages, long seed) {
        return visit(region, pages, seed, false);
    }

    private static String visit(KvRegion region, int[] pages, long seed, boolean write) {
        KvLayout layout = region.layout();
        for (int b = 0; b < layout.buffers().size(); b++) {
            MemorySegment buffer = region.buffers().get(b);
            int held = layout.held().count();
            int ofModel = b / held * layout.layers() + layout.held().first() + b % held;
            int headBytes = layout.buffers().get(b).headBytes();
            for (int token = 0; token < pages.length * layout.pageTokens(); token++) {
                long slot =
                        (long) pages[token / layout.pageTokens()] * layout.pageTokens() + token % layout.pageTokens();
                for (int h = 0; h < layout.heads().count(); h++) {
                    for (int o = 0; o < headBytes; o++) {
                        long at = slot * layout.tokenBytes(b) + (long) h * headBytes + o;
                        byte expected =
                                value(seed, ofModel, token, layout.heads().first() + h, o);
                        if (write) {
                            buffer.set(ValueLayout.JAVA_BYTE, at, expected);
                        } else if (buffer.get(ValueLayout.JAVA_BYTE, at) != expected) {
                            return "buffer " + b + ", token " + token + ", head " + h + ", byte " + o;
                        }
                    }
                }
            }
        }
        return "";
    }

    /** Distinct random page numbers from 1 to {@code poolPages - 1}, sometimes consecutive. */
    static int[] pages(int count, int poolPages, long seed) {
        Random random = new Random(seed);
        List<Integer> all = new ArrayList<>();
        for (int i = 1; i < poolPages; i++) {
            all.add(i);
        }
        for (int i = 0; i < all.size() - 1; i++) {
            if (random.nextInt(3) > 0) {
                java.util.Collections.swap(all, i, i + random.nextInt(all.size() - i));
            }
        }
        return all.stream().limit(count).mapToInt(Integer::intValue).toArray();
    }
}
