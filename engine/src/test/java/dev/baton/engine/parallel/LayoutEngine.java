package dev.baton.engine.parallel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.baton.engine.EngineInfo;
import dev.baton.engine.LocalEngine;
import dev.baton.engine.RankState;
import dev.baton.engine.forward.Golden;
import dev.baton.engine.request.EngineRequest;
import dev.baton.engine.schedule.SchedulerConfig;
import dev.baton.protocol.FinishReason;
import dev.baton.protocol.SamplingParams;
import dev.baton.tensor.cpu.CpuKernels;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** A stored checkpoint behind an engine of any layout of one replica. */
public final class LayoutEngine implements AutoCloseable {
    private final ModelLoader loader;
    final List<RankGroup> groups;
    final LocalEngine engine;
    private int asked;

    LayoutEngine(String model, LoadOptions options, SchedulerConfig config) {
        this(model, options, config, ModelLoader.open(Golden.folder(model), LoadOptions.Format.SAFETENSORS, 1));
    }

    private LayoutEngine(String model, LoadOptions options, SchedulerConfig config, ModelLoader loader) {
        this(model, options, config, loader, loader.startGroups(options, Golden.cpu(CpuKernels.VECTOR, 1)));
    }

    /** An engine over ranks that have been started. */
    public LayoutEngine(
            String model, LoadOptions options, SchedulerConfig config, ModelLoader loader, List<RankGroup> groups) {
        this.loader = loader;
        this.groups = groups;
        EngineInfo info = new EngineInfo(
                model,
                "",
                "",
                loader.config().vocabSize(),
                options.contextTokens(),
                0,
                0,
                0,
                0,
                options.shape().tensorParallel(),
                groups.size(),
                null,
                0,
                0);
        engine = LocalEngine.builder(info, config, groups::get)
                .dataParallel(groups.size())
                .log(line -> {})
                .build();
    }

    /** Greedy answers of a fixed length to all prompts at once. */
    public List<CompletableFuture<List<Integer>>> ask(List<int[]> prompts, int tokens) {
        SamplingParams sampling = SamplingParams.DEFAULT.toBuilder()
                .maxNewTokens(tokens)
                .temperature(0)
                .ignoreEos(true)
                .build();
        List<CompletableFuture<List<Integer>>> answers = new ArrayList<>();
        for (int[] prompt : prompts) {
            CompletableFuture<List<Integer>> whole = new CompletableFuture<>();
            List<Integer> ids = new ArrayList<>();
            engine.submit(EngineRequest.of("r" + asked++, prompt, sampling), output -> {
                for (int id : output.newIds()) {
                    ids.add(id);
                }
                if (output.finish() instanceof FinishReason.Abort abort) {
                    whole.completeExceptionally(new AssertionError(abort.message()));
                } else if (output.isLast()) {
                    whole.complete(List.copyOf(ids));
                }
            });
            answers.add(whole.orTimeout(60, TimeUnit.SECONDS));
        }
        return answers;
    }

    /** When nothing runs, every KV token of every group is free or held by its prefix cache alone. */
    public void assertNothingLeaks() {
        int total = engine.info().maxTotalTokens();
        await().untilAsserted(() -> assertThat(engine.states()).allSatisfy(state -> {
            assertThat(state.runningRequests() + state.queuedRequests()).isZero();
            assertThat(state.usedTokens()).isZero();
            assertThat(state.freeTokens() + state.evictableTokens()).isEqualTo(total);
        }));
    }

    List<RankState> states() {
        return engine.states();
    }

    @Override
    public void close() {
        engine.close();
        loader.close();
    }
}
