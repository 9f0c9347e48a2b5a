package dev.baton.trace;

/** A trace that cannot be written, read or merged. */
public final class TraceException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** The kinds of fault. */
    public enum Code {
        /** The file system refused. */
        IO,
        /** The file is not a trace. */
        MALFORMED
    }

    private final Code code;

    public TraceException(Code code, String message, Throwable cause) {
        super(message, cause);
        this.code = code;
    }

    public Code code() {
        return code;
    }
}
