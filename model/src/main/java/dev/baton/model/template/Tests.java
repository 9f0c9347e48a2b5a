package dev.baton.model.template;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The tests of {@code is}, by name. */
final class Tests {
    private interface Test {
        boolean holds(@Nullable Object value, Arguments arguments);
    }

    private interface Plain {
        boolean holds(@Nullable Object value);
    }

    private interface Binary {
        boolean holds(@Nullable Object value, @Nullable Object other);
    }

    private static final Map<String, Test> TESTS = new HashMap<>();

    static {
        plain("defined", value -> !(value instanceof Undefined));
        plain("undefined", value -> value instanceof Undefined);
        plain("none", value -> value == null);
        plain("boolean", value -> value instanceof Boolean);
        plain("true", value -> value instanceof Boolean bool && bool);
        plain("false", value -> value instanceof Boolean bool && !bool);
        plain("integer", value -> value instanceof Long);
        plain("float", value -> value instanceof Double);
        plain("number", value -> value instanceof Number || value instanceof Boolean);
        plain("string", value -> Values.asString(value) != null);
        plain("mapping", value -> value instanceof Map<?, ?>);
        plain("iterable", Values::iterable);
        plain(
                "sequence",
                value -> Values.asString(value) != null
                        || value instanceof List<?>
                        || value instanceof Map<?, ?>
                        || value instanceof Undefined);
        plain("callable", value -> value instanceof Callable || value instanceof Undefined);
        plain("escaped", value -> value instanceof Markup);
        plain("lower", value -> StringCase.isLower(PythonText.str(value)));
        plain("upper", value -> StringCase.isUpper(PythonText.str(value)));
        plain("odd", value -> Values.equal(Arithmetic.apply("%", value, 2L), 1L));
        plain("even", value -> Values.equal(Arithmetic.apply("%", value, 2L), 0L));
        plain("filter", value -> Filters.exists(PythonText.str(value)));
        plain("test", value -> exists(PythonText.str(value)));
        binary("divisibleby", (value, other) -> Values.equal(Arithmetic.apply("%", value, other), 0L));
        binary("in", (value, other) -> Values.contains(other, value));
        binary("sameas", Values::same);
        for (String name : List.of("eq", "equalto", "==")) {
            binary(name, Values::equal);
        }
        for (String name : List.of("ne", "!=")) {
            binary(name, (value, other) -> !Values.equal(value, other));
        }
        for (String name : List.of("lt", "lessthan", "<")) {
            binary(name, (value, other) -> Values.ordered("<", value, other));
        }
        for (String name : List.of("gt", "greaterthan", ">")) {
            binary(name, (value, other) -> Values.ordered(">", value, other));
        }
        for (String name : List.of("le", "<=")) {
            binary(name, (value, other) -> Values.ordered("<=", value, other));
        }
        for (String name : List.of("ge", ">=")) {
            binary(name, (value, other) -> Values.ordered(">=", value, other));
        }
    }

    private Tests() {}

    private static void plain(String name, Plain test) {
        TESTS.put(name, (value, arguments) -> {
            arguments.bind(name, 0);
            return test.holds(value);
        });
    }

    private static void binary(String name, Binary test) {
        TESTS.put(
                name,
                (value, arguments) ->
                        test.holds(value, arguments.bind(name, 1, "other").value(0)));
    }

    static boolean exists(String name) {
        return TESTS.containsKey(name);
    }

    static boolean apply(String name, @Nullable Object value, Arguments arguments) {
        Test test = TESTS.get(name);
        if (test == null) {
            throw new TemplateFault("TemplateRuntimeError", "No test named " + PythonText.repr(name) + " found.");
        }
        return test.holds(value, arguments);
    }
}
