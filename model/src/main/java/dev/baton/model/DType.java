package dev.baton.model;

/** Element types of weights, activations and caches; the names are those of safetensors. */
public enum DType {
    F32(4),
    F16(2),
    BF16(2),
    /** E4M3 "fn": bias 7, largest 448, no infinities. */
    F8_E4M3(1),
    F8_E5M2(1),
    F64(8),
    I64(8),
    I32(4),
    I16(2),
    I8(1),
    U8(1),
    BOOL(1);

    private final int bytes;

    DType(int bytes) {
        this.bytes = bytes;
    }

    /** Bytes of one element. */
    public int bytes() {
        return bytes;
    }
}
