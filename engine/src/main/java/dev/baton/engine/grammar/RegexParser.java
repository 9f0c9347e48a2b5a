package dev.baton.engine.grammar;

import dev.baton.engine.EngineException;
import dev.baton.engine.grammar.Expression.Chars;
import dev.baton.engine.grammar.Expression.Choice;
import dev.baton.engine.grammar.Expression.Repeat;
import dev.baton.engine.grammar.Expression.Sequence;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Reads a regular expression as Python, ECMAScript and Java agree on it: alternatives, groups, classes, quantifiers,
 * escapes, {@code ^} and {@code $} at the ends of the whole. What needs more than an automaton (look-around,
 * backreferences, word boundaries, atomic groups, flags) is refused by name.
 */
final class RegexParser {
    /** A count in braces above this is refused: it would be that many states. */
    private static final int MAX_COUNT = 100_000;

    private static final int MAX_DEPTH = 200;

    /** One of the alternatives that the whole expression has, and whether it holds to the text's ends. */
    record Alternative(Expression body, boolean fromStart, boolean toEnd) {}

    private final String field;
    private final int[] text;
    private int at;
    private int depth;

    private RegexParser(String pattern, String field) {
        this.field = field;
        this.text = pattern.codePoints().toArray();
    }

    /** What matches the pattern as a whole; anchors at its ends say nothing then. */
    static Expression whole(String pattern, String field) {
        return new Choice(new RegexParser(pattern, field)
                .all().stream().map(Alternative::body).toList());
    }

    /** Any text in which the pattern is found: what it does not hold to an end of may have anything there. */
    static Expression found(String pattern, String field) {
        Expression anything = Expression.any(CodePoints.ALL);
        return new Choice(new RegexParser(pattern, field)
                .all().stream()
                        .map(a -> Expression.sequence(
                                a.fromStart ? Expression.EMPTY : anything,
                                a.body,
                                a.toEnd ? Expression.EMPTY : anything))
                        .toList());
    }

    /** The pattern's alternatives. */
    static List<Alternative> alternatives(String pattern, String field) {
        return new RegexParser(pattern, field).all();
    }

    private List<Alternative> all() {
        List<Alternative> list = new ArrayList<>();
        do {
            boolean start = false;
            while (anchor('^', 'A')) {
                start = true;
            }
            List<Expression> parts = new ArrayList<>();
            boolean end = false;
            while (at < text.length && text[at] != '|') {
                if (anchor('$', 'z') || anchor('$', 'Z')) {
                    end = true;
                    if (at < text.length && text[at] != '|' && text[at] != '$') {
                        throw fault("'$' before the end is not supported");
                    }
                } else {
                    parts.add(quantified());
                }
            }
            list.add(new Alternative(new Sequence(parts), start, end));
        } while (take('|'));
        if (at < text.length) {
            throw fault("unmatched '" + Character.toString(text[at]) + "'");
        }
        return list;
    }

    private boolean anchor(int sign, int letter) {
        if (at < text.length && text[at] == sign) {
            at++;
            return true;
        }
        if (at + 1 < text.length && text[at] == '\\' && text[at + 1] == letter) {
            at += 2;
            return true;
        }
        return false;
    }

    private Expression alternation() {
        if (++depth > MAX_DEPTH) {
            throw fault("groups are nested more than " + MAX_DEPTH + " deep");
        }
        List<Expression> options = new ArrayList<>();
        do {
            List<Expression> parts = new ArrayList<>();
            while (at < text.length && text[at] != '|' && text[at] != ')') {
                parts.add(quantified());
            }
            options.add(new Sequence(parts));
        } while (take('|'));
        depth--;
        return options.size() == 1 ? options.getFirst() : new Choice(options);
    }

    private Expression quantified() {
        Expression part = atom();
        while (at < text.length) {
            int least;
            int most;
            switch (text[at]) {
                case '*' -> {
                    least = 0;
                    most = Expression.UNBOUNDED;
                    at++;
                }
                case '+' -> {
                    least = 1;
                    most = Expression.UNBOUNDED;
                    at++;
                }
                case '?' -> {
                    least = 0;
                    most = 1;
                    at++;
                }
                case '{' -> {
                    int[] counts = counts();
                    if (counts == null) {
                        return part;
                    }
                    least = counts[0];
                    most = counts[1];
                }
                default -> {
                    return part;
                }
            }
            if (take('+')) {
                throw fault("possessive quantifiers are not supported");
            }
            // A reluctant quantifier matches the same texts.
            take('?');
            part = new Repeat(part, least, most);
        }
        return part;
    }

