package dev.baton.tensor.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.baton.tensor.Tensor;
import java.lang.foreign.Arena;
import org.junit.jupiter.api.Test;

/** Rows become columns bit by bit, and nothing else is written. */
class ColumnsTest {
    @Test
    void everyElementOfRowsGoesToItsColumn() {
        try (Arena arena = Arena.ofConfined()) {
            Samples samples = new Samples(arena, 3);
            int count = 3 * Lanes.COUNT;
            Tensor rows = samples.floats(Lanes.COUNT, count + 5);
            Tensor columns = samples.floats(count + 1, Lanes.COUNT + 7);
            Tensor before = samples.copy(columns);
            Columns.fromRows(
                    Native.address(rows),
                    Native.rowBytes(rows),
                    count - Lanes.COUNT + 1,
                    Native.address(columns),
                    Native.rowBytes(columns));
            for (int c = 0; c <= count; c++) {
                for (int r = 0; r < Lanes.COUNT + 7; r++) {
                    float expected =
                            c < count && r < Lanes.COUNT ? Elements.get(rows, r, c) : Elements.get(before, c, r);
                    assertThat(Float.floatToRawIntBits(Elements.get(columns, c, r)))
                            .as("row %d, column %d", c, r)
                            .isEqualTo(Float.floatToRawIntBits(expected));
                }
            }
        }
    }

    @Test
    void sixteenRowsInRegistersEqualOneByOne() {
        assumeThat(Lanes.COUNT).as("vectors of 16 floats").isEqualTo(16);
        try (Arena arena = Arena.ofConfined()) {
            Samples samples = new Samples(arena, 4);
            Tensor rows = samples.floats(16, 19);
            Tensor fast = samples.floats(16, 21);
            Tensor slow = samples.copy(fast);
            Columns.sixteen(Native.address(rows), Native.rowBytes(rows), Native.address(fast), Native.rowBytes(fast));
            Columns.oneByOne(Native.address(rows), Native.rowBytes(rows), Native.address(slow), Native.rowBytes(slow));
            assertThat(Samples.bits(fast)).isEqualTo(Samples.bits(slow));
        }
    }
}
