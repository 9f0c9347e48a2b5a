package dev.baton.app;

import dev.baton.lab.report.ThroughputPlot;
import dev.baton.trace.align.RankAligner;
import dev.baton.trace.align.RankSet;
import dev.baton.trace.align.TraceFiles;
import dev.baton.trace.classify.KernelRules;
import dev.baton.trace.log.LogReader;
import dev.baton.trace.log.ServerLog;
import dev.baton.trace.reconcile.ClientRecord;
import dev.baton.trace.reconcile.Throughput;
import dev.baton.trace.report.ThroughputReport;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code baton throughput}: one rate from the trace, the log and the client, and why they differ. */
@Command(
        name = "throughput",
        mixinStandardHelpOptions = true,
        description =
                "Tokens/s/GPU by trace, by log and by client, with the gaps explained and the impossible refused.")
final class ThroughputCommand implements Callable<Integer> {
    @Option(names = "--trace", arity = "1..*", paramLabel = "FILE|DIR", description = "traces of decode steps")
    List<Path> traces = List.of();

    @Option(names = "--log", arity = "1..*", paramLabel = "FILE", description = "logs of the decode server")
    List<Path> logs = List.of();

    @Option(names = "--bench", arity = "1..*", paramLabel = "FILE", description = "the client's JSONL")
    List<Path> benches = List.of();

    @Option(names = "--batch", description = "requests in one step of the whole server, when the files do not say")
    @Nullable
    Double batch;

    @Option(names = "--gpus", description = "GPUs of the server, when the files do not say")
    @Nullable
    Integer gpus;

    @Option(names = "--html", paramLabel = "OUT", description = "write a page to read in a browser")
    @Nullable
    Path html;

    @Option(names = "--png", paramLabel = "OUT", description = "draw the rates")
    @Nullable
    Path png;

    @Override
    public Integer call() {
        List<String> notes = new ArrayList<>();
        RankSet set = traces.isEmpty()
                ? null
                : RankAligner.align(TraceFiles.analyse(TraceFiles.find(traces), KernelRules.builtIn(), notes));
        ServerLog log = logs.isEmpty() ? null : LogReader.read(logs);
        List<ClientRecord> clients = new ArrayList<>();
        benches.forEach(b -> clients.addAll(ClientRecord.read(b, notes)));
        Throughput.Known known = new Throughput.Known(
                batch == null ? OptionalDouble.empty() : OptionalDouble.of(batch),
                gpus == null ? OptionalInt.empty() : OptionalInt.of(gpus));
        Throughput throughput = Throughput.of(set, log, clients, known);
        System.out.print(ThroughputReport.text(throughput));
        notes.forEach(n -> System.out.println("note: " + n));
        if (html != null) {
            ThroughputReport.page(throughput, notes, html);
        }
        if (png != null) {
            ThroughputPlot.write(throughput, png);
        }
        return throughput.clients().stream().anyMatch(c -> !c.refusal().isEmpty()) ? 1 : 0;
    }
}
