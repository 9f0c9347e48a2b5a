package dev.baton.engine.arch;

import dev.baton.model.DType;
import dev.baton.model.Float8;
import dev.baton.model.config.Quantization;
import dev.baton.model.safetensors.StoredTensor;
import dev.baton.model.safetensors.WeightSource;
import dev.baton.tensor.Tensor;
import java.lang.foreign.ValueLayout;

/**
 * An F8_E4M3 matrix and the F32 multipliers of its 128 x 128 blocks, which a checkpoint keeps under the matrix's name
 * and {@code _scale_inv} (DeepSeek-V3 technical report, section 3.3). The last block of a row or column may be cut off.
 *
 * @param stored F8_E4M3 [rows, columns]
 * @param blockScales [ceil(rows / 128), ceil(columns / 128)]
 */
record BlockScaled(StoredTensor stored, float[] blockScales) {
    private static final int BLOCK = Quantization.DEEPSEEK.blockRows();

    /** @throws dev.baton.model.ModelException INVALID_WEIGHTS when the scales are missing or of another shape */
    static BlockScaled of(WeightSource source, StoredTensor stored) {
        long[] shape = stored.shape();
        StoredTensor scales =
                source.get(stored.name() + "_scale_inv", DType.F32, blocks((int) shape[0]), blocks((int) shape[1]));
        return new BlockScaled(stored, scales.toFloats());
    }

    /** Rows {@code [row, row + rows)} and columns {@code [column, column + columns)} of a matrix. */
    record Part(int row, int rows, int column, int columns) {
        /** Whether the part begins where a block does, so that its scales are a part of the matrix's. */
        boolean startsBlock() {
            return row % BLOCK == 0 && column % BLOCK == 0;
        }

        int blockRows() {
            return blocks(rows);
        }

        int blockColumns() {
            return blocks(columns);
        }
    }

    private static int blocks(int elements) {
        return (elements + BLOCK - 1) / BLOCK;
    }

    /** A part as it is stored, without its scales. */
    Tensor matrix(Part part) {
        return Tensor.dense(stored.data(), stored.dtype(), stored.shape())
                .rowRange(part.row, part.rows)
                .columnRange(part.column, part.columns);
    }

    /** The scales of a part that starts a block: [blockRows, blockColumns]. */
    float[] scales(Part part) {
        int stride = blocks((int) stored.shape()[1]);
        float[] scales = new float[part.blockRows() * part.blockColumns()];
        for (int i = 0; i < part.blockRows(); i++) {
            int from = (part.row / BLOCK + i) * stride + part.column / BLOCK;
            System.arraycopy(blockScales, from, scales, i * part.blockColumns(), part.blockColumns());
        }
        return scales;
    }

    /**
     * A part with the scales multiplied in: F32 [rows, columns]. A rank's share that begins inside a block is held so,
     * at four times the bytes; a layout whose shares are multiples of 128 needs none.
     */
    float[] expand(Part part) {
        int columns = (int) stored.shape()[1];
        int stride = blocks(columns);
        float[] values = new float[Math.multiplyExact(part.rows, part.columns)];
        for (int i = 0; i < part.rows; i++) {
            int row = part.row + i;
            for (int j = 0; j < part.columns; j++) {
                int column = part.column + j;
                byte code = stored.data().get(ValueLayout.JAVA_BYTE, (long) row * columns + column);
                values[i * part.columns + j] =
                        Float8.e4m3ToFloat(code) * blockScales[row / BLOCK * stride + column / BLOCK];
            }
        }
        return values;
    }
}
