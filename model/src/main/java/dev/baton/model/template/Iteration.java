package dev.baton.model.template;

import java.util.Iterator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Values that can be iterated but not indexed. */
sealed interface Iteration {
    Iterator<@Nullable Object> iterator();

    /** Consumed by its first reader, without a length: generators and reversed lists. */
    record Once(String typeName, Iterator<@Nullable Object> iterator) implements Iteration {}

    /** A dictionary's keys, values or items. */
    record View(String typeName, List<@Nullable Object> content) implements Iteration {
        @Override
        public Iterator<@Nullable Object> iterator() {
            return content.iterator();
        }
    }
}
