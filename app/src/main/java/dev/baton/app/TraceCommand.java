package dev.baton.app;

import dev.baton.lab.report.RankPlot;
import dev.baton.lab.view.TraceView;
import dev.baton.trace.RankCoordinates;
import dev.baton.trace.align.RankAligner;
import dev.baton.trace.align.RankSet;
import dev.baton.trace.align.TraceFiles;
import dev.baton.trace.analyse.RankAnalysis;
import dev.baton.trace.classify.KernelRules;
import dev.baton.trace.diff.Expectation;
import dev.baton.trace.diff.TraceDiff;
import dev.baton.trace.report.AnalysisJson;
import dev.baton.trace.report.AnalysisPage;
import dev.baton.trace.report.AnalysisText;
import dev.baton.trace.report.DiffReport;
import dev.baton.trace.write.TraceMerger;
import java.math.BigDecimal;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code baton trace}: reads the traces of one or many ranks and says what is slow, where and why. */
@Command(
        name = "trace",
        description = "Reads traces: what is slow, on which rank, in which layer and kernel, and why.",
        mixinStandardHelpOptions = true,
        subcommands = {
            TraceCommand.Analyze.class,
            TraceCommand.Ranks.class,
            TraceCommand.Diff.class,
            TraceCommand.Merge.class,
            TraceCommand.View.class,
            CommandLine.HelpCommand.class
        })
final class TraceCommand implements Runnable {
    @Spec
    CommandSpec spec;

    @Override
    public void run() {
        spec.commandLine().usage(System.out);
    }

    /** What {@code analyze} and {@code ranks} share: files in, a set of ranks and three kinds of report out. */
    abstract static class RankReport implements Callable<Integer> {
        @Parameters(arity = "1..*", paramLabel = "FILE|DIR", description = "traces, or folders that hold them")
        List<Path> paths = List.of();

        @Option(names = "--json", paramLabel = "OUT", description = "write everything as JSON")
        @Nullable
        Path json;

        @Option(names = "--html", paramLabel = "OUT", description = "write a page to read in a browser")
        @Nullable
        Path html;

        @Option(names = "--png", paramLabel = "OUT", description = "draw steps by rank and the heat map of waiting")
        @Nullable
        Path png;

        abstract String text(RankSet set, List<String> notes);

        @Override
        public Integer call() {
            List<String> notes = new ArrayList<>();
            List<RankAnalysis> ranks = TraceFiles.analyse(TraceFiles.find(paths), KernelRules.builtIn(), notes);
            RankSet set = RankAligner.align(ranks);
            notes.addAll(set.notes());
            System.out.print(text(set, notes));
            if (json != null) {
                AnalysisJson.write(set, notes, json);
            }
            if (html != null) {
                AnalysisPage.write(set, notes, "Traces: " + paths.getFirst().getFileName(), html);
            }
            if (png != null) {
                RankPlot.write(set, png);
            }
            return ranks.isEmpty() ? 1 : 0;
        }
    }

    @Command(
            name = "analyze",
            aliases = "analyse",
            mixinStandardHelpOptions = true,
            description = "Steps, overlap, kernel classes, layers and top kernels of each rank.")
    static final class Analyze extends RankReport {
        @Option(names = "--top", description = "kernels listed a rank (default: ${DEFAULT-VALUE})")
        int top = 12;

        @Override
        String text(RankSet set, List<String> notes) {
            return AnalysisText.analysis(set, notes, top);
        }
    }

    @Command(
            name = "ranks",
            mixinStandardHelpOptions = true,
            description = "Ranks side by side: clocks, who waits for whom, the straggler and what it did.")
    static final class Ranks extends RankReport {
        @Override
        String text(RankSet set, List<String> notes) {
            return AnalysisText.ranks(set, notes);
        }
    }

    @Command(
            name = "diff",
            mixinStandardHelpOptions = true,
            description = "What differs between two traces or two folders of them, and whether it is more than chance.")
    static final class Diff implements Callable<Integer> {
        @Parameters(index = "0", paramLabel = "A", description = "a trace or a folder of them")
        Path a = Path.of(".");

        @Parameters(index = "1", paramLabel = "B", description = "likewise")
        Path b = Path.of(".");

        @Option(
                names = "--expect",
                paramLabel = "TEXT",
                description =
                        "what the traces should show, e.g. \"send_tensor_dict: A/B >= 10\" or \"step: B-A <= -5ms\";"
                                + " the exit status is 1 when one is not reproduced, 3 when one is undecided")
        List<String> expected = List.of();

