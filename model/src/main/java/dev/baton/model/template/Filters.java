package dev.baton.model.template;

import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The filters by name. */
final class Filters {
    /** One filter. */
    interface Filter {
        @Nullable
        Object apply(@Nullable Object value, Arguments arguments);
    }

    private static final Map<String, Filter> FILTERS = new HashMap<>();

    static {
        TextFilters.register(FILTERS);
        SequenceFilters.register(FILTERS);
        SelectionFilters.register(FILTERS);
        ValueFilters.register(FILTERS);
        FILTERS.put("pprint", PrettyPrint::filter);
        FILTERS.put("urlize", LinkFilter::filter);
        FILTERS.put("wordwrap", WordWrap::filter);
    }

    private Filters() {}

    static boolean exists(String name) {
        return FILTERS.containsKey(name);
    }

    static @Nullable Object apply(String name, @Nullable Object value, Arguments arguments) {
        Filter filter = FILTERS.get(name);
        if (filter != null) {
            return filter.apply(value, arguments);
        }
        throw new TemplateFault("TemplateRuntimeError", "No filter named " + PythonText.repr(name) + " found.");
    }
}
