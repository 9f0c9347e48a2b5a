package dev.baton.model.template;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Methods of dict, list and tuple; those that change their object are forbidden by the sandbox. */
final class CollectionMethods {
    private static final Set<String> DICT_CHANGES = Set.of("clear", "pop", "popitem", "setdefault", "update");
    private static final Set<String> LIST_CHANGES =
            Set.of("append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort");

    private CollectionMethods() {}

    /** The method, or {@link Scope#MISSING}. */
    static Object ofDict(Map<?, ?> map, String name) {
        if (DICT_CHANGES.contains(name)) {
            return Undefined.unsafe(map, name);
        }
        return switch (name) {
            case "get" ->
                (Callable) arguments -> {
                    Arguments.Bound bound = arguments.bind("get", 1, "key", "default");
                    Object key = Values.key(bound.value(0));
                    return map.containsKey(key) ? map.get(key) : bound.or(1, null);
                };
            case "items" ->
                (Callable) arguments -> {
                    arguments.bind("items", 0);
                    return new Iteration.View("dict_items", entries(map));
                };
            case "keys" ->
                (Callable) arguments -> {
                    arguments.bind("keys", 0);
                    return new Iteration.View("dict_keys", new ArrayList<>(map.keySet()));
                };
            case "values" ->
                (Callable) arguments -> {
                    arguments.bind("values", 0);
                    return new Iteration.View("dict_values", new ArrayList<>(map.values()));
                };
            case "copy" ->
                (Callable) arguments -> {
                    arguments.bind("copy", 0);
                    return new LinkedHashMap<@Nullable Object, @Nullable Object>(map);
                };
            default -> Scope.MISSING;
        };
    }

    static List<@Nullable Object> entries(Map<?, ?> map) {
        List<@Nullable Object> entries = new ArrayList<>(map.size());
        map.forEach((key, value) -> entries.add(Tuple.of(key, value)));
        return entries;
    }

    /** A method of a list, tuple or range, an item's name, or {@link Scope#MISSING}. */
    static @Nullable Object ofList(List<?> list, String name) {
        boolean mutable = !(list instanceof Tuple) && !(list instanceof Range);
        if (mutable && LIST_CHANGES.contains(name)) {
            return Undefined.unsafe(list, name);
        }
        if (list instanceof Tuple tuple && tuple.names().contains(name)) {
            return tuple.get(tuple.names().indexOf(name));
        }
        return switch (name) {
            case "count" ->
                (Callable) arguments ->
                        count(list, arguments.bind("count", 1, "value").value(0));
            case "index" -> (Callable) arguments -> index(list, arguments);
            case "copy" -> mutable ? (Callable) arguments -> new ArrayList<@Nullable Object>(list) : Scope.MISSING;
            default -> Scope.MISSING;
        };
    }

    private static long count(List<?> list, @Nullable Object value) {
        long count = 0;
        for (Iterator<?> items = list.iterator(); items.hasNext(); ) {
            count += Values.equal(items.next(), value) ? 1 : 0;
        }
        return count;
    }

    private static long index(List<?> list, Arguments arguments) {
        Arguments.Bound bound = arguments.bind("index", 1, "value", "start", "stop");
        long size = list.size();
        long from = bound.integer(1, 0);
        long to = bound.integer(2, size);
        from = Math.clamp(from < 0 ? from + size : from, 0L, size);
        to = Math.clamp(to < 0 ? to + size : to, 0L, size);
        for (long i = from; i < to; i++) {
            if (Values.equal(list.get((int) i), bound.value(0))) {
                return i;
            }
        }
        throw TemplateFault.value(PythonText.repr(bound.value(0)) + " is not in list");
    }
}
