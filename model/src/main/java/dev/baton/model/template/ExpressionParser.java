package dev.baton.model.template;

import dev.baton.model.template.Expression.CallArguments;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Parses expressions with jinja2's grammar and precedence. */
final class ExpressionParser {
    private static final Set<String> COMPARISONS = Set.of("==", "!=", "<", "<=", ">", ">=");

    private final TokenStream stream;
    private final NameRecord nameRecord;

    ExpressionParser(TokenStream stream, NameRecord nameRecord) {
        this.stream = stream;
        this.nameRecord = nameRecord;
    }

    Expression expression() {
        return conditional();
    }

    /** @param conditional whether {@code a if b} may stand at the top */
    Expression tuple(boolean conditional, boolean parenthesized, @Nullable String endName) {
        List<Expression> items = new ArrayList<>();
        boolean isTuple = false;
        while (true) {
            if (!items.isEmpty()) {
                stream.expectOperator(",");
            }
            if (tupleEnds(endName)) {
                break;
            }
            items.add(conditional ? conditional() : or());
            if (!stream.current().operator(",")) {
                break;
            }
            isTuple = true;
        }
        if (!isTuple) {
            if (!items.isEmpty()) {
                return items.getFirst();
            }
            if (!parenthesized) {
                throw stream.unexpected("an expression");
            }
        }
        return new Expression.TupleOf(items);
    }

    boolean tupleEnds(@Nullable String endName) {
        Token token = stream.current();
        return token.type() == Token.Type.VARIABLE_END
                || token.type() == Token.Type.BLOCK_END
                || token.operator(")")
                || (endName != null && token.name(endName));
    }

    private Expression conditional() {
        int mark = nameRecord.unknownMark();
        Expression then = or();
        while (stream.skipName("if")) {
            Expression test = or();
            Expression otherwise = stream.skipName("else") ? conditional() : null;
            then = new Expression.Conditional(test, then, otherwise);
            nameRecord.forgiveUnknown(mark);
        }
        return then;
    }

    private Expression or() {
        Expression left = and();
        while (stream.skipName("or")) {
            left = new Expression.Or(left, and());
        }
        return left;
    }

    private Expression and() {
        Expression left = not();
        while (stream.skipName("and")) {
            left = new Expression.And(left, not());
        }
        return left;
    }

    private Expression not() {
        return stream.skipName("not") ? new Expression.Not(not()) : comparison();
    }

    private Expression comparison() {
        Expression first = sum();
        List<String> operators = new ArrayList<>();
        List<Expression> others = new ArrayList<>();
        while (true) {
            Token token = stream.current();
            if (token.type() == Token.Type.OPERATOR && COMPARISONS.contains(token.text())) {
                operators.add(stream.next().text());
            } else if (stream.skipName("in")) {
                operators.add("in");
            } else if (token.name("not") && stream.look().name("in")) {
                stream.next();
                stream.next();
                operators.add("not in");
            } else {
                return operators.isEmpty() ? first : new Expression.Compare(first, operators, others);
            }
            others.add(sum());
        }
    }

    private Expression sum() {
        Expression left = concat();
        while (stream.current().operator("+") || stream.current().operator("-")) {
            left = new Expression.Binary(stream.next().text(), left, concat());
        }
        return left;
    }

    private Expression concat() {
        List<Expression> parts = new ArrayList<>();
        parts.add(product());
        while (stream.skipOperator("~")) {
            parts.add(product());
        }
        return parts.size() == 1 ? parts.getFirst() : new Expression.Concat(parts);
    }

    private Expression product() {
        Expression left = power();
        while (stream.current().operator("*")
                || stream.current().operator("/")
                || stream.current().operator("//")
                || stream.current().operator("%")) {
            left = new Expression.Binary(stream.next().text(), left, power());
        }
        return left;
    }

    private Expression power() {
        Expression left = unary(true);
        while (stream.skipOperator("**")) {
            left = new Expression.Binary("**", left, unary(true));
        }
        return left;
    }

    private Expression unary(boolean withFilter) {
        Expression value;
        if (stream.current().operator("-") || stream.current().operator("+")) {
            value = new Expression.Signed(stream.next().text(), unary(false));
        } else {
            value = primary();
        }
        value = postfix(value);
        return withFilter ? filters(value) : value;
    }

    Expression primary() {
        Token token = stream.current();
        switch (token.type()) {
            case NAME -> {
                stream.next();
                return name(token.text());
            }
            case STRING -> {
                StringBuilder text = new StringBuilder();
                while (stream.current().type() == Token.Type.STRING) {
                    text.append(stream.next().value());
                }
                return new Expression.Constant(text.toString());
            }
            case INTEGER, FLOAT -> {
                return new Expression.Constant(stream.next().value());
            }
            default -> {
                if (stream.skipOperator("(")) {
                    Expression inner = tuple(true, true, null);
                    stream.expectOperator(")");
                    return inner;
                }
                if (token.operator("[")) {
                    return list();
                }
                if (token.operator("{")) {
                    return dict();
                }
                throw TemplateFault.syntax("unexpected '" + token.describe() + "'", token.line());
            }
        }
    }

    private Expression name(String name) {
        return switch (name) {
            case "true", "True" -> new Expression.Constant(true);
            case "false", "False" -> new Expression.Constant(false);
            case "none", "None" -> new Expression.Constant(null);
            default -> {
                nameRecord.read(name);
                yield new Expression.Name(name);
            }
        };
    }

    private Expression list() {
        stream.expectOperator("[");
        List<Expression> items = new ArrayList<>();
        while (!stream.current().operator("]")) {
            if (!items.isEmpty()) {
                stream.expectOperator(",");
                if (stream.current().operator("]")) {
                    break;
                }
            }
            items.add(expression());
        }
        stream.expectOperator("]");
        return new Expression.ListOf(items);
    }

