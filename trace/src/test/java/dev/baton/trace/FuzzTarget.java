package dev.baton.trace;

import dev.baton.trace.align.RankAligner;
import dev.baton.trace.align.RankSet;
import dev.baton.trace.align.TraceFiles;
import dev.baton.trace.classify.KernelRules;
import dev.baton.trace.diff.TraceDiff;
import dev.baton.trace.expert.ExpertFile;
import dev.baton.trace.log.LogAnalysis;
import dev.baton.trace.log.LogReader;
import dev.baton.trace.report.AnalysisText;
import dev.baton.trace.report.DiffReport;
import dev.baton.trace.report.LogReport;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * What a fuzzer feeds: the first byte chooses a reader, the rest is its file. Only a {@link TraceException} may come out.
 * Jazzer finds it by its method's name; the command stands in docs/performance/traces.md.
 */
public final class FuzzTarget {
    private static final Path FOLDER = folder();

    private FuzzTarget() {}

    private static Path folder() {
        try {
            return Files.createTempDirectory(Path.of("/dev/shm"), "baton-fuzz");
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    public static void fuzzerTestOneInput(byte[] data) throws IOException {
        if (data.length == 0) {
            return;
        }
        byte[] rest = Arrays.copyOfRange(data, 1, data.length);
        try {
            switch (data[0] % 4) {
                case 0 -> trace(rest);
                case 1 -> trace(TraceText.gzip(rest));
                case 2 -> {
                    Path log = Files.write(FOLDER.resolve("server.log"), rest);
                    LogReport.text(LogAnalysis.of(LogReader.read(List.of(log))));
                }
                default -> {
                    ExpertFile.read(Files.write(FOLDER.resolve("e.json"), rest)).faults(8);
                    ExpertFile.read(Files.write(FOLDER.resolve("e.pt"), rest)).faults(8);
                }
            }
        } catch (TraceException expected) {
            // Said in words: what it must be.
        }
    }

    private static void trace(byte[] bytes) throws IOException {
        Path file = Files.write(FOLDER.resolve("f-TP-0.json"), bytes);
        List<String> notes = new ArrayList<>();
        RankSet set = RankAligner.align(TraceFiles.analyse(List.of(file), KernelRules.builtIn(), notes));
        AnalysisText.analysis(set, notes, 5);
        AnalysisText.ranks(set, notes);
        DiffReport.text(TraceDiff.of(set, set, List.of()));
    }
}
