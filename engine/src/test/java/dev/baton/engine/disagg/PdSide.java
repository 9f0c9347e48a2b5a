package dev.baton.engine.disagg;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.baton.engine.EngineInfo;
import dev.baton.engine.LocalEngine;
import dev.baton.engine.RankState;
import dev.baton.engine.disagg.DisaggregationConfig.Mode;
import dev.baton.engine.forward.Golden;
import dev.baton.engine.parallel.LoadOptions;
import dev.baton.engine.parallel.RankGroup;
import dev.baton.engine.request.EngineRequest;
import dev.baton.engine.request.RequestOutput;
import dev.baton.engine.request.TokenLogprob;
import dev.baton.engine.schedule.SchedulerConfig;
import dev.baton.protocol.FinishReason;
import dev.baton.tensor.cpu.CpuKernels;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;

/** One server's engine over a stored checkpoint: aggregated, prefill or decode. */
final class PdSide implements AutoCloseable {
    static final Duration PATIENCE = Duration.ofSeconds(60);

    final LocalEngine engine;
    final Disaggregation role;
    final List<String> lines = new CopyOnWriteArrayList<>();
    private final Map<String, List<RequestOutput>> outputs = new ConcurrentHashMap<>();

    private PdSide(String model, LoadOptions options, SchedulerConfig config, DisaggregationConfig disaggregation) {
        Mode mode = disaggregation.mode();
        role = new Disaggregation(disaggregation, mode.flag() + " test");
        RankGroup group =
                Golden.start(model, options.with().kvMemory(role.kvMemory()).build(), CpuKernels.VECTOR);
        EngineInfo info = new EngineInfo(
                model,
                "",
                "",
                group.config().vocabSize(),
                options.contextTokens(),
                0,
                0,
                0,
                0,
                options.shape().tensorParallel(),
                1,
                mode == Mode.NONE ? null : mode.flag(),
                0,
                0);
        LocalEngine.Builder builder =
                LocalEngine.builder(info, config, dp -> group).log(lines::add);
        role.wire(builder, List.of(group), config.pageTokens());
        engine = builder.build();
        role.register();
    }

    static PdSide start(
            String model, LoadOptions options, SchedulerConfig config, DisaggregationConfig disaggregation) {
        return new PdSide(model, options, config, disaggregation);
    }

    void submit(EngineRequest request) {
        outputs.put(request.rid(), new CopyOnWriteArrayList<>());
        engine.submit(request, output -> outputs.get(output.rid()).add(output));
    }

    FinishReason finish(String rid) {
        await().atMost(PATIENCE)
                .pollDelay(Duration.ZERO)
                .pollInterval(Duration.ofMillis(2))
                .until(() -> !outputs.get(rid).isEmpty()
                        && outputs.get(rid).getLast().isLast());
        return outputs.get(rid).getLast().finish();
    }

    boolean isFinished(String rid) {
        return !outputs.get(rid).isEmpty() && outputs.get(rid).getLast().isLast();
    }

    List<Integer> ids(String rid) {
        return outputs.get(rid).stream()
                .flatMap(output -> Arrays.stream(output.newIds()).boxed())
                .toList();
    }

    List<TokenLogprob> logprobs(String rid) {
        List<TokenLogprob> all = new ArrayList<>();
        outputs.get(rid).forEach(output -> all.addAll(output.outputLogprobs()));
        return all;
    }

    RankState state() {
        return engine.states().getFirst();
    }

    /** Nothing lives and everything is free or evictable. */
    void awaitIdle() {
        await().atMost(PATIENCE).pollInterval(Duration.ofMillis(5)).until(() -> {
            RankState s = state();
            return s.freeTokens() + s.evictableTokens() == engine.info().maxTotalTokens()
                    && s.runningRequests() + s.queuedRequests() + s.preallocRequests() + s.transferRequests() == 0;
        });
        assertThat(state().usedTokens()).isZero();
    }

    @Override
    public void close() {
        engine.close();
        role.close();
    }
}