    private Expression dict() {
        stream.expectOperator("{");
        List<Expression> keys = new ArrayList<>();
        List<Expression> values = new ArrayList<>();
        while (!stream.current().operator("}")) {
            if (!keys.isEmpty()) {
                stream.expectOperator(",");
                if (stream.current().operator("}")) {
                    break;
                }
            }
            keys.add(expression());
            stream.expectOperator(":");
            values.add(expression());
        }
        stream.expectOperator("}");
        return new Expression.DictOf(keys, values);
    }

    private Expression postfix(Expression value) {
        Expression result = value;
        while (true) {
            if (stream.skipOperator(".")) {
                Token name = stream.next();
                if (name.type() == Token.Type.NAME) {
                    result = new Expression.Attribute(result, name.text());
                } else if (name.type() == Token.Type.INTEGER) {
                    result = new Expression.Item(result, new Expression.Constant(name.value()));
                } else {
                    throw TemplateFault.syntax("expected name or number", name.line());
                }
            } else if (stream.current().operator("[")) {
                result = subscript(result);
            } else if (stream.current().operator("(")) {
                result = new Expression.Call(result, arguments());
            } else {
                return result;
            }
        }
    }

    private Expression subscript(Expression object) {
        stream.expectOperator("[");
        List<Expression> keys = new ArrayList<>();
        while (!stream.current().operator("]")) {
            if (!keys.isEmpty()) {
                stream.expectOperator(",");
            }
            keys.add(sliceOrKey());
        }
        stream.expectOperator("]");
        return new Expression.Item(object, keys.size() == 1 ? keys.getFirst() : new Expression.TupleOf(keys));
    }

    private Expression sliceOrKey() {
        Expression from = null;
        if (!stream.current().operator(":")) {
            from = expression();
            if (!stream.current().operator(":")) {
                return from;
            }
        }
        stream.expectOperator(":");
        Expression to = sliceEnds() || stream.current().operator(":") ? null : expression();
        Expression step = null;
        if (stream.skipOperator(":") && !sliceEnds()) {
            step = expression();
        }
        return new Expression.Slice(from, to, step);
    }

    private boolean sliceEnds() {
        return stream.current().operator("]") || stream.current().operator(",");
    }

    private Expression filters(Expression value) {
        Expression result = value;
        while (true) {
            if (stream.current().operator("|")) {
                result = filter(result);
            } else if (stream.current().name("is")) {
                result = test(result);
            } else if (stream.current().operator("(")) {
                result = new Expression.Call(result, arguments());
            } else {
                return result;
            }
        }
    }

    /** One filter, the {@code |} included unless {@code value} begins a filter block. */
    Expression.Filter filter(@Nullable Expression value) {
        stream.skipOperator("|");
        Token token = stream.expect(Token.Type.NAME, "a filter name");
        String name = dotted(token);
        if (!Filters.exists(name)) {
            nameRecord.unknown("filter", name, token.line());
        }
        CallArguments arguments = stream.current().operator("(") ? arguments() : CallArguments.NONE;
        return new Expression.Filter(value, name, arguments);
    }

    private String dotted(Token first) {
        StringBuilder name = new StringBuilder(first.text());
        while (stream.skipOperator(".")) {
            name.append('.').append(stream.expect(Token.Type.NAME, "a name").text());
        }
        return name.toString();
    }

    private Expression test(Expression value) {
        stream.expectName("is");
        boolean negated = stream.skipName("not");
        Token token = stream.expect(Token.Type.NAME, "a test name");
        String name = dotted(token);
        if (!Tests.exists(name)) {
            nameRecord.unknown("test", name, token.line());
        }
        CallArguments arguments = CallArguments.NONE;
        Token next = stream.current();
        if (next.operator("(")) {
            arguments = arguments();
        } else if (beginsValue(next)) {
            if (next.name("is")) {
                throw TemplateFault.syntax("You cannot chain multiple tests with is", next.line());
            }
            arguments = new CallArguments(List.of(postfix(primary())), List.of(), List.of(), null, null);
        }
        Expression result = new Expression.Test(value, name, arguments);
        return negated ? new Expression.Not(result) : result;
    }

    private static boolean beginsValue(Token token) {
        return switch (token.type()) {
            case NAME -> !token.name("else") && !token.name("or") && !token.name("and");
            case STRING, INTEGER, FLOAT -> true;
            default -> token.operator("[") || token.operator("{");
        };
    }

    CallArguments arguments() {
        int line = stream.current().line();
        stream.expectOperator("(");
        List<Expression> positional = new ArrayList<>();
        List<String> names = new ArrayList<>();
        List<Expression> named = new ArrayList<>();
        Expression starred = null;
        Expression doubleStarred = null;
        boolean comma = false;
        while (!stream.current().operator(")")) {
            if (comma) {
                stream.expectOperator(",");
                if (stream.current().operator(")")) {
                    break;
                }
            }
            comma = true;
            boolean ordered = doubleStarred == null;
            if (stream.skipOperator("*")) {
                ordered &= starred == null;
                starred = expression();
            } else if (stream.skipOperator("**")) {
                doubleStarred = expression();
            } else if (stream.current().type() == Token.Type.NAME
                    && stream.look().operator("=")) {
                names.add(stream.next().text());
                stream.next();
                named.add(expression());
            } else {
                ordered &= starred == null && names.isEmpty();
                positional.add(expression());
            }
            if (!ordered) {
                throw TemplateFault.syntax("invalid syntax for function call expression", line);
            }
        }
        stream.expectOperator(")");
        return new CallArguments(positional, names, named, starred, doubleStarred);
    }
}
