package dev.baton.engine;

import dev.baton.engine.grammar.GrammarCompiler;
import dev.baton.engine.grammar.GrammarVocabulary;
import dev.baton.engine.grammar.Matcher;
import dev.baton.engine.request.EngineRequest;
import dev.baton.engine.request.OutputSink;
import dev.baton.engine.schedule.RankParts;
import dev.baton.engine.schedule.Request;
import dev.baton.engine.schedule.RoleQueues;
import dev.baton.engine.schedule.SchedulerConfig;
import dev.baton.engine.schedule.SchedulerLog;
import dev.baton.engine.schedule.SchedulerLoop;
import dev.baton.engine.schedule.SchedulerPort;
import dev.baton.engine.schedule.StepExecutor;
import dev.baton.engine.schedule.StepObserver;
import dev.baton.engine.schedule.UnifiedRole;
import dev.baton.model.tokenizer.IncrementalDecoder;
import dev.baton.model.tokenizer.Tokenizer;
import dev.baton.protocol.GrammarSpec;
import dev.baton.protocol.ProfileRequest;
import dev.baton.protocol.SamplingParams;
import dev.baton.protocol.log.RankLabel;
import java.lang.System.Logger;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;

/**
 * An engine in this JVM: one scheduler loop with its executor for each DP rank. When one rank fails, the engine has
 * failed: every live request gets an Abort with status 500 and later ones are refused.
 */
public final class LocalEngine implements Engine {
    private static final Logger LOG = System.getLogger(LocalEngine.class.getName());

    /** Prompt tokens that the text decoder sees first. */
    private static final int PROMPT_CONTEXT_TOKENS = 5;

    private final EngineInfo info;
    private final RequestLimits limits;
    private final List<SchedulerLoop> loops = new ArrayList<>();
    private final DispatchPolicy dispatch;
    private final @Nullable Tokenizer tokenizer;
    private final ProfileControl profile;
    private final ExpertControl experts;
    private final GrammarCompiler grammars;
    private final boolean constrained;
    private final long seed;
    private final BiConsumer<EngineRequest, String> refused;

    private final Map<String, Live> live = new ConcurrentHashMap<>();
    private final List<Runnable> stepEndListeners = new CopyOnWriteArrayList<>();
    private final AtomicLong arrivals = new AtomicLong();

    private record Live(Request request, SchedulerLoop loop) {}

    private LocalEngine(Builder b) {
        this.dispatch = b.dispatch;
        this.tokenizer = b.tokenizer;
        this.profile = b.profile;
        this.experts = b.experts;
        this.seed = b.seed;
        this.refused = b.refused;
        this.constrained = b.constrained;
        this.grammars = new GrammarCompiler(() -> GrammarVocabulary.of(
                java.util.Objects.requireNonNull(b.tokenizer), b.model.vocabularySize(), b.endTokenIds));
        // KV that comes from outside is not shared by content; SGLang's decode servers have no prefix cache either.
        SchedulerConfig config = "decode".equals(b.model.role())
                ? b.config.toBuilder().radixCache(false).build()
                : b.config;
        int context = b.model.contextTokens();
        try {
            for (int rank = 0; rank < b.dataParallel; rank++) {
                context = Math.min(context, open(b, config, rank).contextTokens());
            }
        } catch (RuntimeException e) {
            loops.forEach(SchedulerLoop::close);
            throw e;
        }
        SchedulerPort first = loops.getFirst().port();
        String role = b.model.role();
        this.limits = new RequestLimits(
                b.model.vocabularySize(), context, first.totalTokens(), b.dataParallel, role, tokenizer != null);
        this.info = new EngineInfo(
                b.model.modelPath(),
                b.model.architecture(),
                b.model.modelType(),
                b.model.vocabularySize(),
                context,
                first.totalTokens(),
                limits.maxInputTokens(),
                first.runningLimit(),
                b.config.pageTokens(),
                b.model.tensorParallel(),
                b.dataParallel,
                role,
                b.model.weightBytes(),
                b.model.cacheBytes());
        loops.forEach(SchedulerLoop::start);
    }

    /** Makes one rank's loop; it has not started yet. */
    private StepExecutor open(Builder b, SchedulerConfig config, int rank) {
        StepExecutor executor = b.executors.apply(rank);
        try {
            RankParts parts = new RankParts(
                    rank,
                    config,
                    executor,
                    b.endTokenIds,
                    b.model.vocabularySize(),
                    b.roles,
                    b.observers.apply(rank),
                    b.labels.apply(rank),
                    b.cuda,
                    b.log);
            loops.add(new SchedulerLoop(parts, this::stepEnded, this::ended, this::failed));
            return executor;
        } catch (RuntimeException e) {
            executor.close();
            throw e;
        }
    }

