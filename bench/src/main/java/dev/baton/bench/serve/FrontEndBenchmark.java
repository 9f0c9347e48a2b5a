package dev.baton.bench.serve;

import dev.baton.bench.Figures;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/**
 * What the front end costs with an engine that costs nothing. Servers run in JVMs of their own; their CPU and memory are
 * read from {@code /proc}, so the load generator's share is not in the figures. Arguments: {@code tokens}, {@code
 * requests}, {@code idle}, or nothing for all.
 */
public final class FrontEndBenchmark {
    private static final int STREAMS = 2_000;
    private static final int STEP_MILLIS = 100;
    private static final String STEP = Integer.toString(STEP_MILLIS);
    private static final int WINDOW_SECONDS = 5;
    private static final int REPEATS = 5;
    /** Both servers of a comparison get the same requests at the same times: a closed loop would batch them differently. */
    private static final double REQUESTS_PER_SECOND = 2_000;

    private static final int PACED_WARM_UPS = 3;
    private static final int REQUEST_REPEATS = 9;

    /** Until the compiler has done with a whole request, which takes longer than with a hello world. */
    private static final int WARM_UP_REQUESTS = 250_000;

    private static final List<String> JVM = jvm();

    private FrontEndBenchmark() {}

    /** Flags of the servers; {@code -Dbaton.bench.jvm=...} adds some (a flight recording, another collector). */
    private static List<String> jvm() {
        List<String> flags = new ArrayList<>(List.of("-Xmx512m", "-XX:+UseParallelGC"));
        String more = System.getProperty("baton.bench.jvm", "");
        if (!more.isBlank()) {
            flags.addAll(List.of(more.split(" ")));
        }
        return List.copyOf(flags);
    }

    public static void main(String[] args) throws Exception {
        List<String> what = args.length == 0 ? List.of("tokens", "requests", "idle") : Arrays.asList(args);
        System.out.println("load average at the start: " + Proc.load() + ", processors "
                + Runtime.getRuntime().availableProcessors() + ", Java " + Runtime.version());
        if (what.contains("tokens")) {
            tokens("the framework alone, frames of 240 bytes", "/", "{}", "frames", STEP, "240");
            String chat =
                    "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"stream\":true,\"max_tokens\":100000}";
            tokens("chat stream", "/v1/chat/completions", chat, "baton", STEP);
            String generate = "{\"text\":\"hi\",\"stream\":true,\"sampling_params\":{\"max_new_tokens\":100000}}";
            tokens("/generate stream (cumulative)", "/generate", generate, "baton", STEP);
        }
        if (what.contains("requests")) {
            requests();
        }
        if (what.contains("idle")) {
            idle();
        }
        System.out.println("load average at the end: " + Proc.load());
    }

    /** CPU of the server for each frame over many streams; each step sends one frame on each. */
    private static void tokens(String name, String path, String body, String... server) throws Exception {
        try (ServerProcess process = new ServerProcess(JVM, server);
                Load load = new Load(process.port(), STREAMS, Load.request(path, body), false)) {
            // Warm: every stream has begun and the code is compiled.
            load.await(100L * STREAMS, 60);
            List<Double> micros = new ArrayList<>();
            for (int repeat = 0; repeat < REPEATS; repeat++) {
                Proc.Cpu before = process.proc().cpu();
                long frames = load.received.sum();
                long bytes = load.bytes.sum();
                Thread.sleep(WINDOW_SECONDS * 1_000L);
                Proc.Cpu cpu = process.proc().cpu().since(before);
                frames = load.received.sum() - frames;
                micros.add(cpu.total() / frames * 1e6);
                print(
                        "%s: %.0f frames/s (asked %d) of %d bytes, %.2f us CPU a frame (user %.2f, system %.2f)",
                        name,
                        frames / (double) WINDOW_SECONDS,
                        STREAMS * 1_000 / STEP_MILLIS,
                        (load.bytes.sum() - bytes) / frames,
                        cpu.total() / frames * 1e6,
                        cpu.user() / frames * 1e6,
                        cpu.system() / frames * 1e6);
            }
            print("%s: median %.2f us CPU a frame over %d streams (goal 12)", name, Figures.median(micros), STREAMS);
        }
    }

    /** CPU of a whole request, against the framework's hello world; the two take turns. */
    private static void requests() throws Exception {
        String ids = "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16";
        String body = "{\"input_ids\":[" + ids + "],\"sampling_params\":{\"max_new_tokens\":1,\"temperature\":0}}";
        List<Double> hello = new ArrayList<>();
        List<Double> baton = new ArrayList<>();
        try (ServerProcess bare = new ServerProcess(JVM, "hello");
                ServerProcess full = new ServerProcess(JVM, "baton", "0")) {
            warmUp(bare, body);
            warmUp(full, body);
            for (int repeat = -PACED_WARM_UPS; repeat < 0; repeat++) {
                request(bare, body, repeat);
                request(full, body, repeat);
            }
            for (int repeat = 0; repeat < REQUEST_REPEATS; repeat++) {
                hello.add(request(bare, body, repeat));
                baton.add(request(full, body, repeat));
                print(
                        "request: hello world %.1f us CPU, /generate %.1f us CPU, ratio %.2f",
                        hello.get(repeat), baton.get(repeat), baton.get(repeat) / hello.get(repeat));
            }
        }
        double ratio = Figures.median(baton) / Figures.median(hello);
        print("request: %.2f of the hello world's CPU (goal 1.30)", ratio);
    }

    /** Counted, not timed: a machine that is shared must not shorten the warm-up. */
    private static void warmUp(ServerProcess server, String body) throws Exception {
        try (Load load = new Load(server.port(), 32, Load.request("/generate", body), true)) {
            if (!load.await(WARM_UP_REQUESTS, 300)) {
                throw new IllegalStateException("no " + WARM_UP_REQUESTS + " replies within 300 s");
            }
        }
    }

    /** Microseconds of CPU a request over one window; the seed is the repeat's, so that both servers get the same times. */
    private static double request(ServerProcess server, String body, int repeat) throws Exception {
        try (PacedLoad load = new PacedLoad(server.port(), Load.request("/generate", body))) {
            load.run(REQUESTS_PER_SECOND, 1, repeat);
            double cpu = server.proc().cpuSeconds();
            PacedLoad.Outcome outcome = load.run(REQUESTS_PER_SECOND, WINDOW_SECONDS, repeat);
            if (outcome.lost() > 0) {
                throw new IllegalStateException(outcome.lost() + " of " + outcome.sent() + " requests were lost");
            }
            return (server.proc().cpuSeconds() - cpu) / outcome.sent() * 1e6;
        }
    }

    /** Memory of a server that holds streams which say nothing. */
    private static void idle() throws Exception {
        String body = "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"stream\":true,\"max_tokens\":100}";
        int never = 24 * 3_600 * 1_000;
        try (ServerProcess server = new ServerProcess(JVM, "baton", Integer.toString(never))) {
            double before = server.proc().residentMebibytes();
            try (Load load = new Load(server.port(), STREAMS, Load.request("/v1/chat/completions", body), false)) {
                // The head of each reply has come: the stream is open.
                while (load.bytes.sum() < STREAMS * 60L) {
                    Thread.sleep(20);
                }
                Thread.sleep(2_000);
                print(
                        "idle: %.0f MiB resident before, %.0f MiB with %d idle streams (goal 400)",
                        before, server.proc().residentMebibytes(), STREAMS);
            }
        }
    }

    private static void print(String format, Object... arguments) {
        System.out.println(String.format(Locale.ROOT, format, arguments));
    }
}
