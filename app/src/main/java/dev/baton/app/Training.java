package dev.baton.app;

import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

/**
 * What the launcher's start-up cache is made from: the help of every verb, and a trace read until the scanner is hot. The
 * cache keeps the classes and what the JVM learnt about the methods, so that a later run compiles them sooner.
 */
final class Training {
    private static final int EVENTS = 60_000;
    private static final List<String> VERBS =
            List.of("trace", "log", "throughput", "experts", "profile", "lab", "route", "serve");

    private Training() {}

    static void run() {
        PrintStream console = System.out;
        System.setOut(new PrintStream(OutputStream.nullOutputStream()));
        try {
            Path sample = Files.createTempFile("baton-training-", "-TP-0.trace.json");
            try {
                Files.writeString(sample, trace());
                Baton.execute("--help");
                VERBS.forEach(verb -> Baton.execute(verb, "--help"));
                Baton.execute("trace", "analyze", sample.toString());
            } finally {
                Files.delete(sample);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } finally {
            System.setOut(console);
        }
    }

    /** Graph replays of kernels among many Python frames, written as PyTorch's profiler does. */
    private static String trace() {
        String event = """
                  {
                    "ph": "X", "cat": "%s", "name": "%s", "pid": %d, "tid": %d,
                    "ts": %d.250, "dur": %d.125,
                    "args": {
                      "External id": %d, "Python parent id": %d, "device": 0, "stream": 7, "correlation": %d
                    }
                  }""";
        StringBuilder text = new StringBuilder("{\"schemaVersion\": 1, \"traceEvents\": [\n");
        for (int i = 0; i < EVENTS; i++) {
            boolean isKernel = i % 14 == 0;
            int replay = i / 6000 + 1;
            String kind = i % 6000 == 0 ? "cuda_runtime" : isKernel ? "kernel" : "python_function";
            String name = i % 6000 == 0 ? "cudaGraphLaunch" : (isKernel ? "gemm_" : "model.py(12): layer_") + i % 97;
            text.append(i == 0 ? "" : ",\n")
                    .append(String.format(
                            Locale.ROOT, event, kind, name, isKernel ? 0 : 77, 7, 10L * i, 5, i, i / 2, replay));
        }
        return text.append("\n]}\n").toString();
    }
}
