package dev.baton.engine.disagg;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.baton.engine.EngineInfo;
import dev.baton.engine.LocalEngine;
import dev.baton.engine.RankState;
import dev.baton.engine.disagg.DisaggregationConfig.Mode;
import dev.baton.engine.forward.Golden;
import dev.baton.engine.forward.KvMemory;
import dev.baton.engine.node.NodeRole;
import dev.baton.engine.node.NodeShare;
import dev.baton.engine.node.Nodes;
import dev.baton.engine.parallel.LoadOptions;
import dev.baton.engine.parallel.ModelLoader;
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
import org.jspecify.annotations.Nullable;

/** One server's engine over a stored checkpoint, of any layout of one replica: aggregated, prefill or decode. */
final class PdSide implements AutoCloseable {
    static final Duration PATIENCE = Duration.ofSeconds(60);

    private final ModelLoader loader;
    /** Its attention groups. */
    final List<RankGroup> groups;

    final LocalEngine engine;
    final Disaggregation role;
    final List<String> lines = new CopyOnWriteArrayList<>();
    private final Map<String, List<RequestOutput>> outputs = new ConcurrentHashMap<>();

    /** Null where one JVM has all ranks. */
    final @Nullable Nodes nodes;

    /** Of the other nodes. */
    private final List<Disaggregation> followers = new ArrayList<>();

    private PdSide(
            String model, LoadOptions options, SchedulerConfig config, DisaggregationConfig disaggregation, int hosts)
            throws Exception {
        Mode mode = disaggregation.mode();
        role = new Disaggregation(disaggregation, mode.flag() + " test");
        if (hosts == 1) {
            nodes = null;
            loader = ModelLoader.open(Golden.folder(model), LoadOptions.Format.SAFETENSORS, 1);
            groups = loader.startGroups(
                    options.with().kvMemory(role.kvMemory()).build(), Golden.cpu(CpuKernels.VECTOR, 1));
        } else {
            nodes = Nodes.start(Golden.folder(model), options, hosts, node -> half(node, disaggregation, config));
            loader = nodes.loader();
            groups = nodes.attentionGroups();
        }
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
                mode == Mode.NONE ? null : mode.flag(),
                0,
                0);
        LocalEngine.Builder builder = LocalEngine.builder(info, config, groups::get)
                .dataParallel(groups.size())
                .log(lines::add);
        role.wire(builder, groups, config.pageTokens(), nodes == null ? null : nodes.share(0));
        engine = builder.build();
        role.register();
    }

    static PdSide start(
            String model, LoadOptions options, SchedulerConfig config, DisaggregationConfig disaggregation) {
        return start(model, options, config, disaggregation, 1);
    }

    /** Its ranks spread over several nodes. */
    static PdSide start(
            String model, LoadOptions options, SchedulerConfig config, DisaggregationConfig disaggregation, int hosts) {
        try {
            return new PdSide(model, options, config, disaggregation, hosts);
        } catch (RuntimeException e) {
            throw e;
        } catch (Exception e) {
            throw new AssertionError(e);
        }
    }

    private Nodes.Half half(int node, DisaggregationConfig disaggregation, SchedulerConfig config) {
        Disaggregation own = node == 0
                ? role
                : new Disaggregation(disaggregation, disaggregation.mode().flag() + " test " + node);
        if (node > 0) {
            followers.add(own);
        }
        return new Nodes.Half() {
            @Override
            public KvMemory kvMemory() {
                return own.kvMemory();
            }

            @Override
            public NodeRole follow(List<RankGroup> there, NodeShare share) {
                return own.follow(there, config.pageTokens(), share);
            }
        };
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

    /** The other nodes end as killed processes do. */
    void killFollowers() {
        followers.forEach(Disaggregation::endTransfers);
        for (int n = 1; n <= followers.size(); n++) {
            nodes.share(n).close();
        }
    }

    RankState state() {
        return engine.states().getFirst();
    }

    /** Nothing lives and everything is free or evictable. */
    void awaitIdle() {
        await().atMost(PATIENCE).pollInterval(Duration.ofMillis(5)).until(() -> {
            int total = engine.info().maxTotalTokens();
            return engine.states().stream()
                    .allMatch(s -> s.freeTokens() + s.evictableTokens() == total
                            && s.runningRequests() + s.queuedRequests() + s.preallocRequests() + s.transferRequests()
                                    == 0);
        });
        assertThat(engine.states()).allSatisfy(s -> assertThat(s.usedTokens()).isZero());
    }

    @Override
    public void close() {
        engine.close();
        if (nodes != null) {
            nodes.close();
            followers.forEach(Disaggregation::close);
        }
        role.close();
        loader.close();
    }
}
