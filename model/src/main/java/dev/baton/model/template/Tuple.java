package dev.baton.model.template;

import java.util.AbstractList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A tuple: a list of fixed content that is no list. Its items may have names. */
final class Tuple extends AbstractList<@Nullable Object> {
    private final List<@Nullable Object> items;
    private final List<String> names;

    Tuple(List<@Nullable Object> items) {
        this(items, List.of());
    }

    Tuple(List<@Nullable Object> items, List<String> names) {
        this.items = items;
        this.names = names;
    }

    static Tuple of(@Nullable Object first, @Nullable Object second) {
        return new Tuple(Arrays.asList(first, second));
    }

    /** The names of the items, empty when they have none. */
    List<String> names() {
        return names;
    }

    @Override
    public @Nullable Object get(int index) {
        return items.get(index);
    }

    @Override
    public int size() {
        return items.size();
    }
}
