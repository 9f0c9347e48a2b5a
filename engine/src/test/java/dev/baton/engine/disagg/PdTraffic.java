package dev.baton.engine.disagg;

import dev.baton.engine.disagg.DisaggregationConfig.Mode;
import dev.baton.engine.disagg.transfer.TransferBackend;
import dev.baton.engine.forward.Golden;
import dev.baton.engine.parallel.LoadOptions;
import dev.baton.engine.request.EngineRequest;
import dev.baton.engine.request.EngineRequest.Bootstrap;
import dev.baton.engine.schedule.SchedulerConfig;
import dev.baton.protocol.SamplingParams;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;

/** What the tests of pairs set up and ask. */
final class PdTraffic {
    private static final int VOCABULARY = 500;

    private PdTraffic() {}

    static DisaggregationConfig role(Mode mode, TransferBackend backend, FakeRegistry registry) {
        return DisaggregationConfig.of(mode)
                .withBackend(backend)
                .withHosts("127.0.0.1", "127.0.0.1", registry.port())
                .withReservedDecodeTokens(16);
    }

    static LoadOptions options(int tensorParallel, int poolTokens, int rows) {
        return Golden.options(tensorParallel)
                .with()
                .maxTotalTokens(poolTokens)
                .maxRunningRequests(rows)
                .build();
    }

    static SchedulerConfig.Builder config(int pageTokens, int chunkTokens) {
        return SchedulerConfig.DEFAULT.toBuilder()
                .pageTokens(pageTokens)
                .chunkedPrefillTokens(chunkTokens)
                .maxPrefillTokens(256)
                .decodeLogInterval(5);
    }

    static Map<String, int[]> prompts(int count, long seed) {
        Random random = new Random(seed);
        Map<String, int[]> prompts = new HashMap<>();
        int[] shared = random.ints(40, 3, VOCABULARY).toArray();
        for (int i = 0; i < count; i++) {
            int length = 1 + random.nextInt(90);
            int[] prompt = random.ints(length, 3, VOCABULARY).toArray();
            // Some begin alike, so that the prefill side finds a part in its prefix cache.
            System.arraycopy(shared, 0, prompt, 0, i % 3 == 0 ? Math.min(length, shared.length) : 0);
            prompts.put("r" + i, prompt);
        }
        return prompts;
    }

    /** @param room less than 0 for a server of no pair */
    static EngineRequest request(
            String rid, int[] prompt, int newTokens, boolean logprobs, FakeRegistry registry, long room) {
        return new EngineRequest(
                rid,
                prompt,
                SamplingParams.greedy(newTokens),
                logprobs ? new EngineRequest.LogprobSpec(-1, 2, new int[0]) : null,
                room < 0 ? null : new Bootstrap("127.0.0.1", registry.port(), room),
                null);
    }

    /** What one server of one rank answers. */
    static Map<String, List<Integer>> aggregated(
            String model, Map<String, int[]> prompts, int newTokens, FakeRegistry registry) {
        Map<String, List<Integer>> answers = new HashMap<>();
        try (PdSide whole =
                PdSide.start(model, options(1, 900, 8), config(1, 64).build(), DisaggregationConfig.NONE)) {
            prompts.forEach((rid, prompt) -> whole.submit(request(rid, prompt, newTokens, false, registry, -1)));
            prompts.keySet().forEach(rid -> {
                whole.finish(rid);
                answers.put(rid, whole.ids(rid));
            });
        }
        return answers;
    }
}
