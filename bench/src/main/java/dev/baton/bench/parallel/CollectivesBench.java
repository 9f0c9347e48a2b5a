package dev.baton.bench.parallel;

import dev.baton.bench.Figures;
import dev.baton.model.DType;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.parallel.Communicator;
import dev.baton.tensor.parallel.LocalCommunicator;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/**
 * Collectives between ranks of one JVM against a memory copy by as many threads: all-reduce and all-to-all each read and
 * write every rank's bytes once, as the copy does. The three take turns; least times (on a machine with other load the ones
 * without it) and medians are compared.
 *
 * <pre>
 * CollectivesBench [RANKS] [ROWS] [COLUMNS] [ROUNDS]
 * </pre>
 */
public final class CollectivesBench {
    private CollectivesBench() {}

    public static void main(String[] arguments) throws Exception {
        int ranks = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 2;
        int rows = arguments.length > 1 ? Integer.parseInt(arguments[1]) : 4096;
        int columns = arguments.length > 2 ? Integer.parseInt(arguments[2]) : 2048;
        int rounds = arguments.length > 3 ? Integer.parseInt(arguments[3]) : 25;
        List<Communicator> group = LocalCommunicator.group(ranks, Duration.ofSeconds(60));
        List<Thread> threads = new ArrayList<>();
        for (int r = 0; r < ranks; r++) {
            Communicator communicator = group.get(r);
            threads.add(Thread.ofPlatform().start(() -> new Rank(communicator, rows, columns).run(rounds)));
        }
        for (Thread thread : threads) {
            thread.join();
        }
    }

    /** One rank's tensors and measurements. */
    private static final class Rank {
        private final Communicator group;
        private final Tensor x;
        private final Tensor out;
        private final int[] counts;

        Rank(Communicator group, int rows, int columns) {
            this.group = group;
            this.x = tensor(rows, columns);
            this.out = tensor(rows, columns);
            this.counts = new int[group.size()];
            Arrays.fill(counts, rows / group.size());
        }

        private static Tensor tensor(int rows, int columns) {
            return Tensor.dense(Arena.ofAuto().allocate(4L * rows * columns, 64), DType.F32, rows, columns);
        }

        void run(int rounds) {
            double[][] seconds = new double[3][rounds];
            for (int i = -5; i < rounds; i++) {
                time(seconds[0], i, () -> {
                    MemorySegment.copy(x.memory(), 0, out.memory(), 0, 4 * x.elements());
                    group.barrier();
                });
                time(seconds[1], i, () -> group.allReduce(x));
                time(seconds[2], i, () -> group.allToAll(x, counts, out, counts));
            }
            if (group.rank() == 0) {
                print("copy", seconds[0], seconds[0]);
                print("all-reduce", seconds[1], seconds[0]);
                print("all-to-all", seconds[2], seconds[0]);
            }
        }

        private void time(double[] into, int round, Runnable work) {
            group.barrier();
            long start = System.nanoTime();
            work.run();
            if (round >= 0) {
                into[round] = (System.nanoTime() - start) / 1e9;
            }
        }

        /** GB/s of all ranks, reading and writing. */
        private void print(String what, double[] seconds, double[] copy) {
            int middle = seconds.length / 2;
            double bytes = 2.0 * group.size() * 4 * x.elements();
            System.out.printf(
                    Locale.ROOT,
                    "%-10s %d ranks x %d MiB  least %7.2f ms = %6.2f GB/s, %.2f of the copy; median %7.2f ms, %.2f of the copy%n",
                    what,
                    group.size(),
                    4 * x.elements() >> 20,
                    Figures.at(seconds, 0) * 1e3,
                    bytes / Figures.at(seconds, 0) / 1e9,
                    Figures.at(copy, 0) / Figures.at(seconds, 0),
                    Figures.at(seconds, middle) * 1e3,
                    Figures.at(copy, middle) / Figures.at(seconds, middle));
        }
    }
}
