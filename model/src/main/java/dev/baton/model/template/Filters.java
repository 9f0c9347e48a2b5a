package dev.baton.model.template;

import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** The filters by name. */
final class Filters {
    /** One filter. */
    interface Filter {
        @Nullable
        Object apply(@Nullable Object value, Arguments arguments);
    }

    /** jinja2 has these, chat templates have no use for them: refused when reached. */
    private static final Set<String> NOT_SUPPORTED = Set.of("pprint", "random", "urlize", "wordwrap");

    private static final Map<String, Filter> FILTERS = new HashMap<>();

    static {
        TextFilters.register(FILTERS);
        SequenceFilters.register(FILTERS);
        SelectionFilters.register(FILTERS);
        ValueFilters.register(FILTERS);
    }

    private Filters() {}

    static boolean exists(String name) {
        return FILTERS.containsKey(name) || NOT_SUPPORTED.contains(name);
    }

    static @Nullable Object apply(String name, @Nullable Object value, Arguments arguments) {
        Filter filter = FILTERS.get(name);
        if (filter != null) {
            return filter.apply(value, arguments);
        }
        if (NOT_SUPPORTED.contains(name)) {
            throw TemplateFault.unsupported("the filter " + name);
        }
        throw new TemplateFault("TemplateRuntimeError", "No filter named " + PythonText.repr(name) + " found.");
    }
}
