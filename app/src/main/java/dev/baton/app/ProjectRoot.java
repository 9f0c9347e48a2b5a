package dev.baton.app;

import java.nio.file.Path;

/** Where the project lies: the launcher says so. */
final class ProjectRoot {
    private ProjectRoot() {}

    /** The folder that holds {@code baton}, {@code models} and {@code experiments}. */
    static Path find() {
        return Path.of(System.getProperty("baton.root", ".")).toAbsolutePath().normalize();
    }
}
