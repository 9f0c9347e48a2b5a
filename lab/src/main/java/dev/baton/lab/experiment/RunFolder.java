package dev.baton.lab.experiment;

import dev.baton.lab.LabException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.LocalDateTime;
import java.time.format.DateTimeFormatter;

/**
 * The folder of one run: {@code experiment.resolved.yaml}, {@code environment.json}, {@code commands.log},
 * {@code logs/}, {@code results/}, {@code traces/}, {@code experts/} where they are recorded, {@code summary.json}, the plots and {@code report.html}.
 */
public final class RunFolder {
    private final Path path;

    private RunFolder(Path path) {
        this.path = path;
    }

    /** @param parent the folder itself when {@code isExact}, else a folder named by experiment and time is made in it */
    public static RunFolder create(Path parent, String experiment, boolean isExact) {
        String stamp = DateTimeFormatter.ofPattern("yyyyMMdd-HHmmss")
                .format(LocalDateTime.now(java.time.ZoneId.systemDefault()));
        Path path = isExact ? parent : parent.resolve(experiment + "-" + stamp);
        if (Files.exists(path.resolve("commands.log"))) {
            throw new LabException(
                    LabException.Code.INVALID_CONFIG,
                    path
                            + " holds a run already; its files would be mixed with this one's: give another folder or remove it");
        }
        try {
            for (String sub : new String[] {"logs", "results", "traces"}) {
                Files.createDirectories(path.resolve(sub));
            }
        } catch (IOException e) {
            throw new LabException(
                    LabException.Code.IO, "cannot make the run's folder " + path + ": " + e.getMessage(), e);
        }
        return new RunFolder(path.toAbsolutePath().normalize());
    }

    public Path path() {
        return path;
    }

    public Path logs() {
        return path.resolve("logs");
    }

    public Path traces() {
        return path.resolve("traces");
    }

    /** Recordings of where tokens went. */
    public Path experts() {
        return path.resolve("experts");
    }

    /** Result lines of one cell, one a repeat. */
    public Path results(String cell) {
        return path.resolve("results").resolve(cell + ".jsonl");
    }

    /** Writes a file of the run. */
    public void write(String name, String text) {
        write(
                path.resolve(name),
                text,
                StandardOpenOption.CREATE,
                StandardOpenOption.TRUNCATE_EXISTING,
                StandardOpenOption.WRITE);
    }

    /** Adds a line to a file of the run. */
    public void append(Path file, String line) {
        write(file, line + "\n", StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    }

    private static void write(Path file, String text, StandardOpenOption... options) {
        try {
            Files.writeString(file, text, options);
        } catch (IOException e) {
            throw new LabException(LabException.Code.IO, "cannot write " + file + ": " + e.getMessage(), e);
        }
    }
}
