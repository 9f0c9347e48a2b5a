package dev.baton.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** What is put into the page-locked buffers, without a GPU. */
final class WeightStreamTest {
    private static final byte POISON = 0x5A;

    @Test
    void rowsInARowAreDividedAmongThreads() {
        try (Arena arena = Arena.ofShared()) {
            compare(arena, 1, 7_340_033, 7_340_033, 3_000_001);
        }
    }

    @Test
    void rowsApartAreClosedUpAcrossBuffers() {
        try (Arena arena = Arena.ofShared()) {
            compare(arena, 301, 10_007, 25_003, 1_300_001);
            compare(arena, 9, 2_500_001, 2_500_010, 4_000_000);
            compare(arena, 5, 1, 3, 2);
        }
    }

    @Test
    void memoryOfOneThreadIsReadByThatThread() {
        try (Arena arena = Arena.ofConfined()) {
            compare(arena, 40, 100_003, 100_100, 3_000_000);
        }
    }

    /** Fills buffers of {@code most} bytes until all rows are through. */
    private static void compare(Arena arena, int rows, int rowBytes, int strideBytes, int most) {
        byte[] all = new byte[(rows - 1) * strideBytes + rowBytes];
        new Random(rows).nextBytes(all);
        MemorySegment from = arena.allocate(all.length);
        MemorySegment.copy(all, 0, from, ValueLayout.JAVA_BYTE, 0, all.length);
        MemorySegment buffer = Arena.ofAuto().allocate(most + 1L);
        byte[] got = new byte[rows * rowBytes];
        for (int at = 0; at < got.length; at += most) {
            int count = Math.min(most, got.length - at);
            buffer.fill(POISON);
            WeightStream.fill(from, rowBytes, strideBytes, at, buffer, count);
            assertThat(buffer.get(ValueLayout.JAVA_BYTE, count)).isEqualTo(POISON);
            MemorySegment.copy(buffer, ValueLayout.JAVA_BYTE, 0, got, at, count);
        }
        byte[] expected = new byte[got.length];
        for (int row = 0; row < rows; row++) {
            System.arraycopy(all, row * strideBytes, expected, row * rowBytes, rowBytes);
        }
        assertThat(got).isEqualTo(expected);
    }
}
