package dev.baton.model.template;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** The variable {@code loop}. */
final class LoopContext implements Callable {
    private final @Nullable Object iterable;
    private final long depth0;
    private final @Nullable Function<@Nullable Object, String> recurse;
    private Iterator<@Nullable Object> rest;
    private long index0 = -1;
    private long length = -1;
    private @Nullable Object previous;
    private @Nullable Object current;
    private boolean peeked;
    private @Nullable Object after;
    private @Nullable List<@Nullable Object> lastChanged;

    /** @param recurse renders the loop's body for an inner iterable; null unless the loop is recursive */
    LoopContext(
            @Nullable Object iterable,
            Iterator<@Nullable Object> items,
            long depth0,
            @Nullable Function<@Nullable Object, String> recurse) {
        this.iterable = iterable;
        this.rest = items;
        this.depth0 = depth0;
        this.recurse = recurse;
    }

    boolean hasNext() {
        return peeked || rest.hasNext();
    }

    @Nullable
    Object next() {
        Object item = peeked ? after : rest.next();
        peeked = false;
        index0++;
        previous = current;
        current = item;
        return item;
    }

    /** What is left, as (item, loop) pairs: iterating over {@code loop} itself. */
    Iterator<@Nullable Object> pairs() {
        List<@Nullable Object> pairs = new ArrayList<>();
        while (hasNext()) {
            pairs.add(Tuple.of(next(), this));
        }
        return pairs.iterator();
    }

    long index() {
        return index0 + 1;
    }

    long depth() {
        return depth0 + 1;
    }

    long length() {
        if (length < 0) {
            if (Values.hasLength(iterable)) {
                length = Values.length(iterable);
            } else {
                List<@Nullable Object> remaining = new ArrayList<>();
                rest.forEachRemaining(remaining::add);
                rest = remaining.iterator();
                length = remaining.size() + index() + (peeked ? 1 : 0);
            }
        }
        return length;
    }

    private boolean last() {
        if (!peeked && rest.hasNext()) {
            after = rest.next();
            peeked = true;
        }
        return !peeked;
    }

    /** {@code loop.name}. */
    @Nullable
    Object attribute(String name) {
        return switch (name) {
            case "index" -> index();
            case "index0" -> index0;
            case "length" -> length();
            case "revindex" -> length() - index0;
            case "revindex0" -> length() - index();
            case "first" -> index0 == 0;
            case "last" -> last();
            case "depth" -> depth();
            case "depth0" -> depth0;
            case "previtem" -> index0 == 0 ? Undefined.hint("there is no previous item") : previous;
            case "nextitem" -> last() ? Undefined.hint("there is no next item") : after;
            case "cycle" -> (Callable) this::cycle;
            case "changed" -> (Callable) this::changed;
            default -> Undefined.member(this, name);
        };
    }

    private @Nullable Object cycle(Arguments arguments) {
        if (arguments.positional().isEmpty()) {
            throw TemplateFault.type("no items for cycling given");
        }
        return arguments.positional().get((int) (index0 % arguments.positional().size()));
    }

    private Object changed(Arguments arguments) {
        boolean changed = lastChanged == null || !Values.equal(lastChanged, arguments.positional());
        lastChanged = arguments.positional();
        return changed;
    }

    @Override
    public Object call(Arguments arguments) {
        if (recurse == null) {
            throw TemplateFault.type("The loop must have the 'recursive' marker to be called recursively.");
        }
        return recurse.apply(arguments.bind("loop", 1, "iterable").value(0));
    }
}
