package dev.baton.serve;

/** A request that cannot be answered as asked, or a server that cannot start; {@link Code} carries the HTTP status. */
public final class ServeException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** The kinds of fault and the one status of each; 0 where no client is there to be told. */
    public enum Code {
        BAD_REQUEST(400),
        NOT_FOUND(404),
        METHOD_NOT_ALLOWED(405),
        TOO_LARGE(413),
        QUEUE_FULL(503),
        UNAVAILABLE(503),
        INTERNAL(500),
        /** The address to bind is taken or not ours. */
        BIND(0),
        /** The warm-up request failed. */
        WARMUP(0);

        private final int status;

        Code(int status) {
            this.status = status;
        }

        public int status() {
            return status;
        }
    }

    private final Code code;

    public ServeException(Code code, String message) {
        super(message);
        this.code = code;
    }

    public ServeException(Code code, String message, Throwable cause) {
        super(message, cause);
        this.code = code;
    }

    public Code code() {
        return code;
    }
}
