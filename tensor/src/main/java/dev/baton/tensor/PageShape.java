package dev.baton.tensor;

/**
 * How a page's rows lie on two sides, all in bytes: row r of page p begins at {@code offset + (p * rows + r) * stride}.
 *
 * @param rows tokens of a page
 * @param width bytes of a row that are copied
 */
public record PageShape(int rows, long fromStride, long fromOffset, long toStride, long toOffset, long width) {
    public PageShape {
        if (rows < 1 || width < 1 || fromOffset < 0 || toOffset < 0) {
            throw new TensorException(TensorException.Code.SHAPE, "rows and width of a page must be at least 1");
        }
        if (fromOffset + width > fromStride || toOffset + width > toStride) {
            throw new TensorException(
                    TensorException.Code.SHAPE,
                    "rows of " + width + " bytes at " + fromOffset + " and " + toOffset
                            + " do not lie within strides of " + fromStride + " and " + toStride + " bytes");
        }
    }

    /** Bytes of one page. */
    public long pageBytes() {
        return width * rows;
    }

    /** The same bytes with a page as one row, where nothing lies between its rows on either side. */
    public PageShape joined() {
        return width == fromStride && width == toStride
                ? new PageShape(1, pageBytes(), 0, pageBytes(), 0, pageBytes())
                : this;
    }

    /** The largest power of two, at most 16, that divides all strides, offsets and the width. */
    public int unitBytes() {
        long all = fromStride | fromOffset | toStride | toOffset | width | 16;
        return (int) Long.lowestOneBit(all);
    }
}
