package dev.baton.model.template;

import dev.baton.model.template.Arguments.Bound;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ThreadLocalRandom;
import org.jspecify.annotations.Nullable;

/** Filters on lists and other sequences. */
final class SequenceFilters {
    private SequenceFilters() {}

    static void register(Map<String, Filters.Filter> filters) {
        filters.put("length", (value, a) -> length(value, a));
        filters.put("count", (value, a) -> length(value, a));
        filters.put("list", (value, a) -> Values.list(checked(value, a)));
        filters.put("items", SequenceFilters::items);
        filters.put("first", SequenceFilters::first);
        filters.put("last", SequenceFilters::last);
        filters.put("random", SequenceFilters::random);
        filters.put("reverse", SequenceFilters::reverse);
        filters.put("sort", SequenceFilters::sort);
        filters.put("dictsort", SequenceFilters::dictSort);
        filters.put("unique", SequenceFilters::unique);
        filters.put("groupby", SequenceFilters::groupBy);
        filters.put("min", (value, a) -> extreme(value, a, -1));
        filters.put("max", (value, a) -> extreme(value, a, 1));
        filters.put("sum", SequenceFilters::sum);
        filters.put("batch", SequenceFilters::batch);
        filters.put("slice", SequenceFilters::slice);
    }

    private static @Nullable Object checked(@Nullable Object value, Arguments arguments) {
        arguments.bind("filter", 0);
        return value;
    }

    private static Object length(@Nullable Object value, Arguments arguments) {
        return Values.length(checked(value, arguments));
    }

    private static Iteration.Once generator(List<@Nullable Object> items) {
        return new Iteration.Once("generator", items.iterator());
    }

    private static Object items(@Nullable Object value, Arguments arguments) {
        return switch (checked(value, arguments)) {
            case Undefined undefined -> generator(new ArrayList<>());
            case Map<?, ?> map -> generator(CollectionMethods.entries(map));
            case null, default -> throw TemplateFault.type("Can only get item pairs from a mapping.");
        };
    }

    private static @Nullable Object first(@Nullable Object value, Arguments arguments) {
        Iterator<@Nullable Object> items = Values.iterate(checked(value, arguments));
        return items.hasNext() ? items.next() : Undefined.hint("No first item, sequence was empty.");
    }

    private static @Nullable Object last(@Nullable Object value, Arguments arguments) {
        if (checked(value, arguments) instanceof Iteration.Once once) {
            throw TemplateFault.type("'" + once.typeName() + "' object is not reversible");
        }
        List<@Nullable Object> items = Values.list(value);
        return items.isEmpty() ? Undefined.hint("No last item, sequence was empty.") : items.getLast();
    }

    private static @Nullable Object random(@Nullable Object value, Arguments arguments) {
        Object sequence = checked(value, arguments);
        if (sequence instanceof Undefined || Values.length(sequence) == 0) {
            return Undefined.hint("No random item, sequence was empty.");
        }
        List<@Nullable Object> items = Values.list(sequence);
        return items.get(ThreadLocalRandom.current().nextInt(items.size()));
    }

    private static Object reverse(@Nullable Object value, Arguments arguments) {
        String text = Values.asString(checked(value, arguments));
        if (text != null) {
            return new StringBuilder(text).reverse().toString();
        }
        if (!Values.iterable(value)) {
            throw new TemplateFault("FilterArgumentError", "argument must be iterable");
        }
        List<@Nullable Object> items = Values.list(value);
        Collections.reverse(items);
        return new Iteration.Once("list_reverseiterator", items.iterator());
    }

    /** Strings in lower case unless case counts. */
    private static @Nullable Object folded(@Nullable Object value, boolean caseSensitive) {
        String text = caseSensitive ? null : Values.asString(value);
        return text == null ? value : text.toLowerCase(Locale.ROOT);
    }

    private static Object sort(@Nullable Object value, Arguments arguments) {
        Bound bound = arguments.bind("sort", 0, "reverse", "case_sensitive", "attribute");
        boolean caseSensitive = bound.truth(1, false);
        Object attribute = bound.or(2, null);
        String names = Values.asString(attribute);
        List<@Nullable Object> items = Values.list(value);
        Comparator<@Nullable Object> order = (left, right) -> {
            for (String name : names == null ? new String[] {""} : names.split(",", -1)) {
                Object key = names == null ? attribute : name;
                Object leftKey = folded(SelectionFilters.path(key, left, null), caseSensitive);
                Object rightKey = folded(SelectionFilters.path(key, right, null), caseSensitive);
                if (!Values.equal(leftKey, rightKey)) {
                    return Values.compare(leftKey, rightKey);
                }
            }
            return 0;
        };
        return stable(items, order, bound.truth(0, false));
    }

    /** Python's reverse keeps the order of equal items. */
    private static Object stable(List<@Nullable Object> items, Comparator<@Nullable Object> order, boolean reverse) {
        items.sort(reverse ? (left, right) -> order.compare(right, left) : order);
        return items;
    }

