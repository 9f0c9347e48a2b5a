package dev.baton.model.template;

import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Variables of one block and, through its parent, of the blocks around it. */
final class Scope {
    /** The answer for a name that no scope has; None is a value. */
    static final Object MISSING = new Object();

    private final @Nullable Scope parent;
    private final Map<String, @Nullable Object> variables;

    private Scope(@Nullable Scope parent, Map<String, @Nullable Object> variables) {
        this.parent = parent;
        this.variables = variables;
    }

    static Scope root(Map<String, @Nullable Object> variables) {
        return new Scope(null, new HashMap<>(variables));
    }

    /** The template's own variables, without those of the blocks around. */
    Scope context() {
        Scope scope = this;
        while (scope.parent != null) {
            scope = scope.parent;
        }
        return scope;
    }

    Scope inner() {
        return new Scope(this, new HashMap<>(4));
    }

    void set(String name, @Nullable Object value) {
        variables.put(name, value);
    }

    @Nullable
    Object get(String name) {
        for (Scope scope = this; scope != null; scope = scope.parent) {
            if (scope.variables.containsKey(name)) {
                return scope.variables.get(name);
            }
        }
        return MISSING;
    }
}
