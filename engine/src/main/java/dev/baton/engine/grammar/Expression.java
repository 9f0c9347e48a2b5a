package dev.baton.engine.grammar;

import java.util.List;

/** What may be matched, in code points. Objects may be shared: equal parts need not be copies. */
sealed interface Expression {
    /** The empty text. */
    Expression EMPTY = new Sequence(List.of());

    /** Nothing at all, not even the empty text. */
    Expression NEVER = new Choice(List.of());

    /** One code point of a set. */
    record Chars(CodePoints set) implements Expression {}

    /** One after the other. */
    record Sequence(List<Expression> parts) implements Expression {}

    /** Any one of them. */
    record Choice(List<Expression> options) implements Expression {}

    /** {@code least} to {@code most} times ({@link #UNBOUNDED} for any number). */
    record Repeat(Expression part, int least, int most) implements Expression {}

    /** What a rule matches. */
    record Rule(String name) implements Expression {}

    /** What an automaton over code points accepts, each code point written as it stands in a JSON string or plainly. */
    record Machine(CharNfa nfa, boolean jsonEscaped) implements Expression {}

    int UNBOUNDED = Integer.MAX_VALUE;

    static Expression literal(String text) {
        return new Sequence(text.codePoints()
                .mapToObj(c -> (Expression) new Chars(CodePoints.of(c)))
                .toList());
    }

    static Expression sequence(Expression... parts) {
        return new Sequence(List.of(parts));
    }

    static Expression choice(Expression... options) {
        return new Choice(List.of(options));
    }

    static Expression optional(Expression part) {
        return new Choice(List.of(part, EMPTY));
    }

    static Expression any(CodePoints set) {
        return new Repeat(new Chars(set), 0, UNBOUNDED);
    }
}