    /** {@code {n}}, {@code {n,}} or {@code {n,m}}; null, and nothing taken, when it is a brace like any other. */
    private int @Nullable [] counts() {
        int from = at++;
        int least = number();
        int most = least;
        if (least >= 0 && take(',')) {
            most = at < text.length && text[at] == '}' ? Expression.UNBOUNDED : number();
        }
        if (least < 0 || most < 0 || !take('}')) {
            at = from;
            return null;
        }
        if (most < least) {
            throw fault("the counts {" + least + "," + most + "} are out of order");
        }
        return new int[] {least, most};
    }

    private int number() {
        int value = -1;
        while (at < text.length && text[at] >= '0' && text[at] <= '9') {
            value = Math.max(value, 0) * 10 + text[at++] - '0';
            if (value > MAX_COUNT) {
                throw fault("a count above " + MAX_COUNT + " is not supported");
            }
        }
        return value;
    }

    private Expression atom() {
        int c = text[at++];
        return switch (c) {
            case '(' -> group();
            case '[' -> new Chars(charClass());
            case '.' -> new Chars(CharClasses.LINE_ENDS.not());
            case '\\' -> new Chars(escape(false));
            case '^' -> throw fault("'^' behind the beginning is not supported");
            case '$' -> throw fault("'$' before the end is not supported");
            case '*', '+', '?' -> throw fault("nothing to repeat before '" + (char) c + "'");
            case '{' -> {
                at--;
                if (counts() != null) {
                    throw fault("nothing to repeat before '{'");
                }
                at++;
                yield new Chars(CodePoints.of(c));
            }
            case ')' -> throw fault("unmatched ')'");
            default -> new Chars(CodePoints.of(c));
        };
    }

    private Expression group() {
        if (take('?')) {
            String rest = rest(3);
            if (rest.startsWith("#")) {
                while (at < text.length && text[at] != ')') {
                    at++;
                }
                close();
                return Expression.EMPTY;
            }
            if (rest.startsWith(":")) {
                at++;
            } else if (rest.startsWith("=") || rest.startsWith("!")) {
                throw fault("lookahead '(?" + rest.charAt(0) + "' is not supported");
            } else if (rest.startsWith("<=") || rest.startsWith("<!")) {
                throw fault("lookbehind '(?" + rest.substring(0, 2) + "' is not supported");
            } else if (rest.startsWith(">")) {
                throw fault("atomic groups '(?>' are not supported");
            } else if (rest.startsWith("<") || rest.startsWith("P<")) {
                while (at < text.length && text[at++] != '>') {
                    // the group's name
                }
            } else if (rest.startsWith("P=")) {
                throw fault("backreferences are not supported");
            } else {
                throw fault("the group '(?" + rest + "' (flags or conditions) is not supported");
            }
        }
        Expression body = alternation();
        close();
        return body;
    }

    private void close() {
        if (!take(')')) {
            throw fault("a ')' is missing");
        }
    }

    private String rest(int length) {
        return new String(text, at, Math.min(length, text.length - at));
    }

    private boolean take(int c) {
        if (at < text.length && text[at] == c) {
            at++;
            return true;
        }
        return false;
    }

