package dev.baton.bench.parallel;

import dev.baton.cuda.CudaDevice;
import dev.baton.cuda.CudaOptions;
import dev.baton.cuda.nccl.NcclGroup;
import dev.baton.model.DType;
import dev.baton.tensor.Graph;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.parallel.Communicator;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/**
 * All-reduce of BF16 tensors between GPUs of this host, a thread each: queued call by call, and twenty of them replayed as
 * a graph. GB/s is the bus bandwidth: bytes times 2 (n - 1) / n over the time (nccl-tests, PERFORMANCE.md).
 *
 * <pre>
 * NcclBench [RANKS] [BYTES...]
 * </pre>
 */
public final class NcclBench {
    private static final int IN_GRAPH = 20;
    private static final int ROUNDS = 15;

    private NcclBench() {}

    public static void main(String[] arguments) throws Exception {
        int ranks = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 2;
        long[] sizes = arguments.length > 1
                ? Arrays.stream(arguments).skip(1).mapToLong(Long::parseLong).toArray()
                : new long[] {8 << 10, 256 << 10, 1 << 20, 16 << 20, 256 << 20, 1 << 30};
        NcclGroup group = new NcclGroup(ranks, Duration.ofSeconds(60));
        System.out.println("NCCL " + NcclGroup.libraryVersion());
        List<Thread> threads = new ArrayList<>();
        for (int r = 0; r < ranks; r++) {
            int rank = r;
            threads.add(Thread.ofPlatform().start(() -> rank(group, rank, sizes)));
        }
        for (Thread thread : threads) {
            thread.join();
        }
    }

    private static void rank(NcclGroup group, int rank, long[] sizes) {
        try (CudaDevice device = CudaDevice.open(CudaOptions.of(rank, DType.BF16));
                Communicator mine = device.join(group, rank)) {
            for (long bytes : sizes) {
                Tensor x = device.allocate(DType.BF16, bytes / 2);
                double eager = seconds(device, mine, () -> mine.allReduce(x));
                Runnable several = () -> {
                    for (int i = 0; i < IN_GRAPH; i++) {
                        mine.allReduce(x);
                    }
                };
                try (Graph graph = device.capture(several)) {
                    double replayed = seconds(device, mine, graph::launch) / IN_GRAPH;
                    if (rank == 0) {
                        double bus = 2.0 * (mine.size() - 1) / mine.size() * bytes / 1e9;
                        System.out.printf(
                                Locale.ROOT,
                                "all-reduce %11d bytes  one call %9.1f us  in a graph %9.1f us  %7.1f GB/s%n",
                                bytes,
                                eager * 1e6,
                                replayed * 1e6,
                                bus / replayed);
                    }
                }
            }
        }
    }

    private static double seconds(CudaDevice device, Communicator group, Runnable work) {
        double[] times = new double[ROUNDS];
        for (int i = -5; i < ROUNDS; i++) {
            device.synchronize();
            group.barrier();
            long start = System.nanoTime();
            work.run();
            device.synchronize();
            if (i >= 0) {
                times[i] = (System.nanoTime() - start) * 1e-9;
            }
        }
        Arrays.sort(times);
        return times[ROUNDS / 2];
    }
}