    /**
     * @param model what is served; pool, limits and DP size are filled in by the engine
     * @param executors makes the ranks of each DP rank; the engine closes them
     */
    public static Builder builder(EngineInfo model, SchedulerConfig config, IntFunction<StepExecutor> executors) {
        return new Builder(model, config, executors);
    }

    @Override
    public EngineInfo info() {
        return info;
    }

    @Override
    public void submit(EngineRequest request, OutputSink sink) {
        try {
            take(request, sink);
        } catch (EngineException e) {
            refused.accept(request, String.valueOf(e.getMessage()));
            throw e;
        }
    }

    private void take(EngineRequest request, OutputSink sink) {
        SamplingParams sampling = limits.check(request);
        Matcher matcher = matcher(sampling);
        long arrival = arrivals.incrementAndGet();
        Long own = sampling.seed();
        Request made = new Request(
                request, sink, sampling, own != null ? own : mix(seed + arrival), arrival, decoder(request), matcher);
        SchedulerLoop loop = choose(request, arrival);
        if (live.putIfAbsent(request.rid(), new Live(made, loop)) != null) {
            throw new EngineException(
                    EngineException.Code.INVALID_REQUEST,
                    "rid " + request.rid() + " belongs to a request that is still live; choose another.");
        }
        try {
            loop.submit(made);
        } catch (EngineException e) {
            live.remove(request.rid());
            throw e;
        }
    }

    /** Waits for the grammar to be compiled, unless it is known already. */
    private @Nullable Matcher matcher(SamplingParams sampling) {
        GrammarSpec spec = sampling.grammar();
        if (spec == null) {
            return null;
        }
        if (!constrained) {
            throw new EngineException(
                    EngineException.Code.INVALID_REQUEST,
                    spec.kind().field() + " is off on this server (--grammar-backend none).");
        }
        if (tokenizer == null) {
            throw new EngineException(
                    EngineException.Code.INVALID_REQUEST,
                    spec.kind().field() + " needs a tokenizer, and this engine has none.");
        }
        return grammars.compile(spec).matcher();
    }

    /** A decoder that has seen the end of the prompt, so that the answer's first token is spaced as after it. */
    private @Nullable IncrementalDecoder decoder(EngineRequest request) {
        if (tokenizer == null) {
            return null;
        }
        IncrementalDecoder decoder =
                tokenizer.incrementalDecoder(request.sampling().skipSpecialTokens());
        int[] prompt = request.inputIds();
        StringBuilder promptText = new StringBuilder();
        for (int i = Math.max(0, prompt.length - PROMPT_CONTEXT_TOKENS); i < prompt.length; i++) {
            decoder.append(prompt[i], promptText);
        }
        return decoder;
    }

    private SchedulerLoop choose(EngineRequest request, long arrival) {
        Integer rank = request.dataParallelRank();
        if (rank != null) {
            return loops.get(rank);
        }
        EngineRequest.Bootstrap bootstrap = request.bootstrap();
        if (bootstrap != null && "prefill".equals(info.role())) {
            return loops.get((int) Math.floorMod(bootstrap.room(), (long) loops.size()));
        }
        return switch (dispatch) {
            case ROUND_ROBIN -> loops.get((int) Math.floorMod(arrival - 1, (long) loops.size()));
            case SHORTEST_QUEUE -> {
                SchedulerLoop best = loops.getFirst();
                for (SchedulerLoop loop : loops) {
                    best = loop.liveRequests() < best.liveRequests() ? loop : best;
                }
                yield best;
            }
        };
    }

    @Override
    public void abort(String ridPrefix) {
        Live exact = live.get(ridPrefix);
        if (exact != null) {
            exact.request.askToAbort();
        }
        for (Map.Entry<String, Live> entry : live.entrySet()) {
            if (entry.getKey().startsWith(ridPrefix)) {
                entry.getValue().request.askToAbort();
            }
        }
        loops.forEach(SchedulerLoop::endAborted);
    }

    @Override
    public void abortAll() {
        abort("");
    }

    @Override
    public void onStepEnd(Runnable listener) {
        stepEndListeners.add(listener);
    }

    @Override
    public CompletableFuture<Boolean> flushCache() {
        List<CompletableFuture<Boolean>> all =
                loops.stream().map(SchedulerLoop::flush).toList();
        return CompletableFuture.allOf(all.toArray(CompletableFuture[]::new))
                .thenApply(done -> all.stream().allMatch(CompletableFuture::join));
    }

    @Override
    public CompletableFuture<Void> slowDown(double seconds) {
        return CompletableFuture.allOf(
                loops.stream().map(loop -> loop.slowDown(seconds)).toArray(CompletableFuture[]::new));
    }

    @Override
    public CompletableFuture<Void> startProfile(ProfileRequest request) {
        return profile.start(request);
    }

    @Override
    public CompletableFuture<Void> stopProfile() {
        return profile.stop();
    }

    @Override
    public ExpertControl experts() {
        return experts;
    }

