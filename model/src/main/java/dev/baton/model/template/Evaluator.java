package dev.baton.model.template;

import dev.baton.model.template.Expression.CallArguments;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Evaluates expressions. */
final class Evaluator {
    private final Globals globals;

    Evaluator(Globals globals) {
        this.globals = globals;
    }

    @Nullable
    Object evaluate(Expression expression, Scope scope) {
        return switch (expression) {
            case Expression.Constant constant -> constant.value();
            case Expression.Name name -> variable(name.name(), scope);
            case Expression.ListOf list -> all(list.items(), scope);
            case Expression.TupleOf tuple -> new Tuple(all(tuple.items(), scope));
            case Expression.DictOf dict -> dict(dict, scope);
            case Expression.Attribute attribute ->
                Attributes.attribute(evaluate(attribute.object(), scope), attribute.name());
            case Expression.Item item -> item(item, scope);
            case Expression.Slice slice -> throw TemplateFault.unsupported("a slice inside a tuple subscript");
            case Expression.Call call -> call(call, scope, null);
            case Expression.Filter filter -> filter(filter, scope);
            case Expression.Test test -> test(test, scope);
            case Expression.Signed signed -> Arithmetic.signed(signed.operator(), evaluate(signed.value(), scope));
            case Expression.Not not -> !Values.truth(evaluate(not.value(), scope));
            case Expression.And and -> {
                Object left = evaluate(and.left(), scope);
                yield Values.truth(left) ? evaluate(and.right(), scope) : left;
            }
            case Expression.Or or -> {
                Object left = evaluate(or.left(), scope);
                yield Values.truth(left) ? left : evaluate(or.right(), scope);
            }
            case Expression.Binary binary ->
                Arithmetic.apply(binary.operator(), evaluate(binary.left(), scope), evaluate(binary.right(), scope));
            case Expression.Concat concat -> {
                StringBuilder text = new StringBuilder();
                concat.parts().forEach(part -> text.append(PythonText.str(evaluate(part, scope))));
                yield text.toString();
            }
            case Expression.Compare compare -> compare(compare, scope);
            case Expression.Conditional conditional -> conditional(conditional, scope);
        };
    }

    @Nullable
    Object variable(String name, Scope scope) {
        Object value = scope.get(name);
        if (value != Scope.MISSING) {
            return value;
        }
        Callable global = globals.find(name);
        return global != null ? global : Undefined.variable(name);
    }

    private List<@Nullable Object> all(List<Expression> expressions, Scope scope) {
        List<@Nullable Object> values = new ArrayList<>(expressions.size());
        for (Expression expression : expressions) {
            values.add(evaluate(expression, scope));
        }
        return values;
    }

    private Map<@Nullable Object, @Nullable Object> dict(Expression.DictOf dict, Scope scope) {
        Map<@Nullable Object, @Nullable Object> map = new LinkedHashMap<>();
        for (int i = 0; i < dict.keys().size(); i++) {
            map.put(
                    Values.key(evaluate(dict.keys().get(i), scope)),
                    evaluate(dict.values().get(i), scope));
        }
        return map;
    }

    private @Nullable Object item(Expression.Item item, Scope scope) {
        Object object = evaluate(item.object(), scope);
        if (item.key() instanceof Expression.Slice slice) {
            return Attributes.slice(
                    object, part(slice.from(), scope), part(slice.to(), scope), part(slice.step(), scope));
        }
        return Attributes.item(object, evaluate(item.key(), scope));
    }

    private @Nullable Object part(@Nullable Expression expression, Scope scope) {
        return expression == null ? null : evaluate(expression, scope);
    }

    /** @param caller what a call block hands over; null elsewhere */
    @Nullable
    Object call(Expression.Call call, Scope scope, @Nullable Macro caller) {
        Object callee = evaluate(call.callee(), scope);
        Arguments arguments = arguments(call.arguments(), scope);
        if (caller != null) {
            arguments = arguments.with("caller", caller);
        }
        return switch (callee) {
            case Callable callable -> callable.call(arguments);
            case Undefined undefined -> throw undefined.fault();
            case null, default -> throw TemplateFault.type("'" + Values.typeName(callee) + "' object is not callable");
        };
    }

    private Arguments arguments(CallArguments written, Scope scope) {
        if (written == CallArguments.NONE) {
            return Arguments.NONE;
        }
        List<@Nullable Object> positional = all(written.positional(), scope);
        if (written.starred() != null) {
            positional.addAll(Values.list(evaluate(written.starred(), scope)));
        }
        Map<String, @Nullable Object> keyword = new LinkedHashMap<>();
        for (int i = 0; i < written.names().size(); i++) {
            keyword.put(written.names().get(i), evaluate(written.named().get(i), scope));
        }
        if (written.doubleStarred() != null) {
            if (!(evaluate(written.doubleStarred(), scope) instanceof Map<?, ?> map)) {
                throw TemplateFault.type("argument after ** must be a mapping");
            }
            map.forEach((name, value) -> {
                if (keyword.put(String.valueOf(name), value) != null) {
                    throw TemplateFault.type("got multiple values for keyword argument '" + name + "'");
                }
            });
        }
        return new Arguments(positional, keyword);
    }

    private @Nullable Object filter(Expression.Filter filter, Scope scope) {
        Object value = filter.value() == null ? null : evaluate(filter.value(), scope);
        return Filters.apply(filter.name(), value, arguments(filter.arguments(), scope));
    }

    /** A chain of filters whose innermost has no value of its own, on {@code text}. */
    @Nullable
    Object filterChain(Expression.Filter filter, Object text, Scope scope) {
        Object value = filter.value() instanceof Expression.Filter inner ? filterChain(inner, text, scope) : text;
        return Filters.apply(filter.name(), value, arguments(filter.arguments(), scope));
    }

    private boolean test(Expression.Test test, Scope scope) {
        return Tests.apply(test.name(), evaluate(test.value(), scope), arguments(test.arguments(), scope));
    }

    private boolean compare(Expression.Compare compare, Scope scope) {
        Object left = evaluate(compare.first(), scope);
        for (int i = 0; i < compare.operators().size(); i++) {
            Object right = evaluate(compare.others().get(i), scope);
            if (!holds(compare.operators().get(i), left, right)) {
                return false;
            }
            left = right;
        }
        return true;
    }

    private static boolean holds(String operator, @Nullable Object left, @Nullable Object right) {
        return switch (operator) {
            case "==" -> Values.equal(left, right);
            case "!=" -> !Values.equal(left, right);
            case "in" -> Values.contains(right, left);
            case "not in" -> !Values.contains(right, left);
            default -> Values.ordered(operator, left, right);
        };
    }

    private @Nullable Object conditional(Expression.Conditional conditional, Scope scope) {
        if (Values.truth(evaluate(conditional.test(), scope))) {
            return evaluate(conditional.then(), scope);
        }
        if (conditional.otherwise() == null) {
            return Undefined.hint("the inline if-expression evaluated to false and no else section was defined.");
        }
        return evaluate(conditional.otherwise(), scope);
    }
}
