package dev.baton.serve.openai.tool;

import java.util.BitSet;

/** Follows the text of one JSON object character by character: where it stands, whether it is broken, when it has ended. */
final class JsonObjectScan {
    private static final int MAX_DEPTH = 512;

    enum State {
        /** More is to come. */
        OPEN,
        /** The character was the last one. */
        COMPLETE,
        /** The character cannot stand here. */
        BROKEN
    }

    private enum Expect {
        VALUE,
        VALUE_OR_END,
        KEY,
        KEY_OR_END,
        COLON,
        COMMA_OR_END,
        STRING,
        ESCAPE,
        UNICODE,
        SCALAR
    }

    private Expect expect = Expect.VALUE;
    /** By depth: whether an object is open there. */
    private final BitSet objects = new BitSet();

    private int depth;
    private boolean inKey;
    private int unicodeDigits;
    private final StringBuilder scalar = new StringBuilder();

    /** Objects and arrays that are open. */
    int depth() {
        return depth;
    }

    /** Whether the characters belong to a name of the outermost object. */
    boolean inOuterKey() {
        return depth == 1 && inKey && (expect == Expect.STRING || expect == Expect.ESCAPE || expect == Expect.UNICODE);
    }

    /** Whether the next thing is a value of the outermost object. */
    boolean atOuterValue() {
        return depth == 1 && expect == Expect.VALUE;
    }

    /** Whether a value of the outermost object has just ended or none has begun. */
    boolean betweenOuterMembers() {
        return depth == 1 && (expect == Expect.COMMA_OR_END || expect == Expect.KEY || expect == Expect.KEY_OR_END);
    }

    State next(char c) {
        return switch (expect) {
            case STRING -> string(c);
            case ESCAPE -> escape(c);
            case UNICODE -> {
                if (Character.digit(c, 16) < 0 || c > 'f') {
                    yield State.BROKEN;
                }
                expect = --unicodeDigits == 0 ? Expect.STRING : Expect.UNICODE;
                yield State.OPEN;
            }
            case SCALAR -> scalar(c);
            default -> isSpace(c) ? State.OPEN : structure(c);
        };
    }

    private static boolean isSpace(char c) {
        return c == ' ' || c == '\n' || c == '\r' || c == '\t';
    }

    private State string(char c) {
        if (c == '"') {
            expect = inKey ? Expect.COLON : Expect.COMMA_OR_END;
            return State.OPEN;
        }
        if (c == '\\') {
            expect = Expect.ESCAPE;
            return State.OPEN;
        }
        return c < 0x20 ? State.BROKEN : State.OPEN;
    }

    private State escape(char c) {
        if (c == 'u') {
            unicodeDigits = 4;
            expect = Expect.UNICODE;
            return State.OPEN;
        }
        expect = Expect.STRING;
        return "\"\\/bfnrt".indexOf(c) >= 0 ? State.OPEN : State.BROKEN;
    }

    private State scalar(char c) {
        if (c == ',' || c == '}' || c == ']' || isSpace(c)) {
            if (!scalar.toString().matches("true|false|null|-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][+-]?[0-9]+)?")) {
                return State.BROKEN;
            }
            expect = Expect.COMMA_OR_END;
            return next(c);
        }
        if (scalar.length() > 400) {
            return State.BROKEN;
        }
        scalar.append(c);
        return State.OPEN;
    }

    private State structure(char c) {
        switch (expect) {
            case VALUE, VALUE_OR_END -> {
                if (c == ']' && expect == Expect.VALUE_OR_END) {
                    return close(false);
                }
                return value(c);
            }
            case KEY, KEY_OR_END -> {
                if (c == '"') {
                    inKey = true;
                    expect = Expect.STRING;
                    return State.OPEN;
                }
                return c == '}' && expect == Expect.KEY_OR_END ? close(true) : State.BROKEN;
            }
            case COLON -> {
                inKey = false;
                expect = Expect.VALUE;
                return c == ':' ? State.OPEN : State.BROKEN;
            }
            default -> {
                if (c == ',') {
                    expect = objects.get(depth) ? Expect.KEY : Expect.VALUE;
                    return State.OPEN;
                }
                return c == '}' || c == ']' ? close(c == '}') : State.BROKEN;
            }
        }
    }

    private State value(char c) {
        if (depth == 0 && c != '{') {
            return State.BROKEN;
        }
        switch (c) {
            case '"' -> {
                inKey = false;
                expect = Expect.STRING;
            }
            case '{', '[' -> {
                if (++depth > MAX_DEPTH) {
                    return State.BROKEN;
                }
                objects.set(depth, c == '{');
                expect = c == '{' ? Expect.KEY_OR_END : Expect.VALUE_OR_END;
            }
            default -> {
                if (!Character.isLetterOrDigit(c) && c != '-') {
                    return State.BROKEN;
                }
                scalar.setLength(0);
                scalar.append(c);
                expect = Expect.SCALAR;
            }
        }
        return State.OPEN;
    }

    private State close(boolean object) {
        if (objects.get(depth) != object) {
            return State.BROKEN;
        }
        depth--;
        expect = Expect.COMMA_OR_END;
        return depth == 0 ? State.COMPLETE : State.OPEN;
    }
}
