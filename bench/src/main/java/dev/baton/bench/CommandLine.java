package dev.baton.bench;

import java.util.List;

/** A benchmark's options, each a name and the word behind it. */
public final class CommandLine {
    private CommandLine() {}

    /** The number behind {@code name}, or {@code otherwise}. */
    public static int number(List<String> options, String name, int otherwise) {
        int at = options.indexOf(name);
        return at < 0 ? otherwise : Integer.parseInt(options.get(at + 1));
    }
}
