package dev.baton.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** What is put into the page-locked buffers, without a GPU. */
final class HostRowsTest {
    private static final byte POISON = 0x5A;

    @Test
    void rowsInARowAreCutAnywhere() {
        compare(1, 7_340_033, 7_340_033, 3_000_001);
        compare(1, 5, 5, 5);
    }

    @Test
    void rowsApartAreClosedUp() {
        compare(301, 10_007, 25_003, 1_300_001);
        compare(9, 250_001, 250_010, 400_000);
        compare(5, 1, 3, 2);
    }

    /** Fills buffers of {@code most} bytes until all rows are through. */
    private static void compare(int rows, int rowBytes, int strideBytes, int most) {
        byte[] all = new byte[(rows - 1) * strideBytes + rowBytes];
        new Random().nextBytes(all);
        MemorySegment buffer = Arena.ofAuto().allocate(most + 1L);
        byte[] got = new byte[rows * rowBytes];
        HostRows from = new HostRows(MemorySegment.ofArray(all), rowBytes, strideBytes, got.length);
        for (int at = 0; at < got.length; at += most) {
            int count = Math.min(most, got.length - at);
            buffer.fill(POISON);
            from.pack(at, count, buffer);
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
