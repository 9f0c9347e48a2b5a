package dev.baton.model.template;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.IntPredicate;
import org.jspecify.annotations.Nullable;

/**
 * What Python's operators do with the values of a template: null is None, Boolean, Long and Double are bool, int and
 * float, String and {@link Markup} str, List list ({@link Tuple} tuple, {@link Range} range), Map dict.
 */
final class Values {
    private Values() {}

    /** The text of a str, null for anything else. */
    static @Nullable String asString(@Nullable Object value) {
        return switch (value) {
            case String text -> text;
            case Markup markup -> markup.text();
            case null, default -> null;
        };
    }

    static String typeName(@Nullable Object value) {
        return switch (value) {
            case null -> "NoneType";
            case Boolean b -> "bool";
            case Long l -> "int";
            case Double d -> "float";
            case Number n -> "int";
            case String s -> "str";
            case Markup m -> "Markup";
            case Tuple t -> "tuple";
            case Range r -> "range";
            case List<?> l -> "list";
            case Map<?, ?> m -> "dict";
            case Iteration.Once once -> once.typeName();
            case Iteration.View view -> view.typeName();
            case Undefined u -> "Undefined";
            case Namespace n -> "Namespace";
            case LoopContext l -> "LoopContext";
            case Macro m -> "Macro";
            case Callable c -> "function";
            default -> value.getClass().getSimpleName();
        };
    }

    static boolean truth(@Nullable Object value) {
        return switch (value) {
            case null -> false;
            case Boolean b -> b;
            case Long l -> l != 0;
            case Double d -> d != 0;
            case String s -> !s.isEmpty();
            case Markup m -> !m.text().isEmpty();
            case List<?> l -> !l.isEmpty();
            case Map<?, ?> m -> !m.isEmpty();
            case Iteration.View view -> !view.content().isEmpty();
            case LoopContext loop -> loop.length() > 0;
            case Undefined u -> false;
            default -> true;
        };
    }

    /** {@code len(value)}. */
    static long length(@Nullable Object value) {
        return switch (value) {
            case String s -> s.codePointCount(0, s.length());
            case Markup m -> m.text().codePointCount(0, m.text().length());
            case List<?> l -> l.size();
            case Map<?, ?> m -> m.size();
            case Iteration.View view -> view.content().size();
            case LoopContext loop -> loop.length();
            case Undefined u -> 0;
            case null, default -> throw TemplateFault.type("object of type '" + typeName(value) + "' has no len()");
        };
    }

    static boolean hasLength(@Nullable Object value) {
        return asString(value) != null
                || value instanceof List<?>
                || value instanceof Map<?, ?>
                || value instanceof Iteration.View
                || value instanceof LoopContext
                || value instanceof Undefined;
    }

    static boolean iterable(@Nullable Object value) {
        return hasLength(value) || value instanceof Iteration;
    }

    static Iterator<@Nullable Object> iterate(@Nullable Object value) {
        return switch (value) {
            case String s -> characters(s);
            case Markup m -> characters(m.text());
            case List<?> l -> new ArrayList<@Nullable Object>(l).iterator();
            case Map<?, ?> m -> new ArrayList<@Nullable Object>(m.keySet()).iterator();
            case Iteration iteration -> iteration.iterator();
            case LoopContext loop -> loop.pairs();
            case Undefined u -> new ArrayList<@Nullable Object>().iterator();
            case null, default -> throw TemplateFault.type("'" + typeName(value) + "' object is not iterable");
        };
    }

    /** {@code list(value)}. */
    static List<@Nullable Object> list(@Nullable Object value) {
        List<@Nullable Object> items = new ArrayList<>();
        iterate(value).forEachRemaining(items::add);
        return items;
    }

    private static Iterator<@Nullable Object> characters(String text) {
        List<@Nullable Object> characters = new ArrayList<>();
        text.codePoints().forEach(c -> characters.add(Character.toString(c)));
        return characters.iterator();
    }

    /** {@code left == right}. */
    static boolean equal(@Nullable Object left, @Nullable Object right) {
        if (left == right) {
            return !(left instanceof Double d && d.isNaN());
        }
        if (left == null || right == null) {
            return false;
        }
        if (number(left) && number(right)) {
            return compareNumbers(left, right, c -> c == 0);
        }
        String leftText = asString(left);
        if (leftText != null) {
            return leftText.equals(asString(right));
        }
        if (left instanceof List<?> leftList && right instanceof List<?> rightList) {
            return sameKind(left, right) && equalLists(leftList, rightList);
        }
        if (left instanceof Map<?, ?> leftMap && right instanceof Map<?, ?> rightMap) {
            return equalMaps(leftMap, rightMap);
        }
        return left instanceof Undefined && right instanceof Undefined;
    }

