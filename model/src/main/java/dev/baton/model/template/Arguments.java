package dev.baton.model.template;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Evaluated arguments of a call. */
record Arguments(List<@Nullable Object> positional, Map<String, @Nullable Object> keyword) {
    static final Arguments NONE = new Arguments(List.of(), Map.of());

    /** The arguments with {@code first} before them. */
    Arguments prepend(@Nullable Object first) {
        List<@Nullable Object> all = new ArrayList<>(positional.size() + 1);
        all.add(first);
        all.addAll(positional);
        return new Arguments(all, keyword);
    }

    /** The arguments without the first {@code count} positional ones. */
    Arguments skip(int count) {
        return new Arguments(positional.subList(count, positional.size()), keyword);
    }

    /** The arguments with one more keyword. */
    Arguments with(String name, @Nullable Object value) {
        Map<String, @Nullable Object> more = new LinkedHashMap<>(keyword);
        more.put(name, value);
        return new Arguments(positional, more);
    }

    /**
     * Assigns the arguments to parameters.
     *
     * @param required how many of {@code names} must be there
     */
    Bound bind(String function, int required, String... names) {
        if (positional.size() > names.length) {
            throw TemplateFault.type(
                    function + "() takes at most " + names.length + " arguments (" + positional.size() + " given)");
        }
        List<String> order = List.of(names);
        @Nullable Object[] values = new Object[names.length];
        boolean[] given = new boolean[names.length];
        for (int i = 0; i < positional.size(); i++) {
            values[i] = positional.get(i);
            given[i] = true;
        }
        keyword.forEach((name, value) -> {
            int index = order.indexOf(name);
            if (index < 0) {
                throw TemplateFault.type(function + "() got an unexpected keyword argument '" + name + "'");
            }
            if (given[index]) {
                throw TemplateFault.type(function + "() got multiple values for argument '" + name + "'");
            }
            values[index] = value;
            given[index] = true;
        });
        for (int i = 0; i < required; i++) {
            if (!given[i]) {
                throw TemplateFault.type(function + "() missing required argument '" + names[i] + "'");
            }
        }
        return new Bound(function, names, values, given);
    }

    /** Arguments by parameter. */
    @SuppressWarnings("ArrayRecordComponent")
    record Bound(String function, String[] names, @Nullable Object[] values, boolean[] given) {
        boolean has(int index) {
            return given[index];
        }

        @Nullable
        Object value(int index) {
            return values[index];
        }

        @Nullable
        Object or(int index, @Nullable Object fallback) {
            return given[index] ? values[index] : fallback;
        }

        long integer(int index, long fallback) {
            if (!given[index]) {
                return fallback;
            }
            return switch (values[index]) {
                case Long number -> number;
                case Boolean bool -> bool ? 1 : 0;
                case null, default -> throw mistyped(index, "an integer");
            };
        }

        boolean truth(int index, boolean fallback) {
            return given[index] ? Values.truth(values[index]) : fallback;
        }

        /** A string argument; None counts as absent. */
        @Nullable
        String optionalText(int index) {
            Object value = given[index] ? values[index] : null;
            return value == null ? null : text(index);
        }

        String text(int index) {
            String text = Values.asString(values[index]);
            if (text == null) {
                throw mistyped(index, "a string");
            }
            return text;
        }

        private TemplateFault mistyped(int index, String expected) {
            if (values[index] instanceof Undefined undefined) {
                return undefined.fault();
            }
            return TemplateFault.type(function + "() argument '" + names[index] + "' must be " + expected + ", not "
                    + Values.typeName(values[index]));
        }
    }
}
