package dev.baton.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.baton.engine.forward.LateDevice;
import dev.baton.engine.forward.PendingStep;
import dev.baton.engine.forward.RankObserver;
import dev.baton.engine.parallel.LoadOptions;
import dev.baton.engine.parallel.ModelLoader;
import dev.baton.engine.parallel.RankGroup;
import dev.baton.engine.request.EngineRequest;
import dev.baton.engine.request.EngineRequest.LogprobSpec;
import dev.baton.engine.request.RequestOutput;
import dev.baton.engine.schedule.SchedulerConfig;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.model.config.ModelConfig;
import dev.baton.protocol.SamplingParams;
import dev.baton.tensor.Device;
import dev.baton.tensor.cpu.CpuDevice;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Steps that are queued before the tokens of the step before are known give the same tokens as steps one by one. */
class LateChoicesTest {
    private static final Path FOLDER = Path.of(System.getProperty("baton.root", ".."), "models/baton-nano");
    private static final int CONTEXT = 128;

    private static ModelLoader loader;

    @BeforeAll
    static void opens() throws IOException {
        assumeTrue(Files.exists(FOLDER.resolve("config.json")), FOLDER + " holds no model");
        loader = ModelLoader.open(FOLDER, LoadOptions.Format.SAFETENSORS, 1);
    }

    @AfterAll
    static void closes() throws Exception {
        if (loader != null) {
            loader.close();
        }
    }

    /** Prompts with common beginnings, so that later ones find a cached prefix; rows and slots are scarce. */
    private static List<EngineRequest> requests(int count, boolean hostToo) {
        Random random = new Random(5);
        int[] common = random.ints(24, 3, 4000).toArray();
        List<EngineRequest> requests = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            int shared = random.nextInt(common.length);
            int[] own = random.ints(1 + random.nextInt(30), 3, 4000).toArray();
            int[] prompt = IntStream.concat(Arrays.stream(common, 0, shared), Arrays.stream(own))
                    .toArray();
            SamplingParams params = params(random, i).withMaxNewTokens(1 + random.nextInt(40));
            LogprobSpec told = hostToo && i % 5 == 0 ? new LogprobSpec(-1, 1, new int[0]) : null;
            requests.add(new EngineRequest("r" + i, prompt, params, told, null, null));
        }
        return requests;
    }

    private static SamplingParams params(Random random, int i) {
        SamplingParams.Builder builder = SamplingParams.DEFAULT.toBuilder().seed((long) i);
        return switch (i % 4) {
            case 0 -> SamplingParams.greedy(1);
            case 1 -> builder.temperature(0.5f + random.nextFloat()).topP(0.9f).build();
            case 2 -> builder.topK(20).minP(0.01f).repetitionPenalty(1.3f).build();
            default ->
                builder.temperature(0)
                        .frequencyPenalty(0.5f)
                        .presencePenalty(0.4f)
                        .build();
        };
    }

    private static List<List<Integer>> answers(Supplier<Device> device, List<EngineRequest> requests) {
        return answers(device, requests, null);
    }

    private static List<List<Integer>> answers(
            Supplier<Device> device, List<EngineRequest> requests, @Nullable RankObserver observer) {
        ModelConfig model = loader.config();
        LoadOptions options = LoadOptions.DEFAULT
                .with()
                .contextTokens(CONTEXT)
                .maxRunningRequests(6)
                .maxStepTokens(64)
                .maxTotalTokens(400)
                .build();
        EngineInfo info =
                new EngineInfo(FOLDER.toString(), "", "", model.vocabSize(), CONTEXT, 0, 0, 0, 0, 1, 1, null, 0, 0);
        SchedulerConfig config =
                SchedulerConfig.DEFAULT.toBuilder().chunkedPrefillTokens(32).build();
        try (LocalEngine engine = LocalEngine.builder(info, config, rank -> {
                    RankGroup group = loader.start(options, (r, size) -> device.get());
                    group.setObservers(observer == null ? null : r -> observer);
                    return group;
                })
                .endTokenIds(new HashSet<>(model.eosIds()))
                .build()) {
            List<CompletableFuture<List<Integer>>> pending = new ArrayList<>();
            for (EngineRequest request : requests) {
                CompletableFuture<List<Integer>> answer = new CompletableFuture<>();
                List<Integer> ids = new ArrayList<>();
                engine.submit(request, output -> take(output, ids, answer));
                pending.add(answer);
            }
            return pending.stream()
                    .map(answer -> answer.orTimeout(60, TimeUnit.SECONDS).join())
                    .toList();
        }
    }

    private static void take(RequestOutput output, List<Integer> ids, CompletableFuture<List<Integer>> answer) {
        for (int id : output.newIds()) {
            ids.add(id);
        }
        if (output.isLast()) {
            answer.complete(ids);
        }
    }

    @Test
    void tokensAreThoseOfADeviceThatIsWaitedFor() {
        List<EngineRequest> requests = requests(48, false);
        List<LateDevice> devices = new ArrayList<>();
        List<List<Integer>> late = answers(
                () -> {
                    devices.add(new LateDevice());
                    return devices.getLast();
                },
                requests);
        assertThat(late).isEqualTo(answers(() -> CpuDevice.open(1), requests));
        LateDevice device = devices.getFirst();
        assertThat(device.sampledRows()).as("rows sampled on the device").isGreaterThan(200);
        // One step of this model is fewer calls than this; the next one was queued behind it.
        assertThat(device.mostQueued()).isGreaterThan(120);
    }

    /** Counts steps, and those that the device still had to do when the host had done its part. */
    private record Watching(boolean watchesOperators, AtomicInteger began, AtomicInteger ended, AtomicInteger undone)
            implements RankObserver {
        @Override
        public void stepBegan(StepPlan plan) {
            began.incrementAndGet();
        }

        @Override
        public void stepEnded(StepPlan plan, PendingStep step) {
            ended.incrementAndGet();
            undone.addAndGet(step.isDone() ? 0 : 1);
        }
    }

    @Test
    void stepsAreWaitedForOnlyWhereTheirOperatorsAreWatched() {
        List<EngineRequest> requests = requests(7, false);
        List<List<Integer>> unwatched = answers(() -> CpuDevice.open(1), requests);
        for (boolean operators : new boolean[] {false, true}) {
            Watching watching = new Watching(operators, new AtomicInteger(), new AtomicInteger(), new AtomicInteger());
            assertThat(answers(LateDevice::new, requests, watching)).isEqualTo(unwatched);
            assertThat(watching.began().get())
                    .isGreaterThan(10)
                    .isEqualTo(watching.ended().get());
            assertThat(watching.undone().get() > 0).isEqualTo(!operators);
        }
    }

    @Test
    void requestsThatNeedTheHostMixWithThoseThatDoNot() {
        List<EngineRequest> requests = requests(30, true);
        assertThat(answers(LateDevice::new, requests)).isEqualTo(answers(() -> CpuDevice.open(1), requests));
    }
}
