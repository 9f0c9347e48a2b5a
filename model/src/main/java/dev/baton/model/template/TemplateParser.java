package dev.baton.model.template;

import dev.baton.model.template.Statement.Branch;
import dev.baton.model.template.Statement.Signature;
import dev.baton.model.template.Statement.Target;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Parses a template into statements. */
final class TemplateParser {
    private static final Set<String> SPECIAL = Set.of("caller", "kwargs", "varargs");

    private final TokenStream stream;
    private final NameRecord names = new NameRecord();
    private final ExpressionParser expressions;
    private final Map<String, Statement.Block> blocks = new HashMap<>();
    private int loops;

    private TemplateParser(TokenStream stream) {
        this.stream = stream;
        this.expressions = new ExpressionParser(stream, names);
    }

    /** @param blocks all of the template, by name */
    record Parsed(List<Statement> body, Map<String, Statement.Block> blocks) {}

    static Parsed parse(String template) {
        TemplateParser parser = new TemplateParser(new TokenStream(Lexer.tokens(template)));
        List<Statement> body = parser.until();
        parser.names.refuseUnknown(0);
        return new Parsed(body, parser.blocks);
    }

    /** Statements up to a tag of one of the {@code ends}, whose name is then the current token, or to the end. */
    private List<Statement> until(String... ends) {
        List<Statement> body = new ArrayList<>();
        while (true) {
            Token token = stream.next();
            switch (token.type()) {
                case DATA -> body.add(new Statement.Data(token.text(), token.line()));
                case VARIABLE_BEGIN -> {
                    body.add(new Statement.Print(expressions.tuple(true, false, null), token.line()));
                    stream.expect(Token.Type.VARIABLE_END, "'}}'");
                }
                case BLOCK_BEGIN -> {
                    Token name = stream.current();
                    if (name.type() == Token.Type.NAME && Arrays.asList(ends).contains(name.text())) {
                        return body;
                    }
                    body.addAll(statement());
                    stream.expect(Token.Type.BLOCK_END, "'%}'");
                }
                default -> {
                    if (ends.length > 0) {
                        throw TemplateFault.syntax(
                                "Unexpected end of template. Jinja was looking for the following tags: "
                                        + String.join(" or ", ends),
                                token.line());
                    }
                    return body;
                }
            }
        }
    }

    /** The body of a tag, after the rest of the tag. */
    private List<Statement> body(String... ends) {
        stream.skipOperator(":");
        stream.expect(Token.Type.BLOCK_END, "'%}'");
        return until(ends);
    }

    /** A body that ends with {@code end}, in a scope where unknown filters are refused at once. */
    private List<Statement> scopedBody(String end) {
        int mark = names.unknownMark();
        List<Statement> body = body(end);
        names.refuseUnknown(mark);
        stream.expectName(end);
        return body;
    }

    private List<Statement> statement() {
        Token tag = stream.expect(Token.Type.NAME, "a tag name");
        int line = tag.line();
        return switch (tag.text()) {
            case "if" -> List.of(ifStatement(line));
            case "for" -> List.of(forStatement(line));
            case "set" -> List.of(set(line));
            case "macro" -> List.of(macro(line));
            case "call" -> List.of(callBlock(line));
            case "filter" -> {
                Expression.Filter filter = filters(expressions.filter(null));
                yield List.of(new Statement.FilterBlock(filter, scopedBody("endfilter"), line));
            }
            case "with" -> List.of(with(line));
            case "generation" -> List.of(new Statement.With(List.of(), List.of(), scopedBody("endgeneration"), line));
            case "autoescape" -> List.of(autoescape(line));
            case "print" -> print(line);
            case "break", "continue" -> List.of(loopControl(tag));
            case "block" -> List.of(block(line));
            case "extends", "include", "import", "from" -> List.of(other(tag.text(), line));
            default -> throw TemplateFault.syntax("Encountered unknown tag '" + tag.text() + "'.", line);
        };
    }

    private Statement ifStatement(int line) {
        int mark = names.unknownMark();
        List<Branch> branches = new ArrayList<>();
        Expression test = expressions.tuple(false, false, null);
        while (true) {
            branches.add(new Branch(test, body("elif", "else", "endif")));
            if (stream.skipName("elif")) {
                test = expressions.tuple(false, false, null);
                continue;
            }
            if (stream.skipName("else")) {
                branches.add(new Branch(null, body("endif")));
            }
            stream.expectName("endif");
            names.forgiveUnknown(mark);
            return new Statement.If(branches, line);
        }
    }

