package dev.baton.trace;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;

/** Traces, logs and recordings of other people's runs that lie beside the checkout; tests on them skip where they do not. */
public final class RealFiles {
    private RealFiles() {}

    /** The file or folder of that name; the calling test is skipped, with the reason, when it is not there. */
    public static Path get(String name) {
        Path root =
                Path.of(System.getProperty("baton.root", "..")).toAbsolutePath().normalize();
        for (Path at = root; at != null; at = at.getParent()) {
            Path file = at.resolveSibling("shared").resolve("fixtures/real").resolve(name);
            if (Files.exists(file)) {
                return file;
            }
        }
        String reason = "no ../shared/fixtures/real/" + name + " beside " + root;
        System.out.println("skipped: " + reason);
        assumeTrue(false, reason);
        throw new AssertionError(reason);
    }
}
