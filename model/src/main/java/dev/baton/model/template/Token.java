package dev.baton.model.template;

import org.jspecify.annotations.Nullable;

/**
 * A token of a template.
 *
 * @param text the data, the name, the operator or the text as written
 * @param value of literals: String, Long or Double
 * @param line from 1
 */
record Token(Type type, String text, @Nullable Object value, int line) {
    /** Kinds of tokens. */
    enum Type {
        DATA,
        BLOCK_BEGIN,
        BLOCK_END,
        VARIABLE_BEGIN,
        VARIABLE_END,
        NAME,
        STRING,
        INTEGER,
        FLOAT,
        OPERATOR,
        END
    }

    boolean name(String name) {
        return type == Type.NAME && text.equals(name);
    }

    boolean operator(String operator) {
        return type == Type.OPERATOR && text.equals(operator);
    }

    /** For error messages. */
    String describe() {
        return switch (type) {
            case BLOCK_BEGIN -> "begin of statement block";
            case BLOCK_END -> "end of statement block";
            case VARIABLE_BEGIN -> "begin of print statement";
            case VARIABLE_END -> "end of print statement";
            case DATA -> "template data";
            case END -> "end of template";
            case NAME, STRING, INTEGER, FLOAT, OPERATOR -> text;
        };
    }
}
