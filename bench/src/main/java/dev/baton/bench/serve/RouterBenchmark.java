package dev.baton.bench.serve;

import dev.baton.bench.Figures;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/**
 * What the router costs between a client and a prefill and a decode server that cost nothing: the latency it adds at 500
 * requests a second, and requests a CPU second against another router. Router and workers run in processes of their own;
 * rounds take turns.
 *
 * <p>Arguments: {@code PREFILL_PORT DECODE_PORT [PEER_PORT PEER_PID]}. The workers listen at the first two; the peer is a
 * router that stands in front of {@code http://127.0.0.1:PREFILL_PORT} and {@code http://127.0.0.1:DECODE_PORT}.
 */
public final class RouterBenchmark {
    private static final double RATE = 500;
    private static final double WINDOW_SECONDS = 6;
    private static final int REPEATS = 5;
    private static final int WARM_UP_REQUESTS = 100_000;
    private static final int REQUESTS = 30_000;
    private static final int PEER_REQUESTS = 2_000;
    private static final int CONNECTIONS = 16;
    private static final String PATH = "/generate";
    private static final List<String> JVM = List.of("-Xmx512m", "-XX:+UseParallelGC");

    private RouterBenchmark() {}

    /** A server under load: where it listens and what its CPU is read from. */
    private record Target(String name, int port, Proc process, int requests) {}

    public static void main(String[] args) throws Exception {
        if (args.length != 2 && args.length != 4) {
            System.err.println("Usage: RouterBenchmark PREFILL_PORT DECODE_PORT [PEER_PORT PEER_PID]");
            System.exit(2);
        }
        print(
                "load average at the start: %s, processors %d",
                Proc.load(), Runtime.getRuntime().availableProcessors());
        try (ServerProcess prefill = new ServerProcess(JVM, "worker", args[0]);
                ServerProcess decode = new ServerProcess(JVM, "worker", args[1]);
                ServerProcess router = new ServerProcess(JVM, "router", args[0], args[1])) {
            print("prefill server at %d, decode server at %d", prefill.port(), decode.port());
            Target direct = new Target("direct", decode.port(), decode.proc(), REQUESTS);
            Target ours = new Target("router", router.port(), router.proc(), REQUESTS);
            List<Target> routers = new ArrayList<>(List.of(ours));
            if (args.length == 4) {
                Proc peer = new Proc(Long.parseLong(args[3]));
                routers.add(new Target("peer", Integer.parseInt(args[2]), peer, PEER_REQUESTS));
            }
            closedLoop(direct, WARM_UP_REQUESTS);
            closedLoop(ours, WARM_UP_REQUESTS);
            List<Target> all = new ArrayList<>(List.of(direct));
            all.addAll(routers);
            latencies(all);
            requestsPerCpuSecond(routers);
        }
        print("load average at the end: %s", Proc.load());
    }

    private static void latencies(List<Target> targets) throws Exception {
        double[][] medians = new double[targets.size()][REPEATS];
        double[][] tails = new double[targets.size()][REPEATS];
        int[] lost = new int[targets.size()];
        for (int repeat = 0; repeat < REPEATS; repeat++) {
            for (int i = 0; i < targets.size(); i++) {
                try (PacedLoad load = new PacedLoad(targets.get(i).port(), request())) {
                    PacedLoad.Outcome outcome = load.run(RATE, WINDOW_SECONDS, repeat);
                    medians[i][repeat] = outcome.millis(0.5);
                    tails[i][repeat] = outcome.millis(0.99);
                    lost[i] += outcome.lost();
                }
            }
        }
        for (int i = 0; i < targets.size(); i++) {
            print(
                    "latency %-6s %.0f req/s: median %.3f ms (%s), p99 %.3f ms, lost %d of %d",
                    targets.get(i).name(),
                    RATE,
                    Figures.median(medians[i]),
                    shown(medians[i], "%.3f"),
                    Figures.median(tails[i]),
                    lost[i],
                    (int) (RATE * WINDOW_SECONDS) * REPEATS);
            if (i > 0) {
                double[] added = new double[REPEATS];
                for (int r = 0; r < REPEATS; r++) {
                    added[r] = medians[i][r] - medians[0][r];
                }
                print(
                        "        %s adds %.3f ms at the median (goal 1)",
                        targets.get(i).name(), Figures.median(added));
            }
        }
    }

    private static void requestsPerCpuSecond(List<Target> routers) throws Exception {
        double[][] rates = new double[routers.size()][REPEATS];
        for (int repeat = 0; repeat < REPEATS; repeat++) {
            for (int i = 0; i < routers.size(); i++) {
                rates[i][repeat] = closedLoop(routers.get(i), routers.get(i).requests());
            }
        }
        for (int i = 0; i < routers.size(); i++) {
            print(
                    "throughput %-6s %.0f requests a CPU second (%s)",
                    routers.get(i).name(), Figures.median(rates[i]), shown(rates[i], "%.0f"));
        }
        if (routers.size() > 1) {
            print(
                    "the router does %.1f times the peer's requests a CPU second (goal 5)",
                    Figures.median(rates[0]) / Figures.median(rates[1]));
        }
    }

    /** Requests a CPU second of the target's process. */
    private static double closedLoop(Target target, int count) throws Exception {
        try (Load load = new Load(target.port(), CONNECTIONS, request(), true)) {
            if (!load.await(count / 10, 60)) {
                throw new IllegalStateException(target.name() + " does not answer");
            }
            double cpu = target.process().cpuSeconds();
            long replies = load.received.sum();
            if (!load.await(replies + count, 120)) {
                throw new IllegalStateException("no " + count + " replies from " + target.name() + " within 120 s");
            }
            return (load.received.sum() - replies) / (target.process().cpuSeconds() - cpu);
        }
    }

    private static byte[] request() {
        StringBuilder ids = new StringBuilder();
        for (int i = 0; i < 256; i++) {
            ids.append(i == 0 ? "" : ",").append(1_000 + i);
        }
        String body = "{\"input_ids\":[" + ids + "],\"sampling_params\":{\"max_new_tokens\":16,\"temperature\":0}}";
        return Load.request(PATH, body);
    }

    private static String shown(double[] values, String format) {
        return String.join(
                " ",
                Arrays.stream(values)
                        .mapToObj(v -> String.format(Locale.ROOT, format, v))
                        .toList());
    }

    private static void print(String format, Object... arguments) {
        System.out.println(String.format(Locale.ROOT, format, arguments));
    }
}
