package dev.baton.trace.align;

import dev.baton.trace.TraceException;
import dev.baton.trace.analyse.Analyser;
import dev.baton.trace.analyse.RankAnalysis;
import dev.baton.trace.classify.KernelRules;
import dev.baton.trace.read.Trace;
import dev.baton.trace.read.TraceReader;
import dev.baton.trace.step.Work;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** Finds the trace files of a run, reads them and numbers their ranks. */
public final class TraceFiles {
    private static final Pattern NAME = Pattern.compile("(?i)\\.json(\\.gz)?$|\\.sqlite$");
    /** Files that lie beside traces and are none. */
    private static final Pattern OTHER_JSON = Pattern.compile("(?i)^(server_args|config|environment|report)\\b.*");

    private static final Pattern TP_RANK = Pattern.compile("TP-?(\\d+)");
    private static final Pattern OTHER_RANK = Pattern.compile("(?i)(?:rank|worker|_r)[-_]?(\\d+)");

    private TraceFiles() {}

    /**
     * The files named, and for a folder the traces in it (not in folders below). A merged file is left out where the files
     * it was made from lie beside it.
     *
     * @throws TraceException IO when a path does not exist, MALFORMED when a folder holds no trace
     */
    public static List<Path> find(List<Path> paths) {
        List<Path> files = new ArrayList<>();
        for (Path path : paths) {
            if (Files.isDirectory(path)) {
                files.addAll(inFolder(path));
            } else if (Files.exists(path)) {
                files.add(path);
            } else {
                throw new TraceException(
                        TraceException.Code.IO, "no such file or folder: " + path, new IOException(path.toString()));
            }
        }
        return files;
    }

    private static List<Path> inFolder(Path folder) {
        try (Stream<Path> entries = Files.list(folder)) {
            List<Path> traces = entries.filter(Files::isRegularFile)
                    .filter(f -> NAME.matcher(name(f)).find()
                            && !OTHER_JSON.matcher(name(f)).matches())
                    .sorted(Comparator.comparing(TraceFiles::name))
                    .toList();
            List<Path> single =
                    traces.stream().filter(f -> !name(f).startsWith("merged-")).toList();
            if (traces.isEmpty()) {
                throw new TraceException(
                        TraceException.Code.MALFORMED,
                        "no traces (*.json, *.json.gz, *.sqlite) in " + folder,
                        new IOException(folder.toString()));
            }
            return single.isEmpty() ? traces : single;
        } catch (IOException e) {
            throw new TraceException(TraceException.Code.IO, "cannot list " + folder + ": " + e.getMessage(), e);
        }
    }

    private static String name(Path file) {
        return String.valueOf(file.getFileName());
    }

    /**
     * Reads and analyses files, two at a time.
     *
     * @param rules that classify kernels
     * @param notes gets what concerns no single rank, e.g. a file without device work
     * @return by rank
     */
    public static List<RankAnalysis> analyse(List<Path> files, KernelRules rules, List<String> notes) {
        return analyse(files, rules, List.of(), notes);
    }

    /**
     * The same with Python frames beside.
     *
     * @param frames pieces of names of the frames to keep
     */
    public static List<RankAnalysis> analyse(
            List<Path> files, KernelRules rules, List<String> frames, List<String> notes) {
        List<List<Trace>> read =
                files.parallelStream().map(f -> TraceReader.read(f, frames)).toList();
        Analyser analyser = new Analyser(rules);
        List<RankAnalysis> ranks = new ArrayList<>();
        for (List<Trace> traces : read) {
            for (Trace trace : traces) {
                List<Work> work = Work.of(trace);
                if (work.isEmpty()) {
                    notes.add(trace.displayName() + ": no device events ("
                            + trace.events().size()
                            + " events of the host were read). Was the profiler started with GPU activities?");
                    trace.notes().forEach(n -> notes.add(trace.displayName() + ": " + n));
                }
                for (Work device : work) {
                    if (work.size() > 1) {
                        notes.add(trace.displayName() + ": work of several devices; device " + device.device()
                                + " is shown as a rank of its own");
                    }
                    ranks.add(analyser.analyse(device, rank(trace, device, work.size(), ranks.size(), notes)));
                }
            }
        }
        ranks.sort(Comparator.comparingInt(RankAnalysis::rank));
        return ranks;
    }

    /** The rank by the merged part's label, the file's own word, its name, or else its place among the files. */
    private static int rank(Trace trace, Work work, int devices, int place, List<String> notes) {
        if (devices > 1) {
            return work.device();
        }
        boolean isPart = !trace.label().isEmpty();
        String text = isPart ? trace.label() : name(trace.file());
        int named = number(TP_RANK, text);
        if (isPart) {
            return named >= 0 ? named : number(OTHER_RANK, text) >= 0 ? number(OTHER_RANK, text) : place;
        }
        int said = trace.info().rank();
        if (said >= 0) {
            if (named >= 0 && named != said && trace.info().worldSize() > 1 && !hasOtherDimension(name(trace.file()))) {
                notes.add(trace.displayName() + ": the name says rank " + named + ", the trace itself rank " + said
                        + "; two ranks may have written to one name. The trace is believed");
            }
            return said;
        }
        int found = named >= 0 ? named : number(OTHER_RANK, name(trace.file()));
        if (found < 0) {
            notes.add(trace.displayName() + ": neither the trace nor its name says a rank; it counts as " + place);
            return place;
        }
        return found;
    }

    /** With data or pipeline parallel parts in the name, the TP number alone is not the rank. */
    private static boolean hasOtherDimension(String name) {
        String upper = name.toUpperCase(Locale.ROOT);
        return upper.contains("-DP-") || upper.contains("-PP-");
    }

    private static int number(Pattern pattern, String text) {
        Matcher m = pattern.matcher(text);
        return m.find()
                ? Integer.parseInt(
                        m.group(1).substring(0, Math.min(8, m.group(1).length())))
                : -1;
    }
}
