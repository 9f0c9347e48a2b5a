package dev.baton.protocol;

/** What is wrong with a message, flag or file of the dialect; the text names the field, the value and the remedy. */
public final class ProtocolException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** The kinds of fault; a server maps each to one HTTP status. */
    public enum Code {
        /** A field has a wrong type, range or combination: 400. */
        INVALID_REQUEST,
        /** A launch flag is unknown or has a value it cannot have. */
        INVALID_FLAG,
        /** A flag of the dialect that this version does not serve yet. */
        NOT_YET,
        /** A line or file does not have the form it must have. */
        MALFORMED
    }

    private final Code code;

    public ProtocolException(Code code, String message) {
        super(message);
        this.code = code;
    }

    public ProtocolException(Code code, String message, Throwable cause) {
        super(message, cause);
        this.code = code;
    }

    public Code code() {
        return code;
    }
}
