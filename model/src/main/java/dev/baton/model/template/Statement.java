package dev.baton.model.template;

import dev.baton.model.template.Expression.Call;
import dev.baton.model.template.Expression.Filter;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Statements of the language; each knows the line it begins at, from 1. */
sealed interface Statement {
    int line();

    /** Text. */
    record Data(String text, int line) implements Statement {}

    /** {@code {{ value }}}. */
    record Print(Expression value, int line) implements Statement {}

    /** {@code {% if %}} with all its branches; a branch without test is the else. */
    record If(List<Branch> branches, int line) implements Statement {}

    /** One branch. */
    record Branch(@Nullable Expression test, List<Statement> body) {}

    /** {@code {% for %}}. */
    record For(
            Target target,
            Expression iterable,
            @Nullable Expression test,
            boolean recursive,
            List<Statement> body,
            List<Statement> otherwise,
            int line)
            implements Statement {}

    /** {@code {% set target = value %}}. */
    record Assign(Target target, Expression value, int line) implements Statement {}

    /** {@code {% set target %}}body{@code {% endset %}}. */
    record SetBlock(Target target, @Nullable Filter filter, List<Statement> body, int line) implements Statement {}

    /** {@code {% macro %}}. */
    record MacroDefinition(Signature signature, List<Statement> body, int line) implements Statement {}

    /** {@code {% call(arguments) macro() %}}. */
    record CallBlock(Signature signature, Call call, List<Statement> body, int line) implements Statement {}

    /** {@code {% filter name %}}. */
    record FilterBlock(Filter filter, List<Statement> body, int line) implements Statement {}

    /** {@code {% with a = b %}}, and other tags whose body has its own scope. */
    record With(List<Target> targets, List<Expression> values, List<Statement> body, int line) implements Statement {}

    /**
     * {@code {% block name %}}.
     *
     * @param scoped sees the variables around it
     */
    record Block(String name, boolean scoped, boolean required, List<Statement> body, int line) implements Statement {}

    /**
     * A tag that needs another template: {@code extends}, {@code include}, {@code import}, {@code from}.
     *
     * @param ignoring a template that does not exist is left out
     */
    record Other(Expression template, boolean ignoring, int line) implements Statement {}

    /** {@code {% break %}}. */
    record Break(int line) implements Statement {}

    /** {@code {% continue %}}. */
    record Continue(int line) implements Statement {}

    /**
     * What a macro takes.
     *
     * @param defaults of the last parameters
     * @param catches which of caller, kwargs and varargs its body names
     */
    record Signature(String name, List<String> parameters, List<Expression> defaults, Set<String> catches) {}

    /** What an assignment assigns to. */
    sealed interface Target {
        /** A variable. */
        record Variable(String name) implements Target {}

        /** {@code namespace.attribute}. */
        record NamespaceAttribute(String namespace, String attribute) implements Target {}

        /** Several, for unpacking. */
        record Several(List<Target> targets) implements Target {}
    }
}
