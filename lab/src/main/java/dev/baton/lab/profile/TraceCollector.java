package dev.baton.lab.profile;

import dev.baton.lab.LabException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Waits until the traces of a window lie in a folder, whole: servers write them after they have answered. */
public final class TraceCollector {
    private static final Duration POLL = Duration.ofMillis(250);
    private static final int STABLE_POLLS = 3;

    private final Path folder;
    private final Set<Path> before;

    private TraceCollector(Path folder, Set<Path> before) {
        this.folder = folder;
        this.before = before;
    }

    /** Remembers what lies in the folder before the window begins. */
    public static TraceCollector watching(Path folder) {
        return new TraceCollector(folder, traces(folder));
    }

    private static Set<Path> traces(Path folder) {
        if (!Files.isDirectory(folder)) {
            return Set.of();
        }
        try (Stream<Path> files = Files.list(folder)) {
            return files.filter(f -> String.valueOf(f.getFileName()).endsWith(".trace.json.gz"))
                    .collect(Collectors.toCollection(TreeSet::new));
        } catch (IOException e) {
            throw new LabException(LabException.Code.IO, "cannot list " + folder + ": " + e.getMessage(), e);
        }
    }

    /**
     * The new traces, once there are {@code least} and none has grown for a while.
     *
     * @param least files expected: one a rank; 1 when that is not known
     * @throws LabException TIMEOUT naming the folder and what was there
     */
    public List<Path> await(int least, Duration deadline) throws InterruptedException {
        long end = System.nanoTime() + deadline.toNanos();
        Map<Path, Long> sizes = new HashMap<>();
        int stable = 0;
        while (true) {
            Set<Path> now = new TreeSet<>(traces(folder));
            now.removeAll(before);
            Map<Path, Long> current = new HashMap<>();
            for (Path file : now) {
                current.put(file, size(file));
            }
            boolean isSame = now.size() >= least
                    && current.equals(sizes)
                    && current.values().stream().allMatch(s -> s > 0);
            stable = isSame ? stable + 1 : 0;
            sizes = current;
            if (stable >= STABLE_POLLS) {
                return new ArrayList<>(now);
            }
            if (System.nanoTime() > end) {
                throw new LabException(
                        LabException.Code.TIMEOUT,
                        now.size() + " of at least " + least + " traces came into " + folder + " within "
                                + deadline.toSeconds()
                                + " s; they are written on the server's host, so that folder must be shared with it");
            }
            Thread.sleep(POLL);
        }
    }

    private static long size(Path file) {
        try {
            return Files.size(file);
        } catch (IOException e) {
            return 0; // Moved or removed between listing and asking: the next poll sees it.
        }
    }

    /** Copies files into a folder. */
    public static List<Path> copy(List<Path> files, Path into) {
        List<Path> copies = new ArrayList<>();
        try {
            Files.createDirectories(into);
            for (Path file : files) {
                copies.add(Files.copy(file, into.resolve(file.getFileName()), StandardCopyOption.REPLACE_EXISTING));
            }
        } catch (IOException e) {
            throw new LabException(LabException.Code.IO, "cannot copy traces into " + into + ": " + e.getMessage(), e);
        }
        return copies;
    }
}
