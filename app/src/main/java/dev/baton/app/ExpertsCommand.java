package dev.baton.app;

import dev.baton.lab.report.ExpertPlot;
import dev.baton.trace.align.TraceFiles;
import dev.baton.trace.analyse.RankAnalysis;
import dev.baton.trace.classify.KernelRules;
import dev.baton.trace.expert.Eplb;
import dev.baton.trace.expert.ExpertAssessment;
import dev.baton.trace.expert.ExpertCounts;
import dev.baton.trace.expert.ExpertFile;
import dev.baton.trace.expert.ExpertWriter;
import dev.baton.trace.expert.Placement;
import dev.baton.trace.report.ExpertReport;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code baton experts}: how evenly experts are loaded, and what a better placement would give. */
@Command(
        name = "experts",
        mixinStandardHelpOptions = true,
        description = "Balance of recorded expert loads; EPLB placements, what they would give, and their files.")
final class ExpertsCommand implements Callable<Integer> {
    @Parameters(arity = "1..*", paramLabel = "FILE", description = "logical_count JSON or a recorder's .pt")
    List<Path> files = List.of();

    @Option(names = "--ep", split = ",", description = "sizes of the expert-parallel group (default: 8,16,32,64)")
    int[] ep = {8, 16, 32, 64};

    @Option(names = "--redundant", split = ",", description = "redundant experts (default: 0,32,64)")
    int[] redundant = {0, 32, 64};

    @Option(names = "--groups", description = "expert groups, for placements that keep a group on a node (default: 1)")
    int groups = 1;

    @Option(names = "--nodes", description = "nodes of the expert-parallel group (default: 1)")
    int nodes = 1;

    @Option(names = "--top-k", description = "experts a token goes to (default: ${DEFAULT-VALUE})")
    int topK = 8;

    @Option(
            names = "--trace",
            arity = "1..*",
            paramLabel = "FILE|DIR",
            description = "traces to predict step times from")
    List<Path> traces = List.of();

    @Option(
            names = "--traced",
            paramLabel = "EP,REDUNDANT",
            split = ",",
            description = "group size and redundant experts of the traced run, which balanced with EPLB")
    int[] traced = {};

    @Option(
            names = "--write",
            paramLabel = "OUT.json",
            description = "write the placement of the first --ep and --redundant for --init-expert-location")
    @Nullable
    Path write;

    @Option(names = "--html", paramLabel = "OUT", description = "write a page to read in a browser")
    @Nullable
    Path html;

    @Option(names = "--png", paramLabel = "OUT", description = "draw the first file's layers and placements")
    @Nullable
    Path png;

    @Override
    public Integer call() {
        List<RankAnalysis> ranks = traces.isEmpty()
                ? List.of()
                : TraceFiles.analyse(TraceFiles.find(traces), KernelRules.builtIn(), new ArrayList<>());
        ExpertAssessment.Question question = new ExpertAssessment.Question(ep, redundant, groups, nodes, topK);
        List<ExpertAssessment> all = new ArrayList<>();
        List<String> notes = new ArrayList<>();
        for (Path file : files) {
            ExpertCounts counts = ExpertFile.read(file);
            for (ExpertAssessment other : all) {
                if (counts.isProportionalTo(other.counts())) {
                    notes.add("stale: " + counts.source() + " is "
                            + other.counts().source()
                            + " times a constant: the recorder was not reset, or the file was copied");
                }
            }
            boolean isPredicted = !ranks.isEmpty() && counts.moeLayers().length > 0;
            all.add(ExpertAssessment.of(
                    counts,
                    question,
                    isPredicted
                            ? ExpertAssessment.TracedStep.of(ranks, tracedSize(), tracedBalancedness(counts))
                            : null));
        }
        all.forEach(a -> System.out.print(ExpertReport.text(a)));
        notes.forEach(System.out::println);
        if (html != null) {
            ExpertReport.page(all, ep, notes, html);
        }
        if (png != null) {
            ExpertPlot.write(all.getFirst(), png);
        }
        boolean isFit = all.stream().allMatch(a -> a.faults().isEmpty());
        return write(all.getFirst().counts(), isFit);
    }

    /** Writes the placement that is asked for; 1 when the counts are not fit for one. */
    private int write(ExpertCounts counts, boolean isFit) {
        if (write != null && !isFit) {
            System.err.println("baton: no placement is written from counts that are not fit for it");
        } else if (write != null) {
            ExpertWriter.placement(
                    Eplb.balance(counts.counts(), counts.experts() + redundant[0], groups, nodes, ep[0]), write);
            System.out.println("wrote " + write + " (EP " + ep[0] + ", " + redundant[0] + " redundant experts)");
        }
        return isFit ? 0 : 1;
    }

    private int tracedSize() {
        return traced.length > 0 ? traced[0] : ep[0];
    }

    private double tracedBalancedness(ExpertCounts counts) {
        int gpus = tracedSize();
        int slots = counts.experts() + (traced.length > 1 ? traced[1] : 0);
        Placement placement = traced.length > 1
                ? Eplb.balance(counts.counts(), slots, groups, nodes, gpus)
                : Placement.trivial(counts.counts().length, counts.experts(), slots, gpus);
        return placement.balancedness(counts);
    }
}
