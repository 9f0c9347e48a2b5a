package dev.baton.engine;

/** A request or engine that cannot go on; the server maps the code to a status. */
public final class EngineException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** The kinds of fault. */
    public enum Code {
        /** The request can never be served as it is (400). */
        INVALID_REQUEST,
        /** The waiting queue stands at its limit (503, Retry-After). */
        QUEUE_FULL,
        /** The engine is closing or has failed (503). */
        UNAVAILABLE,
        /** A configuration that cannot start. */
        CONFIGURATION,
        /** KV transfer with the other role failed (500). */
        TRANSFER,
        /** A fault of ours (500). */
        INTERNAL
    }

    private final Code code;

    public EngineException(Code code, String message) {
        super(message);
        this.code = code;
    }

    public EngineException(Code code, String message, Throwable cause) {
        super(message, cause);
        this.code = code;
    }

    public Code code() {
        return code;
    }
}
