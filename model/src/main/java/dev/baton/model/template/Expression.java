package dev.baton.model.template;

import java.util.List;
import org.jspecify.annotations.Nullable;

/** Expressions of the language. */
sealed interface Expression {
    /** None, true, false, a string or a number. */
    record Constant(@Nullable Object value) implements Expression {}

    /** A variable. */
    record Name(String name) implements Expression {}

    /** {@code [a, b]}. */
    record ListOf(List<Expression> items) implements Expression {}

    /** {@code (a, b)}. */
    record TupleOf(List<Expression> items) implements Expression {}

    /** {@code {k: v}}. */
    record DictOf(List<Expression> keys, List<Expression> values) implements Expression {}

    /** {@code object.name}. */
    record Attribute(Expression object, String name) implements Expression {}

    /** {@code object[key]}. */
    record Item(Expression object, Expression key) implements Expression {}

    /** {@code object[from:to:step]}. */
    record Slice(
            @Nullable Expression from,
            @Nullable Expression to,
            @Nullable Expression step) implements Expression {}

    /** {@code callee(arguments)}. */
    record Call(Expression callee, CallArguments arguments) implements Expression {}

    /** {@code value | name(arguments)}; the value is null in a filter block and is put in there. */
    record Filter(@Nullable Expression value, String name, CallArguments arguments) implements Expression {}

    /** {@code value is name(arguments)}. */
    record Test(Expression value, String name, CallArguments arguments) implements Expression {}

    /** {@code -value}, {@code +value}. */
    record Signed(String operator, Expression value) implements Expression {}

    /** {@code not value}. */
    record Not(Expression value) implements Expression {}

    /** {@code left and right}. */
    record And(Expression left, Expression right) implements Expression {}

    /** {@code left or right}. */
    record Or(Expression left, Expression right) implements Expression {}

    /** Arithmetic: {@code + - * / // % **}. */
    record Binary(String operator, Expression left, Expression right) implements Expression {}

    /** {@code a ~ b ~ c}. */
    record Concat(List<Expression> parts) implements Expression {}

    /** {@code first op second op third}: every neighbouring pair must hold. */
    record Compare(Expression first, List<String> operators, List<Expression> others) implements Expression {}

    /** {@code then if test else otherwise}. */
    record Conditional(
            Expression test, Expression then, @Nullable Expression otherwise) implements Expression {}

    /** Arguments as written. */
    record CallArguments(
            List<Expression> positional,
            List<String> names,
            List<Expression> named,
            @Nullable Expression starred,
            @Nullable Expression doubleStarred) {
        static final CallArguments NONE = new CallArguments(List.of(), List.of(), List.of(), null, null);
    }
}
