package dev.baton.engine.parallel;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.engine.arch.AllToAll;
import dev.baton.engine.arch.DispatchOptions;
import dev.baton.engine.arch.DispatchOptions.Overlap;
import dev.baton.engine.arch.WireFormat;
import dev.baton.engine.balance.BalanceOptions;
import dev.baton.engine.balance.DispatchAlgorithm;
import dev.baton.engine.forward.Golden;
import dev.baton.engine.schedule.SchedulePolicy;
import dev.baton.engine.schedule.SchedulerConfig;
import dev.baton.model.config.ModelConfig;
import dev.baton.trace.expert.InitialLocation;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Whatever the layout and the traffic: on every rank slots hold what sequences read from them, and none leaks. */
class RandomLayoutsTest {
    private static final int SEEDS = 10;
    private static final int STEP_TOKENS = 32;

    static IntStream seeds() {
        return IntStream.range(0, SEEDS);
    }

    /** A layout of at most eight ranks, with all that goes with it. */
    private record Drawn(String model, LoadOptions options, SchedulerConfig config) {}

    private static <T> T oneOf(Random random, List<T> choices) {
        return choices.get(random.nextInt(choices.size()));
    }

    private static Drawn draw(Random random) {
        String model = oneOf(random, List.of(Golden.QWEN3_MOE, Golden.DEEPSEEK, Golden.DEEPSEEK_V2, Golden.LLAMA_GQA));
        boolean experts = !model.equals(Golden.LLAMA_GQA);
        int layers = ModelConfig.read(Golden.folder(model)).layers();
        int tensor = oneOf(random, List.of(1, 2, 2, 4));
        int stages = 1 + random.nextInt(tensor == 4 ? 2 : layers);
        ParallelShape shape = ParallelShape.tensorParallel(tensor).withPipelineParallel(stages);
        if (tensor > 1 && random.nextBoolean()) {
            shape = shape.withDataParallelAttention(random.nextBoolean() ? 2 : tensor);
        }
        Overlap overlap = Overlap.NONE;
        BalanceOptions balance = BalanceOptions.NONE;
        if (experts && tensor > 1) {
            if (random.nextBoolean()) {
                shape = shape.withAllToAll(oneOf(random, List.of(AllToAll.NORMAL, AllToAll.AUTO)))
                        .withDense(true, shape.dataParallelAttention());
                overlap = oneOf(random, List.of(Overlap.values()));
            } else {
                shape = shape.withExpertParallel(random.nextBoolean() ? 2 : tensor);
            }
            if (random.nextBoolean()) {
                balance = BalanceOptions.NONE
                        .withSlots(new InitialLocation.Trivial(), tensor, DispatchAlgorithm.DYNAMIC)
                        .withRebalancing(2 + random.nextInt(4), random.nextInt(2), 1.0);
            }
        }
        int batches = stages == 1 ? 1 : stages + random.nextInt(2);
        int page = oneOf(random, List.of(1, 2, 8));
        LoadOptions options = Golden.options(1)
                .with()
                .shape(shape)
                .experts(balance)
                .maxStepTokens(STEP_TOKENS)
                // About two requests fit, so that they lose their memory to each other.
                .maxTotalTokens(96 + 8 * random.nextInt(4))
                .pipeline(new PipelineOptions(List.of(), 1 + random.nextInt(batches), random.nextBoolean()))
                .dispatch(new DispatchOptions(WireFormat.F32, STEP_TOKENS, overlap))
                .build();
        SchedulerConfig config = SchedulerConfig.DEFAULT.toBuilder()
                .pageTokens(page)
                .chunkedPrefillTokens(8 * (1 + random.nextInt(3)))
                .radixCache(random.nextInt(4) > 0)
                .overlap(random.nextBoolean())
                .policy(oneOf(random, List.of(SchedulePolicy.values())))
                .conservativeness(random.nextBoolean() ? 0 : 1)
                .microBatches(batches)
                .build();
        return new Drawn(model, options, config);
    }

    @ParameterizedTest
    @MethodSource("seeds")
    void everyRankReadsWhatItsSequencesHaveWritten(int seed) {
        Random random = new Random(seed);
        Drawn drawn = draw(random);
        int page = drawn.config.pageTokens();
        try (LayoutEngine server = new LayoutEngine(drawn.model, drawn.options, drawn.config)) {
            List<List<SlotLedger>> ledgers = new ArrayList<>();
            for (RankGroup group : server.groups) {
                List<SlotLedger> ofRanks = IntStream.range(0, group.size())
                        .mapToObj(rank -> new SlotLedger(group.capacityTokens(), page))
                        .toList();
                group.setObservers(ofRanks::get).join();
                ledgers.add(ofRanks);
            }
            requireAnswered(server, random, drawn.toString());
            server.assertNothingLeaks();
            for (int group = 0; group < ledgers.size(); group++) {
                // Behind the last step of every rank.
                server.groups.get(group).setObservers(null).join();
                List<String> steps = ledgers.get(group).getFirst().steps();
                assertThat(steps).isNotEmpty();
                assertThat(ledgers.get(group))
                        .allSatisfy(rank -> assertThat(rank.steps()).isEqualTo(steps));
            }
        }
    }

    /** Prompts of which some begin alike, some of them aborted on their way. */
    private static void requireAnswered(LayoutEngine server, Random random, String layout) {
        int[] shared = random.ints(24, 3, 250).toArray();
        List<CompletableFuture<List<Integer>>> answers = new ArrayList<>();
        List<Integer> lengths = new ArrayList<>();
        for (int i = 0; i < 12; i++) {
            int[] prompt = random.ints(1 + random.nextInt(40), 3, 250).toArray();
            if (random.nextBoolean()) {
                System.arraycopy(shared, 0, prompt, 0, Math.min(prompt.length, shared.length));
            }
            lengths.add(1 + random.nextInt(24));
            answers.addAll(server.ask(List.of(prompt), lengths.getLast()));
            if (random.nextInt(4) == 0) {
                server.engine.abort("r" + random.nextInt(i + 1));
            }
        }
        for (int i = 0; i < answers.size(); i++) {
            int length = lengths.get(i);
            String wrong = answers.get(i)
                    .handle((ids, error) -> error == null
                            ? ids.size() == length ? "" : ids + " for " + length + " tokens"
                            : error.getMessage().contains("Abort") ? "" : error.toString())
                    .join();
            assertThat(wrong).as("answer %d on %s", i, layout).isEmpty();
        }
    }
}
