package dev.baton.model.template;

import java.util.Iterator;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.function.Function;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/** map, select, reject and their kin: lazy, as generators are. */
final class SelectionFilters {
    private SelectionFilters() {}

    static void register(Map<String, Filters.Filter> filters) {
        filters.put("map", SelectionFilters::map);
        filters.put("select", (value, a) -> select(value, a, false, true));
        filters.put("reject", (value, a) -> select(value, a, false, false));
        filters.put("selectattr", (value, a) -> select(value, a, true, true));
        filters.put("rejectattr", (value, a) -> select(value, a, true, false));
    }

    /** Follows a dotted attribute, integers as positions; {@code fallback} replaces what is undefined unless null. */
    static @Nullable Object path(@Nullable Object attribute, @Nullable Object item, @Nullable Object fallback) {
        String text = Values.asString(attribute);
        if (text == null) {
            Object found = attribute == null ? item : Attributes.item(item, attribute);
            return fallback != null && found instanceof Undefined ? fallback : found;
        }
        Object value = item;
        for (String part : text.split("\\.", -1)) {
            boolean index = !part.isEmpty() && part.chars().allMatch(c -> c >= '0' && c <= '9');
            value = Attributes.item(value, index ? (Object) Long.valueOf(part) : part);
            if (fallback != null && value instanceof Undefined) {
                value = fallback;
            }
        }
        return value;
    }

    private static Object map(@Nullable Object value, Arguments arguments) {
        Function<@Nullable Object, @Nullable Object> function;
        if (arguments.positional().isEmpty() && arguments.keyword().containsKey("attribute")) {
            Object attribute = arguments.keyword().get("attribute");
            Object fallback = arguments.keyword().get("default");
            arguments.bind("map", 0, "attribute", "default");
            function = item -> path(attribute, item, fallback);
        } else {
            if (arguments.positional().isEmpty()) {
                throw new TemplateFault("FilterArgumentError", "map requires a filter argument");
            }
            String name = PythonText.str(arguments.positional().getFirst());
            Arguments rest = arguments.skip(1);
            function = item -> Filters.apply(name, item, rest);
        }
        if (!Values.truth(value)) {
            return new Iteration.Once("generator", java.util.Collections.emptyIterator());
        }
        Iterator<@Nullable Object> items = Values.iterate(value);
        return new Iteration.Once("generator", new Iterator<>() {
            @Override
            public boolean hasNext() {
                return items.hasNext();
            }

            @Override
            public @Nullable Object next() {
                return function.apply(items.next());
            }
        });
    }

    private static Object select(@Nullable Object value, Arguments arguments, boolean attribute, boolean wanted) {
        if (!Values.truth(value)) {
            return new Iteration.Once("generator", java.util.Collections.emptyIterator());
        }
        int names = attribute ? 1 : 0;
        if (attribute && arguments.positional().isEmpty()) {
            throw new TemplateFault("FilterArgumentError", "Missing parameter for attribute name");
        }
        Object key = attribute ? arguments.positional().getFirst() : null;
        Predicate<@Nullable Object> test;
        if (arguments.positional().size() > names) {
            String name = PythonText.str(arguments.positional().get(names));
            Arguments rest = arguments.skip(names + 1);
            test = item -> Tests.apply(name, item, rest);
        } else {
            test = Values::truth;
        }
        Iterator<@Nullable Object> items = Values.iterate(value);
        return new Iteration.Once("generator", matching(items, item -> test.test(path(key, item, null)) == wanted));
    }

    private static Iterator<@Nullable Object> matching(
            Iterator<@Nullable Object> items, Predicate<@Nullable Object> predicate) {
        return new Iterator<>() {
            private boolean found;
            private @Nullable Object item;

            @Override
            public boolean hasNext() {
                while (!found && items.hasNext()) {
                    item = items.next();
                    found = predicate.test(item);
                }
                return found;
            }

            @Override
            public @Nullable Object next() {
                if (!hasNext()) {
                    throw new NoSuchElementException();
                }
                found = false;
                return item;
            }
        };
    }
}
