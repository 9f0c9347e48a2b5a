package dev.baton.model;

/** What is wrong with a model repository's files; the text names the file, the field, the value and what is supported. */
public final class ModelException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** The kinds of fault. */
    public enum Code {
        /** A file or folder that must be there is not, or cannot be read. */
        NOT_FOUND,
        /** A field of a configuration file is missing, mistyped or out of range. */
        INVALID_CONFIG,
        /** The files ask for something that this version does not do (an architecture, a rope type, a quantisation). */
        UNSUPPORTED,
        /** A safetensors file is corrupt, or a tensor is missing or has another shape than the configuration says. */
        INVALID_WEIGHTS,
        /** tokenizer.json is malformed. */
        INVALID_TOKENIZER,
        /** Token ids or text that the tokenizer cannot take. */
        INVALID_INPUT,
        /** A chat template does not parse, fails while rendering, or refuses the conversation (raise_exception). */
        TEMPLATE
    }

    private final Code code;

    public ModelException(Code code, String message) {
        super(message);
        this.code = code;
    }

    public ModelException(Code code, String message, Throwable cause) {
        super(message, cause);
        this.code = code;
    }

    public Code code() {
        return code;
    }
}