    @Override
    public List<RankLoad> load() {
        return loops.stream().map(SchedulerLoop::load).toList();
    }

    @Override
    public List<RankState> states() {
        return loops.stream().map(SchedulerLoop::state).toList();
    }

    @Override
    public void close() {
        // All are told first, so that they end together.
        loops.forEach(SchedulerLoop::beginClose);
        Duration patience = Duration.ofSeconds(10);
        loops.forEach(loop -> loop.close(patience));
        grammars.close();
    }

    private void stepEnded() {
        for (Runnable listener : stepEndListeners) {
            try {
                listener.run();
            } catch (RuntimeException e) {
                LOG.log(Logger.Level.WARNING, "A step listener failed", e);
            }
        }
    }

    private void ended(Request request) {
        live.computeIfPresent(request.rid(), (rid, entry) -> entry.request == request ? null : entry);
    }

    private void failed(String reason) {
        loops.forEach(loop -> loop.fail(reason));
    }

    /** The finaliser of SplitMix64 (Steele, Lea, Flood 2014): neighbouring seeds give unrelated ones. */
    private static long mix(long value) {
        long z = (value ^ value >>> 30) * 0xBF58476D1CE4E5B9L;
        z = (z ^ z >>> 27) * 0x94D049BB133111EBL;
        return z ^ z >>> 31;
    }

    /** Sets what has a default. */
    public static final class Builder {
        private final EngineInfo model;
        private final SchedulerConfig config;
        private final IntFunction<StepExecutor> executors;
        private int dataParallel = 1;
        private DispatchPolicy dispatch = DispatchPolicy.ROUND_ROBIN;
        private Set<Integer> endTokenIds = Set.of();
        private @Nullable Tokenizer tokenizer;
        private RoleQueues.Factory roles = (scheduler, executor, rank) -> new UnifiedRole(scheduler);
        private ProfileControl profile = ProfileControl.NONE;
        private ExpertControl experts = ExpertControl.NONE;
        private IntFunction<List<StepObserver>> observers = rank -> List.of();
        private IntFunction<RankLabel> labels = rank -> RankLabel.NONE;
        private boolean cuda;
        private boolean constrained = true;
        private Consumer<String> log = SchedulerLog.toLogger();
        private long seed = System.nanoTime();
        private BiConsumer<EngineRequest, String> refused = (request, reason) -> {};

        private Builder(EngineInfo model, SchedulerConfig config, IntFunction<StepExecutor> executors) {
            this.model = model;
            this.config = config;
            this.executors = executors;
        }

        /** DP ranks, each with a scheduler and an executor; 1 when not set. */
        public Builder dataParallel(int ranks) {
            dataParallel = ranks;
            return this;
        }

        /** Which rank a request goes to; round robin when not set. */
        public Builder dispatch(DispatchPolicy policy) {
            dispatch = policy;
            return this;
        }

        /** The model's end tokens. */
        public Builder endTokenIds(Set<Integer> ids) {
            endTokenIds = Set.copyOf(ids);
            return this;
        }

        /** Makes text of output tokens; without it outputs carry ids alone. The engine does not close it. */
        public Builder tokenizer(@Nullable Tokenizer value) {
            tokenizer = value;
            return this;
        }

        /** The role in disaggregated serving; {@code EngineInfo.role} must name it. */
        public Builder roles(RoleQueues.Factory factory) {
            roles = factory;
            return this;
        }

        /** Who records profiles. */
        public Builder profile(ProfileControl control) {
            profile = control;
            return this;
        }

        /** Who records the experts' loads. */
        public Builder experts(ExpertControl control) {
            experts = control;
            return this;
        }

        /** Told of the steps of each DP rank. */
        public Builder observers(IntFunction<List<StepObserver>> ofRank) {
            observers = ofRank;
            return this;
        }

        /** How the log lines of each DP rank name it. */
        public Builder labels(IntFunction<RankLabel> ofRank) {
            labels = ofRank;
            return this;
        }

        /** Whether graphs are CUDA graphs, for the log lines. */
        public Builder cuda(boolean value) {
            cuda = value;
            return this;
        }

        /** Whether grammars are served; true when not set. */
        public Builder grammars(boolean served) {
            constrained = served;
            return this;
        }

        /** Takes finished log lines instead of the logging system. */
        public Builder log(Consumer<String> lines) {
            log = lines;
            return this;
        }

        /** From which requests without a seed of their own get theirs. */
        public Builder seed(long value) {
            seed = value;
            return this;
        }

        /** Told of each request that {@link Engine#submit} refuses, and why, on the submitting thread. */
        public Builder refused(BiConsumer<EngineRequest, String> listener) {
            refused = listener;
            return this;
        }

        /** Makes the ranks and starts the schedulers. */
        public LocalEngine build() {
            return new LocalEngine(this);
        }
    }
}
