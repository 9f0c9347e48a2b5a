package dev.baton.bench.kernel;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import java.util.concurrent.CountDownLatch;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorSpecies;

/** The two bounds of every kernel: how fast memory can be read, and how fast multiply-adds run in registers. */
final class Bounds {
    private static final VectorSpecies<Float> FLOATS = FloatVector.SPECIES_PREFERRED;
    private static final VectorSpecies<Integer> INTS = IntVector.SPECIES_PREFERRED;
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();
    /** Independent accumulators: more than latency (4) times ports (2). */
    private static final int CHAINS = 12;

    /** Keeps results alive. */
    static volatile double sink;

    private Bounds() {}

    /** Reads all of the memory once, in {@code threads} equal parts. */
    static void read(MemorySegment memory, int threads) {
        long part = memory.byteSize() / threads / 4096 * 4096;
        parallel(threads, thread -> sink += sum(memory.asSlice(thread * part, part)));
    }

    private static int sum(MemorySegment memory) {
        int chunk = 1 << 20;
        int total = 0;
        for (long at = 0; at + chunk <= memory.byteSize(); at += chunk) {
            total += sumChunk(memory.asSlice(at, chunk), chunk);
        }
        return total;
    }

    private static int sumChunk(MemorySegment memory, int bytes) {
        IntVector a = IntVector.zero(INTS);
        IntVector b = IntVector.zero(INTS);
        IntVector c = IntVector.zero(INTS);
        IntVector d = IntVector.zero(INTS);
        int step = INTS.vectorByteSize();
        for (int i = 0; i < bytes; i += 4 * step) {
            a = a.add(IntVector.fromMemorySegment(INTS, memory, (long) i, ORDER));
            b = b.add(IntVector.fromMemorySegment(INTS, memory, (long) i + step, ORDER));
            c = c.add(IntVector.fromMemorySegment(INTS, memory, (long) i + 2 * step, ORDER));
            d = d.add(IntVector.fromMemorySegment(INTS, memory, (long) i + 3 * step, ORDER));
        }
        return a.add(b).add(c.add(d)).lane(0);
    }

    /** Floating-point operations of {@link #multiplyAdd}. */
    static double operations(int iterations, int threads) {
        return 2.0 * CHAINS * FLOATS.length() * iterations * threads;
    }

    /** Multiply-adds that touch no memory, on each of {@code threads} threads. */
    static void multiplyAdd(int iterations, int threads) {
        parallel(threads, thread -> sink += chains(iterations));
    }

    private static float chains(int iterations) {
        float total = 0;
        for (int done = 0; done < iterations; done += 1000) {
            total += thousand();
        }
        return total;
    }

    private static float thousand() {
        FloatVector a = FloatVector.broadcast(FLOATS, 0.1f);
        FloatVector b = FloatVector.broadcast(FLOATS, 0.2f);
        FloatVector c = FloatVector.broadcast(FLOATS, 0.3f);
        FloatVector d = FloatVector.broadcast(FLOATS, 0.4f);
        FloatVector e = FloatVector.broadcast(FLOATS, 0.5f);
        FloatVector f = FloatVector.broadcast(FLOATS, 0.6f);
        FloatVector g = FloatVector.broadcast(FLOATS, 0.7f);
        FloatVector h = FloatVector.broadcast(FLOATS, 0.8f);
        FloatVector i = FloatVector.broadcast(FLOATS, 0.9f);
        FloatVector j = FloatVector.broadcast(FLOATS, 1.0f);
        FloatVector k = FloatVector.broadcast(FLOATS, 1.1f);
        FloatVector l = FloatVector.broadcast(FLOATS, 1.2f);
        FloatVector factor = FloatVector.broadcast(FLOATS, 0.999f);
        FloatVector term = FloatVector.broadcast(FLOATS, 0.001f);
        for (int n = 0; n < 1000; n++) {
            a = a.fma(factor, term);
            b = b.fma(factor, term);
            c = c.fma(factor, term);
            d = d.fma(factor, term);
            e = e.fma(factor, term);
            f = f.fma(factor, term);
            g = g.fma(factor, term);
            h = h.fma(factor, term);
            i = i.fma(factor, term);
            j = j.fma(factor, term);
            k = k.fma(factor, term);
            l = l.fma(factor, term);
        }
        FloatVector sum =
                a.add(b).add(c.add(d)).add(e.add(f).add(g.add(h))).add(i.add(j).add(k.add(l)));
        return sum.lane(0);
    }

    /** Work of one thread. */
    private interface Part {
        void run(int thread);
    }

    private static void parallel(int threads, Part part) {
        CountDownLatch others = new CountDownLatch(threads - 1);
        for (int thread = 1; thread < threads; thread++) {
            int index = thread;
            Thread.ofPlatform().start(() -> {
                part.run(index);
                others.countDown();
            });
        }
        part.run(0);
        try {
            others.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
