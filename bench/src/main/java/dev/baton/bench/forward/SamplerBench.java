package dev.baton.bench.forward;

import dev.baton.engine.sample.Logprobs;
import dev.baton.engine.sample.Sampler;
import dev.baton.protocol.SamplingParams;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.function.IntUnaryOperator;

/** CPU time of choosing one token from a row of 151,936 logits, median of many rows. */
public final class SamplerBench {
    private static final int VOCABULARY = 151_936;
    private static final int ROUNDS = 300;
    private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

    private SamplerBench() {}

    public static void main(String[] arguments) {
        float[] logits = new float[VOCABULARY];
        Random random = new Random(1);
        for (int i = 0; i < VOCABULARY; i++) {
            logits[i] = (float) (random.nextGaussian() * 3);
        }
        Sampler sampler = new Sampler(VOCABULARY, List.of());
        Logprobs logprobs = new Logprobs(VOCABULARY);
        float[] row = new float[VOCABULARY];
        int[] tokens = random.ints(2048, 0, VOCABULARY).toArray();
        Map<String, SamplingParams> cases = Map.of(
                "temperature", params(1, -1, 0, 1),
                "top-p 0.9", params(0.9f, -1, 0, 1),
                "top-k 50", params(1, 50, 0, 1),
                "top-p 0.9, top-k 50, min-p 0.05", params(0.9f, 50, 0.05f, 1),
                "top-p 0.9, penalties over 2048 tokens", params(0.9f, -1, 0, 1.1f));
        cases.forEach((name, params) -> measure(name, i -> {
            System.arraycopy(logits, 0, row, 0, VOCABULARY);
            return sampler.choose(row, params, tokens, 1024, 2048, i);
        }));
        measure(
                "logprobs, 20 alternatives",
                i -> logprobs.of(logits, i, 20, new int[0]).topIds()[0]);
    }

    private static SamplingParams params(float topP, int topK, float minP, float repetition) {
        return SamplingParams.DEFAULT.toBuilder()
                .maxNewTokens(1)
                .temperature(0.8f)
                .topP(topP)
                .topK(topK)
                .minP(minP)
                .repetitionPenalty(repetition)
                .build();
    }

    private static void measure(String name, IntUnaryOperator body) {
        long[] nanos = new long[ROUNDS];
        long sink = 0;
        for (int i = 0; i < ROUNDS; i++) {
            long before = THREADS.getCurrentThreadCpuTime();
            sink += body.applyAsInt(i);
            nanos[i] = THREADS.getCurrentThreadCpuTime() - before;
        }
        Arrays.sort(nanos);
        System.out.printf(
                Locale.ROOT,
                "%-40s %8.1f us of CPU a row (median; best %.1f; checksum %d)%n",
                name,
                nanos[ROUNDS / 2] * 1e-3,
                nanos[0] * 1e-3,
                sink);
    }
}
