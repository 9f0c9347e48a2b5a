package dev.baton.tensor.cpu;

import java.lang.foreign.Arena;

/**
 * Working memory of one worker thread: native blocks that grow to the largest use and stay, so that steady work
 * allocates nothing. Contents do not survive an operator.
 */
final class Scratch {
    /** Accumulators of the largest tile. */
    final float[] lanes = new float[24 * Lanes.COUNT];
    /** Sums of {@link #lanes}. */
    final float[] sums = new float[24];
    /** Biases of the tile's output features. */
    final float[] bias = new float[8];

    /** Rows of x, packed. */
    final Block x;
    /** Weight rows as floats. */
    final Block w;
    /** Results that are not yet where they belong. */
    final Block y;
    /** Scores of attention. */
    final Block scores;
    /** Cache rows as floats. */
    final Block cache;
    /** A product that this thread configures for itself. */
    final MatrixProduct product = new MatrixProduct();

    final GateChoice gate = new GateChoice();
    private float[] floats = new float[0];

    Scratch(Arena arena) {
        this.x = new Block(arena);
        this.w = new Block(arena);
        this.y = new Block(arena);
        this.scores = new Block(arena);
        this.cache = new Block(arena);
    }

    /** At least {@code count} floats on the heap, contents undefined. */
    float[] floats(int count) {
        if (floats.length < count) {
            floats = new float[count];
        }
        return floats;
    }

    /** One growing block. */
    static final class Block {
        private final Arena arena;
        private long bytes;
        private long address;

        Block(Arena arena) {
            this.arena = arena;
        }

        long address() {
            return address;
        }

        /** Address of at least {@code needed} bytes, 64-byte aligned; contents undefined. */
        long ensure(long needed) {
            if (needed > bytes) {
                // The smaller block before stays until the device closes: doubling bounds the sum of all of them.
                bytes = Math.max(needed, Math.max(2 * bytes, 16 << 10));
                bytes = (bytes + 63) / 64 * 64;
                address = arena.allocate(bytes, CpuDevice.ALIGNMENT_BYTES).address();
            }
            return address;
        }
    }
}