        @Option(names = "--json", paramLabel = "OUT", description = "write everything as JSON")
        @Nullable
        Path json;

        @Option(names = "--html", paramLabel = "OUT", description = "write a page to read in a browser")
        @Nullable
        Path html;

        @Override
        public Integer call() {
            List<Expectation> expectations =
                    expected.stream().map(Expectation::parse).toList();
            List<String> frames = expectations.stream().map(Expectation::name).toList();
            List<String> notes = new ArrayList<>();
            RankSet setA = side(a, frames, notes);
            RankSet setB = side(b, frames, notes);
            TraceDiff diff = TraceDiff.of(setA, setB, expectations);
            System.out.print(DiffReport.text(diff));
            notes.forEach(n -> System.out.println("note: " + n));
            if (json != null) {
                DiffReport.json(diff, json);
            }
            if (html != null) {
                DiffReport.page(diff, a.toString(), b.toString(), html);
            }
            return status(diff);
        }

        private static RankSet side(Path path, List<String> frames, List<String> notes) {
            return RankAligner.align(
                    TraceFiles.analyse(TraceFiles.find(List.of(path)), KernelRules.builtIn(), frames, notes));
        }

        private static int status(TraceDiff diff) {
            List<Expectation.Outcome> outcomes = diff.judgements().stream()
                    .map(Expectation.Judgement::outcome)
                    .toList();
            return outcomes.contains(Expectation.Outcome.NOT_REPRODUCED)
                    ? 1
                    : outcomes.contains(Expectation.Outcome.UNDECIDED) ? 3 : 0;
        }
    }

    @Command(
            name = "merge",
            mixinStandardHelpOptions = true,
            description = "One file of all ranks for a trace viewer: ranks as processes, ids that do not collide.")
    static final class Merge implements Callable<Integer> {
        @Parameters(arity = "1..*", paramLabel = "FILE|DIR", description = "traces, or folders that hold them")
        List<Path> paths = List.of();

        @Option(
                names = "--out",
                paramLabel = "OUT",
                description = "the file (default: merged-ID.trace.json.gz beside them)")
        @Nullable
        Path out;

        @Override
        public Integer call() {
            List<String> notes = new ArrayList<>();
            List<Path> files = TraceFiles.find(paths);
            RankSet set = RankAligner.align(TraceFiles.analyse(files, KernelRules.builtIn(), notes));
            List<Path> ordered = new ArrayList<>();
            List<String> labels = new ArrayList<>();
            Map<Path, BigDecimal> late = new HashMap<>();
            for (int r = 0; r < set.ranks().size(); r++) {
                Path file = set.ranks().get(r).work().trace().file();
                if (!ordered.contains(file)) {
                    ordered.add(file);
                    String label = RankCoordinates.mergeLabel(String.valueOf(file.getFileName()));
                    labels.add(label.isEmpty() ? "[rank" + set.ranks().get(r).rank() + "] " : label);
                    late.put(file, BigDecimal.valueOf(set.clocks().get(r).correctionNanos(), 3));
                }
            }
            for (Path file : files) {
                if (!ordered.contains(file)) {
                    ordered.add(file);
                    labels.add("[" + file.getFileName() + "] ");
                }
            }
            Path target = out != null ? out : files.getFirst().resolveSibling("merged-all.trace.json.gz");
            TraceMerger merger = new TraceMerger();
            long events = merger.merge(ordered, labels, late, target);
            System.out.println(events + " events of " + ordered.size() + " files in " + target);
            notes.addAll(set.notes());
            notes.addAll(merger.notes());
            notes.forEach(n -> System.out.println("note: " + n));
            return 0;
        }
    }

    @Command(
            name = "view",
            mixinStandardHelpOptions = true,
            description = "Shows ranks as aligned rows in a browser: zoom, pick a kernel, compare it on every rank.")
    static final class View implements Callable<Integer> {
        @Parameters(arity = "1..*", paramLabel = "FILE|DIR", description = "traces, or folders that hold them")
        List<Path> paths = List.of();

        @Option(names = "--port", description = "port on this machine (default: any free one)")
        int port;

        @Override
        public Integer call() throws InterruptedException {
            List<String> notes = new ArrayList<>();
            RankSet set = RankAligner.align(TraceFiles.analyse(TraceFiles.find(paths), KernelRules.builtIn(), notes));
            notes.addAll(set.notes());
            try (TraceView view = TraceView.start(set, notes, port)) {
                System.out.println("open " + view.url() + " (end with Ctrl-C)");
                Thread.currentThread().join();
            }
            return 0;
        }
    }
}
