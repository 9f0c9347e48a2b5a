package dev.baton.app;

import dev.baton.trace.align.TraceFiles;
import dev.baton.trace.analyse.Medians;
import dev.baton.trace.analyse.RankAnalysis;
import dev.baton.trace.classify.KernelClass;
import dev.baton.trace.classify.KernelRules;
import dev.baton.trace.expert.Eplb;
import dev.baton.trace.expert.ExpertCounts;
import dev.baton.trace.expert.ExpertFile;
import dev.baton.trace.expert.Placement;
import dev.baton.trace.expert.WhatIf;
import dev.baton.trace.report.TextTable;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.stream.IntStream;
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

    @Override
    public Integer call() {
        List<ExpertCounts> all = new ArrayList<>();
        boolean isFit = true;
        for (Path file : files) {
            ExpertCounts counts = ExpertFile.read(file);
            for (ExpertCounts other : all) {
                if (counts.isProportionalTo(other)) {
                    System.out.println("stale: " + counts.source() + " is " + other.source()
                            + " times a constant: the recorder was not reset, or the file was copied");
                }
            }
            all.add(counts);
            isFit &= report(counts);
        }
        if (write != null) {
            if (!isFit) {
                System.err.println("baton: no placement is written from counts that are not fit for it");
                return 1;
            }
            ExpertCounts counts = all.getFirst();
            ExpertFile.write(
                    Eplb.balance(counts.counts(), counts.experts() + redundant[0], groups, nodes, ep[0]), write);
            System.out.println("wrote " + write + " (EP " + ep[0] + ", " + redundant[0] + " redundant experts)");
        }
        return isFit ? 0 : 1;
    }

    /** Whether the counts are fit to plan from. */
    private boolean report(ExpertCounts counts) {
        int[] moe = counts.moeLayers();
        System.out.printf(
                Locale.ROOT,
                "%s: %d layers, %d of them with experts, %d experts, %d recorded pass(es)%n",
                counts.source(),
                counts.counts().length,
                moe.length,
                counts.experts(),
                counts.steps());
        List<String> faults = counts.faults(topK);
        faults.forEach(f -> System.out.println("fault: " + f));
        if (moe.length == 0) {
            return false;
        }
        double[] skews = Arrays.stream(moe)
                .mapToDouble(l -> ExpertCounts.skew(counts.counts()[l]))
                .toArray();
        System.out.printf(
                Locale.ROOT,
                "hottest expert over the mean of its layer: %.2f (median layer), %.2f (worst)%n",
                Medians.of(skews),
                Arrays.stream(skews).max().orElse(0));
        System.out.print(hottest(counts, moe));
        System.out.println();
        System.out.print(whatIf(counts));
        return faults.isEmpty();
    }

    private static TextTable hottest(ExpertCounts counts, int[] moe) {
        TextTable table = new TextTable("layer", "max / mean", "hottest experts (share of the layer's tokens)");
        Arrays.stream(moe)
                .boxed()
                .sorted(Comparator.comparingDouble(l -> -ExpertCounts.skew(counts.counts()[l])))
                .limit(5)
                .forEach(l -> {
                    double[] row = counts.counts()[l];
                    double sum = Arrays.stream(row).sum();
                    List<String> top = IntStream.range(0, row.length)
                            .boxed()
                            .sorted(Comparator.comparingDouble(e -> -row[e]))
                            .limit(4)
                            .map(e -> String.format(Locale.ROOT, "%d (%.1f%%)", e, 100 * row[e] / sum))
                            .toList();
                    table.row(l, String.format(Locale.ROOT, "%.2f", ExpertCounts.skew(row)), String.join(", ", top));
                });
        return table;
    }

    private String whatIf(ExpertCounts counts) {
        double step = Double.NaN;
        double expert = Double.NaN;
        double before = Double.NaN;
        String model = "";
        if (!traces.isEmpty()) {
            List<RankAnalysis> ranks =
                    TraceFiles.analyse(TraceFiles.find(traces), KernelRules.builtIn(), new ArrayList<>());
            step = Medians.of(ranks.stream()
                    .flatMap(r -> r.steps().stream())
                    .mapToDouble(s -> s.step().durationNanos() / 1e6)
                    .toArray());
            expert = Medians.of(ranks.stream()
                    .flatMap(r ->
                            r.steps().stream().map(s -> expertMillis(r, s.step().events())))
                    .mapToDouble(Double::doubleValue)
                    .toArray());
            before = tracedBalancedness(counts);
            model = String.format(
                    Locale.ROOT,
                    "predicted step = %.2f ms traced - %.2f ms expert GEMM x (1 - %.3f / balancedness)%n",
                    step,
                    expert,
                    before);
        }
        TextTable table = new TextTable("EP size", "redundant", "trivial", "EPLB", "step ms");
        for (WhatIf w : WhatIf.table(counts, ep, redundant, groups, nodes)) {
            table.row(
                    w.gpus(),
                    w.redundant(),
                    String.format(Locale.ROOT, "%.3f", w.trivial()),
                    String.format(Locale.ROOT, "%.3f", w.balanced()),
                    Double.isNaN(before)
                            ? "-"
                            : String.format(Locale.ROOT, "%.2f", w.stepMillis(step, expert, before)));
        }
        return "balancedness (mean GPU over busiest GPU, mean over layers)\n" + table + model;
    }

    private double tracedBalancedness(ExpertCounts counts) {
        int gpus = traced.length > 0 ? traced[0] : ep[0];
        int slots = counts.experts() + (traced.length > 1 ? traced[1] : 0);
        Placement placement = traced.length > 1
                ? Eplb.balance(counts.counts(), slots, groups, nodes, gpus)
                : Placement.trivial(counts.counts().length, counts.experts(), slots, gpus);
        return placement.balancedness(counts);
    }

    private static double expertMillis(RankAnalysis rank, int[] events) {
        return Arrays.stream(events)
                        .filter(i -> rank.classOf(i) == KernelClass.EXPERT_GEMM)
                        .mapToLong(i -> rank.work().trace().events().durationNanos(i))
                        .sum()
                / 1e6;
    }
}
