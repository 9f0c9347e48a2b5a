package dev.baton.tensor;

/** A fault of a device or of a call to it. */
public final class TensorException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** The kinds of fault. */
    public enum Code {
        /** Shapes or strides do not fit together. */
        SHAPE,
        /** A dtype that the operation does not take. */
        DTYPE,
        /** The device has not enough memory; the text says what to lower. */
        OUT_OF_MEMORY,
        /** A device, driver or library is missing or too old. */
        UNAVAILABLE,
        /** The device reported an error: a kernel that failed, a fault of the card. Its work is lost. */
        FAULT,
        /** Another rank did not arrive within the deadline, or failed. */
        PEER
    }

    private final Code code;

    public TensorException(Code code, String message) {
        super(message);
        this.code = code;
    }

    public TensorException(Code code, String message, Throwable cause) {
        super(message, cause);
        this.code = code;
    }

    public Code code() {
        return code;
    }
}
