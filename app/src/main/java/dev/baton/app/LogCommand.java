package dev.baton.app;

import dev.baton.lab.report.LogPlot;
import dev.baton.trace.log.LogAnalysis;
import dev.baton.trace.log.LogReader;
import dev.baton.trace.log.ServerLog;
import dev.baton.trace.report.LogPage;
import dev.baton.trace.report.LogReport;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code baton log}: what a server's logs amount to. */
@Command(
        name = "log",
        mixinStandardHelpOptions = true,
        description =
                "Reads server logs: running requests and throughput by rank, saturation, profile windows, imbalance.")
final class LogCommand implements Callable<Integer> {
    @Parameters(arity = "1..*", paramLabel = "FILE", description = "logs of one server, of any of its nodes")
    List<Path> files = List.of();

    @Option(names = "--jsonl", paramLabel = "OUT", description = "write every batch line as JSON")
    @Nullable
    Path jsonl;

    @Option(names = "--png", paramLabel = "OUT", description = "draw requests, KV usage and throughput over time")
    @Nullable
    Path png;

    @Option(names = "--html", paramLabel = "OUT", description = "write a page to read in a browser")
    @Nullable
    Path html;

    @Override
    public Integer call() {
        ServerLog log = LogReader.read(files);
        LogAnalysis analysis = LogAnalysis.of(log);
        System.out.print(LogReport.text(analysis));
        if (jsonl != null) {
            LogReport.jsonl(log, jsonl);
        }
        if (html != null) {
            LogPage.write(log, analysis, "Server log: " + files.getFirst().getFileName(), html);
        }
        if (png != null) {
            LogPlot.write(log, analysis, png);
        }
        return analysis.ranks().isEmpty() ? 1 : 0;
    }
}