    private Statement forStatement(int line) {
        Target target = target("in", false);
        stream.expectName("in");
        Expression iterable = expressions.tuple(false, false, "recursive");
        int mark = names.unknownMark();
        Expression test = stream.skipName("if") ? expressions.expression() : null;
        boolean recursive = stream.skipName("recursive");
        loops++;
        List<Statement> body = body("endfor", "else");
        loops--;
        List<Statement> otherwise = stream.skipName("else") ? body("endfor") : List.of();
        names.refuseUnknown(mark);
        stream.expectName("endfor");
        return new Statement.For(target, iterable, test, recursive, body, otherwise, line);
    }

    private Statement block(int line) {
        String name = stream.expect(Token.Type.NAME, "a block name").text();
        boolean scoped = stream.skipName("scoped");
        boolean required = stream.skipName("required");
        if (stream.current().operator("-")) {
            throw TemplateFault.syntax(
                    "Block names in Jinja have to be valid Python identifiers and may not contain hyphens, use an"
                            + " underscore instead.",
                    line);
        }
        int outerLoops = loops;
        loops = 0;
        List<Statement> body = scopedBody("endblock");
        loops = outerLoops;
        boolean empty = body.stream()
                .allMatch(statement -> statement instanceof Statement.Data data
                        && PythonText.strip(data.text(), null, true, true).isEmpty());
        if (required && !empty) {
            throw TemplateFault.syntax("Required blocks can only contain comments or whitespace", line);
        }
        stream.skipName(name);
        Statement.Block block = new Statement.Block(name, scoped, required, body, line);
        if (blocks.put(name, block) != null) {
            throw new TemplateFault(
                    "TemplateAssertionError", "block " + PythonText.repr(name) + " defined twice", line);
        }
        return block;
    }

    /** A template may name others; only reaching the tag fails, as where jinja2 has no loader. */
    private Statement other(String tag, int line) {
        Expression template = expressions.expression();
        boolean ignoring = false;
        switch (tag) {
            case "include" -> {
                ignoring = stream.skipName("ignore");
                if (ignoring) {
                    stream.expectName("missing");
                }
                context();
            }
            case "import" -> {
                stream.expectName("as");
                target(null, false);
                context();
            }
            case "from" -> importedNames();
            default -> {}
        }
        return new Statement.Other(template, ignoring, line);
    }

    private boolean context() {
        if (stream.current().name("with") || stream.current().name("without")) {
            stream.next();
            stream.expectName("context");
            return true;
        }
        return false;
    }

    private void importedNames() {
        stream.expectName("import");
        do {
            if (context()) {
                return;
            }
            Token name = stream.expect(Token.Type.NAME, "a name");
            if (name.text().startsWith("_")) {
                throw new TemplateFault(
                        "TemplateAssertionError", "names starting with an underline can not be imported", name.line());
            }
            if (stream.skipName("as")) {
                stream.expect(Token.Type.NAME, "a name");
            }
        } while (!context() && stream.skipOperator(","));
    }

    private Statement set(int line) {
        Target target = target(null, true);
        if (stream.skipOperator("=")) {
            return new Statement.Assign(target, expressions.tuple(true, false, null), line);
        }
        Expression.Filter filter = stream.current().operator("|") ? filters(expressions.filter(null)) : null;
        return new Statement.SetBlock(target, filter, scopedBody("endset"), line);
    }

    /** Further filters after the first. */
    private Expression.Filter filters(Expression.Filter first) {
        Expression.Filter filter = first;
        while (stream.current().operator("|")) {
            filter = expressions.filter(filter);
        }
        return filter;
    }

    private Statement macro(int line) {
        String name = stream.expect(Token.Type.NAME, "a macro name").text();
        int outerLoops = loops;
        loops = 0;
        names.beginMacro();
        Parameters parameters = parameters();
        List<Statement> body = scopedBody("endmacro");
        loops = outerLoops;
        return new Statement.MacroDefinition(signature(name, parameters, line), body, line);
    }

