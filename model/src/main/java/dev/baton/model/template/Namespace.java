package dev.baton.model.template;

import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** {@code namespace(...)}: attributes that inner scopes can set. */
final class Namespace {
    private final Map<String, @Nullable Object> attributes = new LinkedHashMap<>();

    @Nullable
    Object get(String name) {
        return attributes.containsKey(name) ? attributes.get(name) : Undefined.member(this, name);
    }

    void set(String name, @Nullable Object value) {
        attributes.put(name, value);
    }

    Map<String, @Nullable Object> attributes() {
        return attributes;
    }
}