    private static Object dictSort(@Nullable Object value, Arguments arguments) {
        Bound bound = arguments.bind("dictsort", 0, "case_sensitive", "by", "reverse");
        if (value instanceof Undefined undefined) {
            throw undefined.fault();
        }
        if (!(value instanceof Map<?, ?> map)) {
            throw new TemplateFault("AttributeError", "dictsort expects a dict, not " + Values.typeName(value));
        }
        String by = bound.has(1) ? bound.text(1) : "key";
        if (!by.equals("key") && !by.equals("value")) {
            throw new TemplateFault("FilterArgumentError", "You can only sort by either \"key\" or \"value\"");
        }
        int position = by.equals("key") ? 0 : 1;
        boolean caseSensitive = bound.truth(0, false);
        List<@Nullable Object> entries = CollectionMethods.entries(map);
        return stable(
                entries,
                (left, right) -> Values.compare(
                        folded(part(left, position), caseSensitive), folded(part(right, position), caseSensitive)),
                bound.truth(2, false));
    }

    private static @Nullable Object part(@Nullable Object pair, int position) {
        return pair instanceof Tuple tuple ? tuple.get(position) : null;
    }

    private static Object unique(@Nullable Object value, Arguments arguments) {
        Bound bound = arguments.bind("unique", 0, "case_sensitive", "attribute");
        List<@Nullable Object> seen = new ArrayList<>();
        List<@Nullable Object> kept = new ArrayList<>();
        for (Object item : Values.list(value)) {
            Object key = folded(SelectionFilters.path(bound.or(1, null), item, null), bound.truth(0, false));
            if (!Values.contains(seen, Values.key(key))) {
                seen.add(key);
                kept.add(item);
            }
        }
        return generator(kept);
    }

    private static Object groupBy(@Nullable Object value, Arguments arguments) {
        Bound bound = arguments.bind("groupby", 1, "attribute", "default", "case_sensitive");
        boolean caseSensitive = bound.truth(2, false);
        Object attribute = bound.value(0);
        Object fallback = bound.or(1, null);
        List<@Nullable Object> items = Values.list(value);
        items.sort((left, right) -> Values.compare(
                folded(SelectionFilters.path(attribute, left, fallback), caseSensitive),
                folded(SelectionFilters.path(attribute, right, fallback), caseSensitive)));
        List<@Nullable Object> groups = new ArrayList<>();
        List<@Nullable Object> group = new ArrayList<>();
        Object grouper = Scope.MISSING;
        for (Object item : items) {
            Object key = SelectionFilters.path(attribute, item, fallback);
            if (grouper == Scope.MISSING || !Values.equal(folded(key, caseSensitive), folded(grouper, caseSensitive))) {
                group = new ArrayList<>();
                grouper = key;
                List<@Nullable Object> both = new ArrayList<>();
                both.add(key);
                both.add(group);
                groups.add(new Tuple(both, List.of("grouper", "list")));
            }
            group.add(item);
        }
        return groups;
    }

    private static @Nullable Object extreme(@Nullable Object value, Arguments arguments, int sign) {
        Bound bound = arguments.bind(sign < 0 ? "min" : "max", 0, "case_sensitive", "attribute");
        Object best = Scope.MISSING;
        Object bestKey = null;
        for (Object item : Values.list(value)) {
            Object key = folded(SelectionFilters.path(bound.or(1, null), item, null), bound.truth(0, false));
            if (best == Scope.MISSING || Values.ordered(sign < 0 ? "<" : ">", key, bestKey)) {
                best = item;
                bestKey = key;
            }
        }
        return best == Scope.MISSING ? Undefined.hint("No aggregated item, sequence was empty.") : best;
    }

    private static @Nullable Object sum(@Nullable Object value, Arguments arguments) {
        Bound bound = arguments.bind("sum", 0, "attribute", "start");
        Object total = bound.or(1, 0L);
        if (Values.asString(total) != null) {
            throw TemplateFault.type("sum() can't sum strings [use ''.join(seq) instead]");
        }
        for (Object item : Values.list(value)) {
            total = Arithmetic.apply("+", total, SelectionFilters.path(bound.or(0, null), item, null));
        }
        return total;
    }

    private static Object batch(@Nullable Object value, Arguments arguments) {
        Bound bound = arguments.bind("batch", 1, "linecount", "fill_with");
        long size = bound.integer(0, 1);
        Object fill = bound.or(1, null);
        List<@Nullable Object> batches = new ArrayList<>();
        List<@Nullable Object> batch = new ArrayList<>();
        for (Object item : Values.list(value)) {
            if (batch.size() == size) {
                batches.add(batch);
                batch = new ArrayList<>();
            }
            batch.add(item);
        }
        if (!batch.isEmpty()) {
            while (fill != null && batch.size() < Math.min(size, 1 << 20)) {
                batch.add(fill);
            }
            batches.add(batch);
        }
        return generator(batches);
    }

    private static Object slice(@Nullable Object value, Arguments arguments) {
        Bound bound = arguments.bind("slice", 1, "slices", "fill_with");
        List<@Nullable Object> items = Values.list(value);
        int slices = (int) Math.clamp(bound.integer(0, 1), 0L, 1 << 16);
        if (slices == 0) {
            throw new TemplateFault("ZeroDivisionError", "integer division or modulo by zero");
        }
        Object fill = bound.or(1, null);
        int each = items.size() / slices;
        int more = items.size() % slices;
        List<@Nullable Object> parts = new ArrayList<>();
        int at = 0;
        for (int i = 0; i < slices; i++) {
            int end = at + each + (i < more ? 1 : 0);
            List<@Nullable Object> part = new ArrayList<>(items.subList(at, end));
            if (fill != null && i >= more) {
                part.add(fill);
            }
            parts.add(part);
            at = end;
        }
        return generator(parts);
    }
}
