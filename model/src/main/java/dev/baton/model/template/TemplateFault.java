package dev.baton.model.template;

/** A template that cannot be parsed or rendered; leaves the package as a ModelException that quotes the line. */
final class TemplateFault extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final String kind;
    /** Line of the template, from 1; 0 while unknown. */
    private int line;

    /** @param kind the name of Python's exception, which a reader can look up */
    TemplateFault(String kind, String message) {
        this(kind, message, 0);
    }

    TemplateFault(String kind, String message, int line) {
        super(message, null, false, false);
        this.kind = kind;
        this.line = line;
    }

    static TemplateFault type(String message) {
        return new TemplateFault("TypeError", message);
    }

    static TemplateFault value(String message) {
        return new TemplateFault("ValueError", message);
    }

    static TemplateFault syntax(String message, int line) {
        return new TemplateFault("TemplateSyntaxError", message, line);
    }

    static TemplateFault unsupported(String what) {
        return new TemplateFault("NotImplementedError", what + " is not supported");
    }

    String kind() {
        return kind;
    }

    int line() {
        return line;
    }

    /** States the line unless an inner statement did. */
    TemplateFault at(int statementLine) {
        if (line == 0) {
            line = statementLine;
        }
        return this;
    }
}
