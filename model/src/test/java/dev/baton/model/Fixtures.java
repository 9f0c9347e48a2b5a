package dev.baton.model;

import static org.junit.jupiter.api.Assumptions.abort;

import java.nio.file.Files;
import java.nio.file.Path;

/** Folders outside this module that tests read when they are there. */
public final class Fixtures {
    private Fixtures() {}

    /** A folder of the fixtures beside the project ({@code $BATON_SHARED} or {@code ../shared}); skips when absent. */
    public static Path shared(String relative) {
        String stated = System.getenv("BATON_SHARED");
        Path shared = stated != null ? Path.of(stated) : project().resolveSibling("shared");
        Path folder = shared.resolve("fixtures").resolve(relative);
        return present(folder, "set BATON_SHARED to the folder that holds fixtures/" + relative);
    }

    /** A folder of the project; skips when absent. */
    public static Path ofProject(String relative) {
        return present(project().resolve(relative), "it is not part of this checkout");
    }

    private static Path project() {
        return Path.of(System.getProperty("baton.root", "..")).toAbsolutePath().normalize();
    }

    private static Path present(Path folder, String remedy) {
        if (!Files.exists(folder)) {
            String reason = "skipped: " + folder + " is not there; " + remedy;
            System.out.println(reason);
            return abort(reason);
        }
        return folder;
    }
}