    private static boolean sameKind(Object left, Object right) {
        return typeName(left).equals(typeName(right));
    }

    private static boolean equalLists(List<?> left, List<?> right) {
        if (left.size() != right.size()) {
            return false;
        }
        for (int i = 0; i < left.size(); i++) {
            if (!equal(left.get(i), right.get(i))) {
                return false;
            }
        }
        return true;
    }

    private static boolean equalMaps(Map<?, ?> left, Map<?, ?> right) {
        if (left.size() != right.size()) {
            return false;
        }
        for (Map.Entry<?, ?> entry : left.entrySet()) {
            if (!right.containsKey(entry.getKey()) || !equal(entry.getValue(), right.get(entry.getKey()))) {
                return false;
            }
        }
        return true;
    }

    static boolean number(@Nullable Object value) {
        return value instanceof Long || value instanceof Double || value instanceof Boolean;
    }

    private static boolean compareNumbers(Object left, Object right, IntPredicate holds) {
        if (left instanceof Double || right instanceof Double) {
            double a = Arithmetic.toDouble(left);
            double b = Arithmetic.toDouble(right);
            return !Double.isNaN(a) && !Double.isNaN(b) && holds.test(a < b ? -1 : a > b ? 1 : 0);
        }
        return holds.test(Long.compare(Arithmetic.toLong(left), Arithmetic.toLong(right)));
    }

    /** {@code left op right} of an ordering operator. */
    static boolean ordered(String operator, @Nullable Object left, @Nullable Object right) {
        IntPredicate holds = switch (operator) {
            case "<" -> c -> c < 0;
            case "<=" -> c -> c <= 0;
            case ">" -> c -> c > 0;
            default -> c -> c >= 0;
        };
        if (left instanceof Undefined undefined) {
            throw undefined.fault();
        }
        if (right instanceof Undefined undefined) {
            throw undefined.fault();
        }
        if (left != null && right != null && number(left) && number(right)) {
            return compareNumbers(left, right, holds);
        }
        String leftText = asString(left);
        String rightText = asString(right);
        if (leftText != null && rightText != null) {
            return holds.test(PythonText.compare(leftText, rightText));
        }
        if (left instanceof List<?> a
                && right instanceof List<?> b
                && sameKind(left, right)
                && !(left instanceof Range)) {
            for (int i = 0; i < Math.min(a.size(), b.size()); i++) {
                if (!equal(a.get(i), b.get(i))) {
                    return ordered(operator, a.get(i), b.get(i));
                }
            }
            return holds.test(Integer.compare(a.size(), b.size()));
        }
        throw TemplateFault.type("'" + operator + "' not supported between instances of '" + typeName(left) + "' and '"
                + typeName(right) + "'");
    }

    /** Order for sorting: {@code left < right} decides. */
    static int compare(@Nullable Object left, @Nullable Object right) {
        return ordered("<", left, right) ? -1 : ordered("<", right, left) ? 1 : 0;
    }

    /** {@code item in container}. */
    static boolean contains(@Nullable Object container, @Nullable Object item) {
        String text = asString(container);
        if (text != null) {
            String part = asString(item);
            if (part == null) {
                throw TemplateFault.type("'in <string>' requires string as left operand, not " + typeName(item));
            }
            return text.contains(part);
        }
        if (container instanceof Map<?, ?> map) {
            return map.containsKey(key(item));
        }
        if (!iterable(container)) {
            throw TemplateFault.type("argument of type '" + typeName(container) + "' is not iterable");
        }
        Iterator<@Nullable Object> items = iterate(container);
        while (items.hasNext()) {
            if (equal(items.next(), item)) {
                return true;
            }
        }
        return false;
    }

    /** {@code value} as a dictionary's key. */
    static @Nullable Object key(@Nullable Object value) {
        return switch (value) {
            case Markup markup -> markup.text();
            case Boolean bool -> bool;
            case Double number when number == Math.rint(number) && Math.abs(number) < 1e15 -> number.longValue();
            case Tuple tuple -> tuple;
            case List<?> list -> throw TemplateFault.type("unhashable type: '" + typeName(list) + "'");
            case Map<?, ?> map -> throw TemplateFault.type("unhashable type: 'dict'");
            case null, default -> value;
        };
    }

    static boolean same(@Nullable Object left, @Nullable Object right) {
        return left == right
                || (left instanceof Boolean && Objects.equals(left, right))
                || (left instanceof Long && Objects.equals(left, right))
                || (left instanceof String && Objects.equals(left, right));
    }
}