    private CodePoints charClass() {
        boolean negated = take('^');
        CodePoints narrow = CodePoints.NONE;
        CodePoints wide = CodePoints.NONE;
        boolean first = true;
        while (true) {
            if (at >= text.length) {
                throw fault("a ']' is missing");
            }
            int c = text[at++];
            if (c == ']' && !first) {
                break;
            }
            first = false;
            if (c == '[' && at < text.length && text[at] == ':') {
                throw fault("POSIX classes '[:' are not supported");
            }
            int letter = c == '\\' && at < text.length ? text[at] : -1;
            if (c == '\\' && CharClasses.narrow(letter) != null) {
                at++;
                narrow = narrow.or(java.util.Objects.requireNonNull(CharClasses.narrow(letter)));
                wide = wide.or(CharClasses.wide(letter));
                continue;
            }
            CodePoints item = c == '\\' ? escape(true) : CodePoints.of(c);
            boolean single = item.rangeCount() == 1 && item.first(0) == item.last(0);
            if (single && at + 1 < text.length && text[at] == '-' && text[at + 1] != ']') {
                item = range(item.first(0));
            }
            narrow = narrow.or(item);
            wide = wide.or(item);
        }
        return negated ? wide.not() : narrow;
    }

    private CodePoints range(int first) {
        at++;
        int c = text[at++];
        CodePoints end = c == '\\' ? escape(true) : CodePoints.of(c);
        if (end.rangeCount() != 1 || end.first(0) != end.last(0) || end.first(0) < first) {
            throw fault("the range from '" + Character.toString(first) + "' is out of order");
        }
        return CodePoints.range(first, end.first(0));
    }

    private CodePoints escape(boolean inClass) {
        if (at >= text.length) {
            throw fault("it ends with a backslash");
        }
        int c = text[at++];
        CodePoints known = CharClasses.narrow(c);
        if (known != null) {
            return known;
        }
        return switch (c) {
            case 'D', 'W', 'S' -> CharClasses.wide(Character.toLowerCase(c)).not();
            case 't' -> CodePoints.of('\t');
            case 'n' -> CodePoints.of('\n');
            case 'r' -> CodePoints.of('\r');
            case 'f' -> CodePoints.of('\f');
            case 'v' -> CodePoints.of(0x0B);
            case 'a' -> CodePoints.of(0x07);
            case 'e' -> CodePoints.of(0x1B);
            case '0' -> CodePoints.of(0);
            case 'x' -> CodePoints.of(hex(2));
            case 'u' -> CodePoints.of(hex(4));
            case 'p', 'P' -> property(c == 'P');
            case 'b' -> {
                if (inClass) {
                    yield CodePoints.of('\b');
                }
                throw fault("the word boundary '\\b' is not supported");
            }
            case 'B' -> throw fault("the word boundary '\\B' is not supported");
            case '1', '2', '3', '4', '5', '6', '7', '8', '9', 'k' -> throw fault("backreferences are not supported");
            default -> {
                if (c < 128 && Character.isLetterOrDigit(c)) {
                    throw fault("the escape '\\" + (char) c + "' is not supported");
                }
                yield CodePoints.of(c);
            }
        };
    }

    private int hex(int digits) {
        boolean braces = take('{');
        int end = at;
        while (end < text.length && Character.digit(text[end], 16) >= 0 && end - at < (braces ? 6 : digits)) {
            end++;
        }
        if (end == at || !braces && end - at != digits) {
            throw fault("a hexadecimal escape is not complete");
        }
        int value = Integer.parseInt(new String(text, at, end - at), 16);
        at = end;
        if (braces && !take('}')) {
            throw fault("a hexadecimal escape is not complete");
        }
        if (value >= 0xD800 && value <= 0xDBFF && rest(2).equals("\\u")) {
            at += 2;
            int low = hex(4);
            value = Character.toCodePoint((char) value, (char) low);
        }
        if (value > 0x10FFFF || value >= 0xD800 && value <= 0xDFFF) {
            throw fault(String.format("U+%04X is no character", value));
        }
        return value;
    }

    private CodePoints property(boolean negated) {
        int from = at;
        if (!take('{')) {
            throw fault("'\\p' needs a name in braces");
        }
        while (at < text.length && text[at] != '}') {
            at++;
        }
        String name = new String(text, from + 1, at - from - 1);
        if (!take('}')) {
            throw fault("'\\p{' has no end");
        }
        CodePoints set = CharClasses.property(name);
        if (set == null) {
            throw fault("the property '\\p{" + name + "}' is not known");
        }
        return negated ? set.not() : set;
    }

    private EngineException fault(String what) {
        return GrammarFault.of(
                field,
                what + " (at character " + at + " of /" + new String(text, 0, Math.min(100, text.length)) + "/)");
    }
}
