package dev.baton.bench.kernel;

import com.sun.management.OperatingSystemMXBean;
import dev.baton.bench.Figures;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Measures several workloads in one run, one after the other, round after round (ABAB): what else the machine does then
 * touches all of them alike. Rates are per CPU second of the process times the threads used, so that a share taken by
 * other processes does not count; wall-clock rates stand beside them.
 */
final class Alternation {
    private static final OperatingSystemMXBean SYSTEM =
            (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

    /**
     * @param name what is measured
     * @param threads threads it keeps busy
     * @param units work of one call: bytes or floating-point operations
     * @param unit {@code GB/s} or {@code GFLOP/s}
     * @param bound name of the workload whose rate is the bound, empty for a bound itself
     * @param body one call
     */
    record Workload(String name, int threads, double units, String unit, String bound, Runnable body) {}

    /**
     * Rates in units of 1e9 a second.
     *
     * @param median over the rounds, of CPU time
     * @param best round, of CPU time
     * @param wallMedian over the rounds, of wall-clock time
     * @param share median over the rounds of this rate through the bound's rate of the same round, NaN for a bound
     */
    record Result(Workload workload, double median, double best, double wallMedian, double share) {}

    private Alternation() {}

    static List<Result> run(List<Workload> workloads, int rounds, long nanosEach) {
        int[] calls = new int[workloads.size()];
        for (int w = 0; w < calls.length; w++) {
            calls[w] = warmUp(workloads.get(w), nanosEach);
        }
        double[][] cpu = new double[calls.length][rounds];
        double[][] wall = new double[calls.length][rounds];
        for (int round = 0; round < rounds; round++) {
            for (int w = 0; w < calls.length; w++) {
                Workload workload = workloads.get(w);
                long cpuBefore = CpuClock.processNanos();
                long before = System.nanoTime();
                for (int i = 0; i < calls[w]; i++) {
                    workload.body().run();
                }
                double units = workload.units() * calls[w];
                wall[w][round] = units / (System.nanoTime() - before);
                cpu[w][round] = units / (CpuClock.processNanos() - cpuBefore) * workload.threads();
            }
        }
        List<Result> results = new ArrayList<>();
        for (int w = 0; w < calls.length; w++) {
            Workload workload = workloads.get(w);
            int bound = indexOf(workloads, workload.bound());
            double[] shares = new double[rounds];
            for (int round = 0; round < rounds; round++) {
                shares[round] = bound < 0 ? Double.NaN : cpu[w][round] / cpu[bound][round];
            }
            double best = Arrays.stream(cpu[w]).max().orElse(0);
            results.add(new Result(
                    workload, Figures.median(cpu[w]), best, Figures.median(wall[w]), Figures.median(shares)));
        }
        return results;
    }

    private static int indexOf(List<Workload> workloads, String name) {
        for (int w = 0; w < workloads.size(); w++) {
            if (workloads.get(w).name().equals(name)) {
                return w;
            }
        }
        return -1;
    }

    /** Runs until compiled code is in place; the calls that take about {@code nanosEach}. */
    private static int warmUp(Workload workload, long nanosEach) {
        long start = System.nanoTime();
        long last = 1;
        int calls = 0;
        while (System.nanoTime() - start < 10 * nanosEach || calls < 3) {
            long before = System.nanoTime();
            workload.body().run();
            last = Math.max(1, System.nanoTime() - before);
            calls++;
        }
        return (int) Math.max(1, nanosEach / last);
    }

    static double loadAverage() {
        return SYSTEM.getSystemLoadAverage();
    }
}
