package dev.baton.model.template;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** What a template's expressions name: variables that macros read, and filters and tests that do not exist. */
final class NameRecord {
    /** Of the macros being parsed, innermost first. */
    private final Deque<Set<String>> readNames = new ArrayDeque<>();
    /**
     * Filters and tests that do not exist. jinja2 refuses them when it compiles, except under a condition, where only
     * reaching them fails.
     */
    private final List<TemplateFault> unknown = new ArrayList<>();

    void beginMacro() {
        readNames.push(new HashSet<>());
    }

    /** Ends the innermost macro; its names count for the macro around as well. */
    Set<String> endMacro() {
        Set<String> names = readNames.pop();
        if (!readNames.isEmpty()) {
            readNames.element().addAll(names);
        }
        return names;
    }

    void read(String variable) {
        if (!readNames.isEmpty()) {
            readNames.element().add(variable);
        }
    }

    /** @param kind filter or test */
    void unknown(String kind, String name, int line) {
        unknown.add(new TemplateFault(
                "TemplateAssertionError", "No " + kind + " named " + PythonText.repr(name) + ".", line));
    }

    int unknownMark() {
        return unknown.size();
    }

    /** What was unknown since {@code mark} stands under a condition. */
    void forgiveUnknown(int mark) {
        unknown.subList(mark, unknown.size()).clear();
    }

    /** What was unknown since {@code mark} fails now. */
    void refuseUnknown(int mark) {
        if (unknown.size() > mark) {
            throw unknown.get(mark);
        }
    }
}
