package dev.baton.bench.trace;

import dev.baton.trace.analyse.Analyser;
import dev.baton.trace.analyse.RankAnalysis;
import dev.baton.trace.classify.KernelRules;
import dev.baton.trace.read.Trace;
import dev.baton.trace.read.TraceReader;
import dev.baton.trace.step.Work;
import java.lang.management.ManagementFactory;
import java.lang.management.MemoryPoolMXBean;
import java.lang.management.MemoryType;
import java.nio.file.Path;
import java.util.Locale;

/**
 * How fast a trace is read and analysed, and in how much heap: {@code java ... TraceSpeed FILE [REPEATS]}. The thread's CPU
 * time stands beside the wall time, because the machine may be shared; one thread does all of it.
 */
public final class TraceSpeed {
    private TraceSpeed() {}

    public static void main(String[] words) {
        Path file = Path.of(words[0]);
        int repeats = words.length > 1 ? Integer.parseInt(words[1]) : 3;
        for (int i = 0; i < repeats; i++) {
            ManagementFactory.getMemoryPoolMXBeans().forEach(MemoryPoolMXBean::resetPeakUsage);
            long wall = System.nanoTime();
            long cpu = ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
            Trace trace = TraceReader.read(file).getFirst();
            long readCpu = ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime() - cpu;
            long readWall = System.nanoTime() - wall;
            RankAnalysis rank =
                    new Analyser(KernelRules.builtIn()).analyse(Work.of(trace).getFirst(), 0);
            long allWall = System.nanoTime() - wall;
            long peak = ManagementFactory.getMemoryPoolMXBeans().stream()
                    .filter(p -> p.getType() == MemoryType.HEAP)
                    .mapToLong(p -> p.getPeakUsage().getUsed())
                    .sum();
            double megabytes = trace.uncompressedBytes() / 1e6;
            System.out.printf(
                    Locale.ROOT,
                    "%.0f MB of JSON, %d events kept, %d steps: read %.2f s wall (%.0f MB/s), %.2f s CPU (%.0f MB/s a core);"
                            + " with analysis %.2f s; peak heap %.0f MB = %.2fx%n",
                    megabytes,
                    trace.events().size(),
                    rank.steps().size(),
                    readWall / 1e9,
                    megabytes / (readWall / 1e9),
                    readCpu / 1e9,
                    megabytes / (readCpu / 1e9),
                    allWall / 1e9,
                    peak / 1e6,
                    peak / 1e6 / megabytes);
        }
    }
}
