package dev.baton.engine.disagg;

import dev.baton.engine.arch.AllToAll;
import dev.baton.engine.arch.DispatchOptions;
import dev.baton.engine.arch.DispatchOptions.Overlap;
import dev.baton.engine.arch.WireFormat;
import dev.baton.engine.balance.BalanceOptions;
import dev.baton.engine.balance.DispatchAlgorithm;
import dev.baton.engine.disagg.DisaggregationConfig.Mode;
import dev.baton.engine.disagg.transfer.TransferBackend;
import dev.baton.engine.forward.Golden;
import dev.baton.engine.parallel.LoadOptions;
import dev.baton.engine.parallel.ParallelShape;
import dev.baton.engine.parallel.PipelineOptions;
import dev.baton.engine.request.EngineRequest;
import dev.baton.engine.request.EngineRequest.Bootstrap;
import dev.baton.engine.schedule.SchedulerConfig;
import dev.baton.protocol.SamplingParams;
import dev.baton.trace.expert.InitialLocation;
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

    /**
     * Half a pair.
     *
     * @param layout {@code tp 2 pp 3}; with {@code dp} the tensor-parallel ranks are that many attention groups, with
     *     {@code travel 2} tokens travel to their experts and steps are computed in two halves, with {@code eplb 3}
     *     experts move after every third pass
     * @param hosts nodes that share the ranks
     */
    static PdSide side(
            String model,
            String layout,
            int poolTokens,
            int rows,
            SchedulerConfig.Builder config,
            DisaggregationConfig role,
            int hosts) {
        String[] words = layout.split(" ");
        ParallelShape shape = ParallelShape.SINGLE;
        BalanceOptions experts = BalanceOptions.NONE;
        Overlap overlap = Overlap.NONE;
        for (int i = 0; i < words.length; i += 2) {
            int number = Integer.parseInt(words[i + 1]);
            switch (words[i]) {
                case "tp" -> shape = ParallelShape.tensorParallel(number);
                case "dp" -> shape = shape.withDataParallelAttention(number);
                case "ep" -> shape = shape.withExpertParallel(number);
                case "pp" -> shape = shape.withPipelineParallel(number);
                case "travel" -> {
                    shape = shape.withAllToAll(AllToAll.AUTO);
                    overlap = Overlap.TWO_BATCH;
                }
                case "eplb" ->
                    experts = experts.withSlots(new InitialLocation.Trivial(), 4, DispatchAlgorithm.STATIC)
                            .withRebalancing(number, 1, 1.0);
                default -> throw new IllegalArgumentException(layout);
            }
        }
        int stages = shape.pipelineParallel();
        int batches = stages == 1 ? 1 : stages + 1;
        LoadOptions options = options(1, poolTokens, rows)
                .with()
                .shape(shape)
                .experts(experts)
                .maxStepTokens(96)
                .dispatch(new DispatchOptions(WireFormat.F32, 96, overlap))
                .pipeline(new PipelineOptions(List.of(), Math.max(2, batches), false))
                .build();
        return PdSide.start(model, options, config.microBatches(batches).build(), role, hosts);
    }

    /** Sends every prompt to both sides, to one or the other first. */
    static void submit(
            PdSide prefill, PdSide decode, Map<String, int[]> prompts, int newTokens, FakeRegistry registry) {
        long room = 1;
        for (var entry : prompts.entrySet()) {
            boolean decodeFirst = room % 2 == 0;
            EngineRequest request = request(entry.getKey(), entry.getValue(), newTokens, false, registry, room++);
            (decodeFirst ? decode : prefill).submit(request);
            (decodeFirst ? prefill : decode).submit(request);
        }
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
