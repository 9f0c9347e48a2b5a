package dev.baton.engine.grammar;

import dev.baton.engine.EngineException;
import dev.baton.engine.grammar.Expression.Chars;
import dev.baton.engine.grammar.Expression.Choice;
import dev.baton.engine.grammar.Expression.Repeat;
import dev.baton.engine.grammar.Expression.Rule;
import dev.baton.engine.grammar.Expression.Sequence;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Reads a grammar in the EBNF of GBNF and XGrammar: {@code name ::= body}, alternatives with {@code |}, strings in double
 * quotes, classes in brackets, {@code .} for any character, groups, the repetitions {@code * + ? {n} {n,} {n,m}}, and comments
 * after {@code #}. The rule {@code root} is the whole. A rule that begins with itself is turned into a repetition; other left
 * recursion is refused by name.
 */
final class EbnfParser {
    private static final int MAX_COUNT = 100_000;
    private static final int MAX_DEPTH = 200;

    private final String field;
    private final int[] text;
    private int at;
    private int depth;

    private EbnfParser(String source, String field) {
        this.field = field;
        this.text = source.codePoints().toArray();
    }

    /** The rules by name; {@code root} is among them. */
    static Map<String, Expression> parse(String source, String field) {
        return new EbnfParser(source, field).rules();
    }

    private Map<String, Expression> rules() {
        Map<String, Expression> rules = new LinkedHashMap<>();
        skip();
        while (at < text.length) {
            String name = name();
            if (name == null || !define()) {
                throw fault("a rule must begin with 'name ::='");
            }
            Expression body = alternatives(name);
            if (rules.putIfAbsent(name, body) != null) {
                throw fault("rule '" + name + "' is defined twice");
            }
        }
        if (!rules.containsKey("root")) {
            throw fault("rule 'root' is missing: it is where a grammar begins");
        }
        return rules;
    }

    /** Alternatives; those that begin with {@code self} become what follows any of the others. */
    private Expression alternatives(@Nullable String self) {
        if (++depth > MAX_DEPTH) {
            throw fault("groups are nested more than " + MAX_DEPTH + " deep");
        }
        List<Expression> first = new ArrayList<>();
        List<Expression> again = new ArrayList<>();
        do {
            skip();
            List<Expression> parts = sequence();
            if (self != null
                    && !parts.isEmpty()
                    && parts.getFirst() instanceof Rule(String name)
                    && name.equals(self)) {
                again.add(new Sequence(List.copyOf(parts.subList(1, parts.size()))));
            } else {
                first.add(new Sequence(parts));
            }
        } while (take('|'));
        depth--;
        Expression body = first.size() == 1 ? first.getFirst() : new Choice(first);
        return again.isEmpty()
                ? body
                : Expression.sequence(body, new Repeat(new Choice(again), 0, Expression.UNBOUNDED));
    }

    private List<Expression> sequence() {
        List<Expression> parts = new ArrayList<>();
        while (at < text.length && text[at] != '|' && text[at] != ')' && !atRule()) {
            Expression part = element();
            skip();
            parts.add(repeated(part));
        }
        return parts;
    }

    private Expression repeated(Expression element) {
        Expression part = element;
        while (at < text.length) {
            if (take('*')) {
                part = new Repeat(part, 0, Expression.UNBOUNDED);
            } else if (take('+')) {
                part = new Repeat(part, 1, Expression.UNBOUNDED);
            } else if (take('?')) {
                part = new Repeat(part, 0, 1);
            } else if (take('{')) {
                int least = number();
                int most = !take(',') ? least : at < text.length && text[at] == '}' ? Expression.UNBOUNDED : number();
                if (!take('}') || most < least) {
                    throw fault("a repetition must be {n}, {n,} or {n,m} with n not above m");
                }
                part = new Repeat(part, least, most);
            } else {
                return part;
            }
            skip();
        }
        return part;
    }

    private int number() {
        skip();
        int from = at;
        int value = 0;
        while (at < text.length && text[at] >= '0' && text[at] <= '9') {
            value = value * 10 + text[at++] - '0';
            if (value > MAX_COUNT) {
                throw fault("a count above " + MAX_COUNT + " is not supported");
            }
        }
        if (at == from) {
            throw fault("a repetition must be {n}, {n,} or {n,m}");
        }
        skip();
        return value;
    }

    private Expression element() {
        int c = text[at];
        return switch (c) {
            case '"' -> string();
            case '[' -> new Chars(charClass());
            case '.' -> {
                at++;
                yield new Chars(CodePoints.ALL);
            }
            case '(' -> {
                at++;
                skip();
                if (at < text.length && text[at] == '=') {
                    throw fault("lookahead '(=' is not supported");
                }
                Expression body = alternatives(null);
                if (!take(')')) {
                    throw fault("a ')' is missing");
                }
                yield body;
            }
            default -> {
                String name = name();
                if (name == null) {
                    throw fault("unexpected '" + Character.toString(c) + "'");
                }
                if (at < text.length && text[at] == '(') {
                    throw fault("'" + name + "(' (a macro) is not supported");
                }
                yield new Rule(name);
            }
        };
    }

    private Expression string() {
        at++;
        List<Expression> parts = new ArrayList<>();
        while (at < text.length && text[at] != '"') {
            if (text[at] == '\n') {
                throw fault("a string has no end on its line");
            }
            int c = text[at++];
            parts.add(new Chars(CodePoints.of(c == '\\' ? escape() : c)));
        }
        if (at >= text.length) {
            throw fault("a string has no end");
        }
        at++;
        return new Sequence(parts);
    }

    private CodePoints charClass() {
        at++;
        boolean negated = at < text.length && text[at] == '^';
        at += negated ? 1 : 0;
        CodePoints set = CodePoints.NONE;
        while (at < text.length && text[at] != ']') {
            int first = text[at++];
            if (first == '\\' && at < text.length && CharClasses.narrow(text[at]) != null) {
                set = set.or(java.util.Objects.requireNonNull(CharClasses.narrow(text[at++])));
                continue;
            }
            first = first == '\\' ? escape() : first;
            int last = first;
            if (at + 1 < text.length && text[at] == '-' && text[at + 1] != ']') {
                at++;
                last = text[at++];
                last = last == '\\' ? escape() : last;
            }
            if (last < first) {
                throw fault("the range from '" + Character.toString(first) + "' is out of order");
            }
            set = set.or(CodePoints.range(first, last));
        }
        if (at >= text.length) {
            throw fault("a ']' is missing");
        }
        at++;
        return negated ? set.not() : set;
    }

    private int escape() {
        if (at >= text.length) {
            throw fault("it ends with a backslash");
        }
        int c = text[at++];
        return switch (c) {
            case 'n' -> '\n';
            case 't' -> '\t';
            case 'r' -> '\r';
            case 'f' -> '\f';
            case 'b' -> '\b';
            case 'v' -> 0x0B;
            case 'a' -> 0x07;
            case 'e' -> 0x1B;
            case '0' -> 0;
            case 'x' -> hex(2);
            case 'u' -> hex(4);
            case 'U' -> hex(8);
            default -> {
                if (c < 128 && Character.isLetterOrDigit(c)) {
                    throw fault("the escape '\\" + (char) c + "' is not supported");
                }
                yield c;
            }
        };
    }

    private int hex(int digits) {
        int value = 0;
        for (int i = 0; i < digits; i++) {
            int digit = at < text.length ? Character.digit(text[at], 16) : -1;
            if (digit < 0) {
                throw fault("a hexadecimal escape is not complete");
            }
            value = value << 4 | digit;
            at++;
        }
        if (value < 0 || value > 0x10FFFF || value >= 0xD800 && value <= 0xDFFF) {
            throw fault(String.format("U+%04X is no character", value));
        }
        return value;
    }

    /** Whether a rule's definition begins here. */
    private boolean atRule() {
        int from = at;
        boolean rule = name() != null && define();
        at = from;
        return rule;
    }

    private boolean define() {
        skip();
        if (at + 2 < text.length && text[at] == ':' && text[at + 1] == ':' && text[at + 2] == '=') {
            at += 3;
            skip();
            return true;
        }
        return false;
    }

    private @Nullable String name() {
        int from = at;
        while (at < text.length
                && (text[at] == '_'
                        || text[at] == '-'
                        || text[at] == '.' && at > from
                        || text[at] < 128 && Character.isLetterOrDigit(text[at]))) {
            at++;
        }
        return at == from ? null : new String(text, from, at - from);
    }

    private boolean take(int c) {
        if (at < text.length && text[at] == c) {
            at++;
            return true;
        }
        return false;
    }

    private void skip() {
        while (at < text.length) {
            if (text[at] == '#') {
                while (at < text.length && text[at] != '\n') {
                    at++;
                }
            } else if (Character.isWhitespace(text[at])) {
                at++;
            } else {
                return;
            }
        }
    }

    private EngineException fault(String what) {
        int line = 1;
        for (int i = 0; i < Math.min(at, text.length); i++) {
            line += text[i] == '\n' ? 1 : 0;
        }
        return GrammarFault.of(field, what + " (line " + line + ")");
    }
}
