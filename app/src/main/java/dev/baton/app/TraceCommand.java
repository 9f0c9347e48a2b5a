package dev.baton.app;

import dev.baton.trace.align.RankAligner;
import dev.baton.trace.align.RankSet;
import dev.baton.trace.align.TraceFiles;
import dev.baton.trace.analyse.RankAnalysis;
import dev.baton.trace.classify.KernelRules;
import dev.baton.trace.report.AnalysisJson;
import dev.baton.trace.report.AnalysisPage;
import dev.baton.trace.report.AnalysisText;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
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
        subcommands = {TraceCommand.Analyze.class, TraceCommand.Ranks.class, CommandLine.HelpCommand.class})
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
}
