package dev.baton.lab;

/** What went wrong in the laboratory; the text names the field, file or server, what was seen, and the remedy. */
public final class LabException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** The kinds of fault. */
    public enum Code {
        /** A flag or key is unknown or has a value it cannot have. */
        INVALID_CONFIG,
        /** A data set file is missing or does not have the form it must have. */
        DATASET,
        /** A server did not answer, or answered a control call with an error. */
        SERVER,
        /** Every warm-up request failed. */
        WARMUP_FAILED,
        /** A wait reached its deadline. */
        TIMEOUT,
        /** The run was interrupted; what was measured is kept. */
        INTERRUPTED,
        /** A file could not be read or written. */
        IO
    }

    private final Code code;

    public LabException(Code code, String message) {
        super(message);
        this.code = code;
    }

    public LabException(Code code, String message, Throwable cause) {
        super(message, cause);
        this.code = code;
    }

    public Code code() {
        return code;
    }
}
