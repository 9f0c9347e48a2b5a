package dev.baton.trace.analyse;

import dev.baton.trace.classify.CollectiveKind;
import dev.baton.trace.classify.KernelClass;
import dev.baton.trace.classify.KernelRule;
import dev.baton.trace.classify.KernelRules;
import dev.baton.trace.read.EventKind;
import dev.baton.trace.read.Events;
import dev.baton.trace.step.Step;
import dev.baton.trace.step.StepFinder;
import dev.baton.trace.step.Work;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Computes what one device of one trace says. */
public final class Analyser {
    private final KernelRules rules;

    public Analyser(KernelRules rules) {
        this.rules = rules;
    }

    /** Analyses one device's work as rank {@code rank}. */
    public RankAnalysis analyse(Work work, int rank) {
        Events e = work.trace().events();
        KernelRule[] ruleOf = new KernelRule[e.names().size()];
        for (int i : work.events()) {
            if (ruleOf[e.nameId(i)] == null) {
                ruleOf[e.nameId(i)] = rules.rule(e.kind(i), e.name(i));
            }
        }
        KernelClass[] classOf = new KernelClass[ruleOf.length];
        for (int n = 0; n < ruleOf.length; n++) {
            classOf[n] = ruleOf[n] == null ? KernelClass.OTHER : ruleOf[n].kernelClass();
        }
        StepFinder.Found found = StepFinder.find(work);
        List<StepMetrics> steps =
                found.steps().stream().map(s -> metrics(e, classOf, s)).toList();
        List<String> notes = new ArrayList<>(work.trace().notes());
        notes.addAll(found.notes());
        disorder(work, notes);
        if (work.device() < 0) {
            notes.add("nothing ran on a device: the operators of a CPU stand for kernels");
        }
        List<KernelTotal> kernels = kernels(work, ruleOf);
        Layers.Found layers = Layers.find(e, classOf, found.steps());
        return new RankAnalysis(
                work,
                rank,
                found.kind(),
                steps,
                classes(kernels),
                kernels,
                layers.rows(),
                layers.startNanos(),
                classOf,
                notes);
    }

    private static StepMetrics metrics(Events e, KernelClass[] classOf, Step step) {
        Intervals compute = new Intervals();
        Intervals communication = new Intervals();
        Intervals all = new Intervals();
        EnumMap<CollectiveKind, Long> sums = new EnumMap<>(CollectiveKind.class);
        int kernels = 0;
        for (int i : step.events()) {
            KernelClass kernelClass = classOf[e.nameId(i)];
            boolean isCommunication = kernelClass.isCommunication();
            (isCommunication ? communication : compute).add(e.startNanos(i), e.endNanos(i));
            all.add(e.startNanos(i), e.endNanos(i));
            kernels += e.kind(i) == EventKind.KERNEL || e.kind(i) == EventKind.OPERATOR ? 1 : 0;
            if (isCommunication) {
                sums.merge(CollectiveKind.of(e.name(i), kernelClass), e.durationNanos(i), Long::sum);
            }
        }
        long busy = all.union();
        long computeNanos = compute.union();
        long commNanos = communication.union();
        return new StepMetrics(
                step,
                kernels,
                computeNanos,
                commNanos,
                computeNanos + commNanos - busy,
                step.durationNanos() - busy,
                sums.getOrDefault(CollectiveKind.DISPATCH, 0L),
                sums.getOrDefault(CollectiveKind.COMBINE, 0L),
                sums.getOrDefault(CollectiveKind.ALL_REDUCE, 0L),
                sums.getOrDefault(CollectiveKind.SEND_RECV, 0L));
    }

    /** A stream runs its work in order, so a file that tells it in another was put together or damaged. */
    private static void disorder(Work work, List<String> notes) {
        Events e = work.trace().events();
        int[] inFileOrder = work.events().clone();
        Arrays.sort(inFileOrder);
        Map<Long, Long> last = new HashMap<>();
        int backwards = 0;
        for (int i : inFileOrder) {
            Long before = last.put(e.lane(i), e.startNanos(i));
            backwards += before != null && e.startNanos(i) < before ? 1 : 0;
        }
        if (backwards > 0) {
            notes.add(backwards
                    + " events of the device stood before earlier ones of their stream; all were sorted by start");
        }
    }

    private static List<KernelTotal> kernels(Work work, KernelRule[] ruleOf) {
        Events e = work.trace().events();
        Map<Integer, List<Integer>> byName = new HashMap<>();
        for (int i : work.events()) {
            byName.computeIfAbsent(e.nameId(i), n -> new ArrayList<>()).add(i);
        }
        List<KernelTotal> totals = new ArrayList<>();
        byName.forEach((name, events) -> {
            long[] durations =
                    events.stream().mapToLong(e::durationNanos).sorted().toArray();
            int longest = events.stream()
                    .max(Comparator.comparingLong(e::durationNanos))
                    .orElseThrow();
            KernelRule rule = ruleOf[name];
            totals.add(new KernelTotal(
                    e.names().name(name),
                    rule.kernelClass(),
                    rule.id(),
                    durations.length,
                    Arrays.stream(durations).sum(),
                    durations[0],
                    durations[durations.length / 2],
                    durations[durations.length - 1],
                    e.ordinal(longest)));
        });
        totals.sort(Comparator.comparingLong(KernelTotal::sumNanos).reversed().thenComparing(KernelTotal::name));
        return totals;
    }

    /** Totals come with most time first, so the first rule met for a class is the one with most time. */
    private static List<ClassTotal> classes(List<KernelTotal> kernels) {
        Map<KernelClass, List<KernelTotal>> byClass = new LinkedHashMap<>();
        kernels.forEach(k ->
                byClass.computeIfAbsent(k.kernelClass(), c -> new ArrayList<>()).add(k));
        return byClass.entrySet().stream()
                .map(c -> new ClassTotal(
                        c.getKey(),
                        c.getValue().stream().mapToInt(KernelTotal::count).sum(),
                        c.getValue().stream().mapToLong(KernelTotal::sumNanos).sum(),
                        c.getValue().stream().map(KernelTotal::rule).distinct().toList()))
                .sorted(Comparator.comparingLong(ClassTotal::sumNanos).reversed())
                .toList();
    }
}
