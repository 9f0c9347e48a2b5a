package dev.baton.model.template;

import dev.baton.model.template.Arguments.Bound;
import java.time.Clock;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Functions that every template sees. */
final class Globals {
    /** {@code cycler(...)}. */
    static final class Cycler {
        private final List<@Nullable Object> items;
        private int position;

        Cycler(List<@Nullable Object> items) {
            if (items.isEmpty()) {
                throw TemplateFault.type("at least one item has to be provided");
            }
            this.items = items;
        }

        @Nullable
        Object attribute(String name) {
            return switch (name) {
                case "current" -> items.get(position);
                case "next" ->
                    (Callable) arguments -> {
                        Object item = items.get(position);
                        position = (position + 1) % items.size();
                        return item;
                    };
                case "reset" ->
                    (Callable) arguments -> {
                        position = 0;
                        return null;
                    };
                default -> Undefined.member(this, name);
            };
        }
    }

    private final Map<String, Callable> functions = new HashMap<>();

    /** @param clock tells {@code strftime_now} the time, in its zone */
    Globals(Clock clock) {
        functions.put("range", Globals::range);
        functions.put("dict", Globals::dict);
        functions.put("namespace", Globals::namespace);
        functions.put("cycler", arguments -> new Cycler(arguments.positional()));
        functions.put("joiner", Globals::joiner);
        functions.put("raise_exception", arguments -> {
            throw new TemplateFault(
                    "TemplateError",
                    PythonText.str(
                            arguments.bind("raise_exception", 1, "message").value(0)));
        });
        functions.put(
                "strftime_now",
                arguments -> TimeText.format(
                        clock, arguments.bind("strftime_now", 1, "format").text(0)));
    }

    @Nullable
    Callable find(String name) {
        return functions.get(name);
    }

    private static Object range(Arguments arguments) {
        Bound bound = arguments.bind("range", 1, "start", "stop", "step");
        return bound.has(1)
                ? new Range(bound.integer(0, 0), bound.integer(1, 0), bound.integer(2, 1))
                : new Range(0, bound.integer(0, 0), 1);
    }

    private static Map<@Nullable Object, @Nullable Object> pairs(Arguments arguments) {
        Map<@Nullable Object, @Nullable Object> map = new LinkedHashMap<>();
        if (arguments.positional().size() > 1) {
            throw TemplateFault.type("dict expected at most 1 argument, got "
                    + arguments.positional().size());
        }
        for (Object source : arguments.positional()) {
            if (source instanceof Map<?, ?> other) {
                map.putAll(other);
            } else {
                for (Object pair : Values.list(source)) {
                    List<@Nullable Object> both = Values.list(pair);
                    if (both.size() != 2) {
                        throw TemplateFault.value(
                                "dictionary update sequence element has length " + both.size() + "; 2 is required");
                    }
                    map.put(Values.key(both.get(0)), both.get(1));
                }
            }
        }
        map.putAll(arguments.keyword());
        return map;
    }

    private static Object dict(Arguments arguments) {
        return pairs(arguments);
    }

    private static Object namespace(Arguments arguments) {
        Namespace namespace = new Namespace();
        pairs(arguments).forEach((name, value) -> namespace.set(PythonText.str(name), value));
        return namespace;
    }

    private static Object joiner(Arguments arguments) {
        Bound bound = arguments.bind("joiner", 0, "sep");
        String separator = bound.has(0) ? bound.text(0) : ", ";
        boolean[] used = {false};
        return (Callable) none -> {
            String text = used[0] ? separator : "";
            used[0] = true;
            return text;
        };
    }
}
