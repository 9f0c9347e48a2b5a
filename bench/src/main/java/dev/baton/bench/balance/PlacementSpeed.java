package dev.baton.bench.balance;

import dev.baton.trace.expert.EplbAlgorithm;
import dev.baton.trace.expert.ExpertCounts;
import dev.baton.trace.expert.ExpertFile;
import dev.baton.trace.expert.Placement;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;

/**
 * How long EPLB takes: {@code java ... PlacementSpeed COUNTS [SLOTS] [GPUS] [REPEATS]}; 288 slots on 32 GPUs, 20 times when
 * not said. CPU time of the thread, because the machine may be shared; the first call is a cold JVM's.
 */
public final class PlacementSpeed {
    private PlacementSpeed() {}

    public static void main(String[] words) {
        ExpertCounts counts = ExpertFile.read(Path.of(words[0]));
        int[] moe = counts.moeLayers();
        double[][] weight = Arrays.stream(moe).mapToObj(l -> counts.counts()[l]).toArray(double[][]::new);
        int slots = words.length > 1 ? Integer.parseInt(words[1]) : 288;
        int gpus = words.length > 2 ? Integer.parseInt(words[2]) : 32;
        int repeats = words.length > 3 ? Integer.parseInt(words[3]) : 20;
        double[] millis = new double[repeats];
        Placement placement = Placement.trivial(weight.length, counts.experts(), counts.experts(), 1);
        for (int i = 0; i < repeats; i++) {
            long cpu = ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
            placement = EplbAlgorithm.DEEPSEEK.place(weight, slots, 0, 1, gpus);
            millis[i] = (ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime() - cpu) / 1e6;
        }
        double first = millis[0];
        Arrays.sort(millis);
        System.out.printf(
                Locale.ROOT,
                "%d layers x %d experts to %d slots on %d GPUs: first call %.1f ms, median %.1f ms, best %.1f ms CPU;"
                        + " balancedness %.4f%n",
                weight.length,
                counts.experts(),
                slots,
                gpus,
                first,
                millis[repeats / 2],
                millis[0],
                placement.balancedness(new ExpertCounts("", weight, 1)));
    }
}
