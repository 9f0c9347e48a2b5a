package dev.baton.model.template;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** {@code object.name}, {@code object[key]} and slices, as the immutable sandbox allows them. */
final class Attributes {
    private Attributes() {}

    /** {@code object.name}: the attribute first, then the element. */
    static @Nullable Object attribute(@Nullable Object object, String name) {
        if (object instanceof Undefined undefined) {
            throw undefined.fault();
        }
        Object attribute = own(object, name);
        if (attribute != Scope.MISSING) {
            return attribute;
        }
        if (object instanceof Map<?, ?> map && map.containsKey(name)) {
            return map.get(name);
        }
        return Undefined.member(object, name);
    }

    /** {@code object[key]}: the element first, then the attribute. */
    static @Nullable Object item(@Nullable Object object, @Nullable Object key) {
        if (object instanceof Undefined undefined) {
            throw undefined.fault();
        }
        if (object instanceof Map<?, ?> map) {
            Object known = hashable(key) ? Values.key(key) : Scope.MISSING;
            if (map.containsKey(known)) {
                return map.get(known);
            }
        } else if (key instanceof Long || key instanceof Boolean) {
            Object element = element(object, Arithmetic.toLong(key));
            if (element != Scope.MISSING) {
                return element;
            }
        }
        String name = Values.asString(key);
        if (name != null) {
            Object attribute = own(object, name);
            if (attribute != Scope.MISSING) {
                return attribute;
            }
        }
        return Undefined.member(object, key);
    }

    private static boolean hashable(@Nullable Object key) {
        return !(key instanceof Map<?, ?>) && (!(key instanceof List<?>) || key instanceof Tuple);
    }

    private static @Nullable Object element(@Nullable Object object, long index) {
        String text = Values.asString(object);
        if (text != null) {
            int length = text.codePointCount(0, text.length());
            long at = index < 0 ? index + length : index;
            if (at < 0 || at >= length) {
                return Scope.MISSING;
            }
            String character = Character.toString(text.codePointAt(text.offsetByCodePoints(0, (int) at)));
            return object instanceof Markup ? new Markup(character) : character;
        }
        if (object instanceof List<?> list) {
            long at = index < 0 ? index + list.size() : index;
            return at < 0 || at >= list.size() ? Scope.MISSING : list.get((int) at);
        }
        return Scope.MISSING;
    }

    /** What Python's getattr finds on the value itself. */
    private static @Nullable Object own(@Nullable Object object, String name) {
        if (object == null) {
            return Scope.MISSING;
        }
        if (name.startsWith("__") && name.endsWith("__") && name.length() > 4) {
            return object instanceof Map<?, ?> map && map.containsKey(name)
                    ? Scope.MISSING
                    : Undefined.unsafe(object, name);
        }
        String text = Values.asString(object);
        if (text != null) {
            return StringMethods.find(text, name);
        }
        return switch (object) {
            case Namespace namespace -> namespace.get(name);
            case LoopContext loop -> loop.attribute(name);
            case Macro macro -> macro.attribute(name);
            case Map<?, ?> map -> CollectionMethods.ofDict(map, name);
            case List<?> list -> CollectionMethods.ofList(list, name);
            case Blocks blocks -> blocks.attribute(name);
            case Globals.Cycler cycler -> cycler.attribute(name);
            default -> Scope.MISSING;
        };
    }

    /** {@code object[from:to:step]}; null stands for an absent part and for None. */
    static Object slice(@Nullable Object object, @Nullable Object from, @Nullable Object to, @Nullable Object step) {
        if (object instanceof Undefined undefined) {
            throw undefined.fault();
        }
        String text = Values.asString(object);
        if (text != null) {
            int[] points = text.codePoints().toArray();
            StringBuilder out = new StringBuilder();
            for (int index : indices(points.length, from, to, step)) {
                out.appendCodePoint(points[index]);
            }
            return object instanceof Markup ? new Markup(out.toString()) : out.toString();
        }
        if (object instanceof List<?> list) {
            List<@Nullable Object> part = new ArrayList<>();
            for (int index : indices(list.size(), from, to, step)) {
                part.add(list.get(index));
            }
            return object instanceof Tuple ? new Tuple(part) : part;
        }
        if (object instanceof Map<?, ?>) {
            throw TemplateFault.type("unhashable type: 'slice'");
        }
        throw TemplateFault.type("'" + Values.typeName(object) + "' object is not subscriptable");
    }

    private static int[] indices(int length, @Nullable Object from, @Nullable Object to, @Nullable Object step) {
        long by = bound(step, 1);
        if (by == 0) {
            throw TemplateFault.value("slice step cannot be zero");
        }
        long lowest = by > 0 ? 0 : -1;
        long highest = by > 0 ? length : length - 1;
        long begin = clamp(bound(from, by > 0 ? 0 : Long.MAX_VALUE), from == null, length, lowest, highest);
        long end = clamp(bound(to, by > 0 ? Long.MAX_VALUE : -1), to == null, length, lowest, highest);
        IndexList indices = new IndexList();
        for (long i = begin; by > 0 ? i < end : i > end; i += by) {
            indices.add((int) i);
        }
        return indices.toArray();
    }

    private static long clamp(long value, boolean absent, int length, long lowest, long highest) {
        long position = value < 0 && !absent ? value + length : value;
        return Math.clamp(position, lowest, highest);
    }

    private static long bound(@Nullable Object value, long fallback) {
        return switch (value) {
            case null -> fallback;
            case Long number -> number;
            case Boolean bool -> bool ? 1 : 0;
            case Undefined undefined -> throw undefined.fault();
            default -> throw TemplateFault.type("slice indices must be integers or None or have an __index__ method");
        };
    }

    private static final class IndexList {
        private int[] values = new int[16];
        private int size;

        void add(int value) {
            if (size == values.length) {
                values = java.util.Arrays.copyOf(values, size * 2);
            }
            values[size++] = value;
        }

        int[] toArray() {
            return java.util.Arrays.copyOf(values, size);
        }
    }
}