    private Statement callBlock(int line) {
        int outerLoops = loops;
        loops = 0;
        names.beginMacro();
        Parameters parameters = stream.current().operator("(") ? parameters() : new Parameters(List.of(), List.of());
        if (!(expressions.expression() instanceof Expression.Call call)) {
            throw TemplateFault.syntax("expected call", line);
        }
        List<Statement> body = scopedBody("endcall");
        loops = outerLoops;
        return new Statement.CallBlock(signature("caller", parameters, line), call, body, line);
    }

    private record Parameters(List<String> names, List<Expression> defaults) {}

    private Parameters parameters() {
        stream.expectOperator("(");
        List<String> names = new ArrayList<>();
        List<Expression> defaults = new ArrayList<>();
        while (!stream.current().operator(")")) {
            if (!names.isEmpty()) {
                stream.expectOperator(",");
            }
            Token name = stream.expect(Token.Type.NAME, "a parameter name");
            if (stream.skipOperator("=")) {
                defaults.add(expressions.expression());
            } else if (!defaults.isEmpty()) {
                throw TemplateFault.syntax("non-default argument follows default argument", name.line());
            }
            names.add(name.text());
        }
        stream.expectOperator(")");
        return new Parameters(names, defaults);
    }

    private Signature signature(String name, Parameters parameters, int line) {
        Set<String> catches = new HashSet<>(names.endMacro());
        catches.retainAll(SPECIAL);
        int caller = parameters.names.indexOf("caller");
        if (caller >= 0 && caller < parameters.names.size() - parameters.defaults.size()) {
            throw new TemplateFault(
                    "TemplateAssertionError",
                    "When defining macros or call blocks the special \"caller\" argument must be omitted or be given"
                            + " a default.",
                    line);
        }
        parameters.names.forEach(catches::remove);
        return new Signature(name, parameters.names, parameters.defaults, catches);
    }

    private Statement with(int line) {
        List<Target> targets = new ArrayList<>();
        List<Expression> values = new ArrayList<>();
        while (stream.current().type() != Token.Type.BLOCK_END) {
            if (!targets.isEmpty()) {
                stream.expectOperator(",");
            }
            targets.add(target(null, false));
            stream.expectOperator("=");
            values.add(expressions.expression());
        }
        return new Statement.With(targets, values, scopedBody("endwith"), line);
    }

    private Statement autoescape(int line) {
        Expression option = expressions.expression();
        if (!option.equals(new Expression.Constant(false))) {
            throw new TemplateFault("NotImplementedError", "autoescape other than false is not supported", line);
        }
        return new Statement.With(List.of(), List.of(), scopedBody("endautoescape"), line);
    }

    private List<Statement> print(int line) {
        List<Statement> prints = new ArrayList<>();
        while (stream.current().type() != Token.Type.BLOCK_END) {
            if (!prints.isEmpty()) {
                stream.expectOperator(",");
            }
            prints.add(new Statement.Print(expressions.expression(), line));
        }
        return prints;
    }

    private Statement loopControl(Token tag) {
        if (loops == 0) {
            throw new TemplateFault("SyntaxError", "'" + tag.text() + "' outside loop", tag.line());
        }
        return tag.name("break") ? new Statement.Break(tag.line()) : new Statement.Continue(tag.line());
    }

    /** One or several assignment targets. */
    private Target target(@Nullable String endName, boolean namespaces) {
        List<Target> targets = new ArrayList<>();
        boolean several = false;
        while (true) {
            if (!targets.isEmpty()) {
                stream.expectOperator(",");
            }
            if (expressions.tupleEnds(endName) || stream.current().operator("=")) {
                break;
            }
            targets.add(oneTarget(namespaces));
            if (!stream.current().operator(",")) {
                break;
            }
            several = true;
        }
        if (targets.isEmpty()) {
            throw stream.unexpected("an assignment target");
        }
        return several ? new Target.Several(targets) : targets.getFirst();
    }

    private Target oneTarget(boolean namespaces) {
        if (stream.skipOperator("(")) {
            Target inner = target(null, namespaces);
            stream.expectOperator(")");
            return inner;
        }
        Token name = stream.expect(Token.Type.NAME, "a name");
        if (Set.of("true", "false", "none", "True", "False", "None").contains(name.text())) {
            throw TemplateFault.syntax("can't assign to '" + name.text() + "'", name.line());
        }
        if (namespaces && stream.skipOperator(".")) {
            return new Target.NamespaceAttribute(
                    name.text(),
                    stream.expect(Token.Type.NAME, "an attribute name").text());
        }
        return new Target.Variable(name.text());
    }
}
