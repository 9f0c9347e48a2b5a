package dev.baton.serve;

import dev.baton.engine.Engine;
import dev.baton.engine.EngineException;
import dev.baton.engine.EngineInfo;
import dev.baton.engine.RankLoad;
import dev.baton.engine.RankState;
import dev.baton.engine.request.EngineRequest;
import dev.baton.engine.request.OutputSink;
import dev.baton.engine.request.RequestOutput;
import dev.baton.engine.request.TokenLogprob;
import dev.baton.protocol.FinishReason;
import dev.baton.protocol.ProfileRequest;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Function;

/**
 * An engine without a model: each step gives every live request the next byte of its script. Steps run freely, or one by
 * one under {@link #pause} and {@link #step}.
 */
public final class FakeEngine implements Engine {
    private static final String ALPHABET = "abcdefghijklmnopqrstuvwxyz";

    public final List<EngineRequest> submitted = new CopyOnWriteArrayList<>();
    public final List<String> aborted = new CopyOnWriteArrayList<>();
    public volatile int queueLimit = Integer.MAX_VALUE;
    public volatile double sleepSeconds = -1;
    public volatile ProfileRequest profile;
    public volatile boolean failSubmit;

    /** Text that answers a request, repeated as often as needed. */
    public volatile Function<EngineRequest, String> script = request -> ALPHABET;

    /** When set, a request ends so at its first step. */
    public volatile FinishReason.Abort failure;

    private final EngineInfo info;
    private final Map<String, Live> live = new LinkedHashMap<>();
    private final Thread thread;
    private Runnable stepEnd = () -> {};
    private boolean paused;
    private int allowed;
    private boolean closed;
    private long steps;

    private static final class Live {
        final EngineRequest request;
        final OutputSink sink;
        final byte[] script;
        final List<Byte> partial = new ArrayList<>();
        final StringBuilder text = new StringBuilder();
        int made;

        Live(EngineRequest request, OutputSink sink, String script) {
            this.request = request;
            this.sink = sink;
            this.script = script.getBytes(StandardCharsets.UTF_8);
        }
    }

    public FakeEngine() {
        this(null, 1);
    }

    public FakeEngine(String role, int dataParallel) {
        info = new EngineInfo(
                "models/fake",
                "FakeForCausalLM",
                "fake",
                ByteCodec.VOCABULARY,
                4_096,
                16_384,
                4_095,
                256,
                1,
                1,
                dataParallel,
                role,
                3L << 30,
                1L << 30);
        thread = Thread.ofPlatform().daemon().name("fake-engine").start(this::loop);
    }

    public synchronized void pause() {
        paused = true;
    }

    public synchronized void resume() {
        paused = false;
        notifyAll();
    }

    /** Lets one more step run. */
    public synchronized void step() {
        allowed++;
        notifyAll();
    }

    public synchronized int liveRequests() {
        return live.size();
    }

    private void loop() {
        while (true) {
            List<Live> batch;
            synchronized (this) {
                while (!closed && (live.isEmpty() || paused && allowed == 0)) {
                    try {
                        wait();
                    } catch (InterruptedException e) {
                        return;
                    }
                }
                if (closed) {
                    return;
                }
                allowed = Math.max(0, allowed - 1);
                steps++;
                batch = List.copyOf(live.values());
            }
            batch.forEach(this::advance);
            stepEnd.run();
        }
    }

    private void advance(Live one) {
        FinishReason.Abort fault = failure;
        RequestOutput output = fault != null ? output(one, new int[0], "", List.of(), fault) : next(one);
        boolean last = output.isLast();
        synchronized (this) {
            if (live.get(one.request.rid()) != one) {
                return;
            }
            if (last) {
                live.remove(one.request.rid());
            }
        }
        one.sink.accept(output);
    }

    private RequestOutput next(Live one) {
        int limit = one.request.sampling().maxNewTokens();
        if (limit == 0) {
            return output(one, new int[0], "", List.of(), new FinishReason.Length(0));
        }
        int id = one.script[one.made % one.script.length] & 0xFF;
        one.made++;
        one.partial.add((byte) id);
        String text = whole(one.partial);
        one.text.append(text);
        FinishReason finish = one.made >= limit ? new FinishReason.Length(limit) : null;
        for (String stop : one.request.sampling().stop()) {
            int at = one.text.indexOf(stop);
            if (at >= 0) {
                text = text.substring(0, Math.max(0, text.length() - (one.text.length() - at)));
                finish = new FinishReason.StopString(stop);
            }
        }
        if (one.request.sampling().stopTokenIds().contains(id)) {
            finish = new FinishReason.StopToken(id);
            text = "";
        }
        List<TokenLogprob> logprobs = one.request.logprobs() == null ? List.of() : List.of(logprob(one, id, -0.5f));
        return output(one, new int[] {id}, text, logprobs, finish);
    }

    private static TokenLogprob logprob(Live one, int id, float value) {
        EngineRequest.LogprobSpec spec = one.request.logprobs();
        int[] top = new int[spec.top()];
        float[] topValues = new float[spec.top()];
        for (int i = 0; i < top.length; i++) {
            top[i] = (id + i) % ByteCodec.VOCABULARY;
            topValues[i] = value - i;
        }
        float[] chosen = new float[spec.tokenIds().length];
        Arrays.fill(chosen, -7.25f);
        return new TokenLogprob(id, value, top, topValues, chosen);
    }

    private static RequestOutput output(
            Live one, int[] ids, String text, List<TokenLogprob> logprobs, FinishReason finish) {
        List<TokenLogprob> input = new ArrayList<>();
        EngineRequest.LogprobSpec spec = one.request.logprobs();
        if (one.made == 1 && spec != null && spec.startPosition() >= 0) {
            int[] prompt = one.request.inputIds();
            for (int i = spec.startPosition(); i < prompt.length; i++) {
                input.add(logprob(one, prompt[i], i == 0 ? Float.NaN : -1.5f));
            }
        }
        return new RequestOutput(
                one.request.rid(), ids, text, input, logprobs, one.request.inputIds().length, 0, one.made, 0, finish);
    }

    /** The bytes as text when they are whole characters, else nothing. */
    private static String whole(List<Byte> partial) {
        byte[] bytes = new byte[partial.size()];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = partial.get(i);
        }
        try {
            String text = StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(java.nio.ByteBuffer.wrap(bytes))
                    .toString();
            partial.clear();
            return text;
        } catch (CharacterCodingException e) {
            return "";
        }
    }

    @Override
    public EngineInfo info() {
        return info;
    }

    @Override
    public synchronized void submit(EngineRequest request, OutputSink sink) {
        if (failSubmit) {
            throw new IllegalStateException("a fault that nobody expected");
        }
        if (closed) {
            throw new EngineException(EngineException.Code.UNAVAILABLE, "The engine is closing.");
        }
        if (live.size() >= queueLimit) {
            throw new EngineException(EngineException.Code.QUEUE_FULL, "The request queue is full.");
        }
        if (live.put(request.rid(), new Live(request, sink, script.apply(request))) != null) {
            throw new AssertionError("two live requests have the id " + request.rid());
        }
        submitted.add(request);
        notifyAll();
    }

    @Override
    public void abort(String ridPrefix) {
        List<Live> gone = new ArrayList<>();
        synchronized (this) {
            aborted.add(ridPrefix);
            live.values().removeIf(one -> {
                boolean matches = one.request.rid().startsWith(ridPrefix);
                if (matches) {
                    gone.add(one);
                }
                return matches;
            });
        }
        for (Live one : gone) {
            one.sink.accept(output(one, new int[0], "", List.of(), new FinishReason.Abort("Aborted", 0, null)));
        }
    }

    @Override
    public void abortAll() {
        abort("");
    }

    @Override
    public void onStepEnd(Runnable listener) {
        stepEnd = listener;
    }

    @Override
    public synchronized CompletableFuture<Boolean> flushCache() {
        return CompletableFuture.completedFuture(live.isEmpty());
    }

    @Override
    public CompletableFuture<Void> slowDown(double seconds) {
        sleepSeconds = seconds;
        return CompletableFuture.completedFuture(null);
    }

    @Override
    public CompletableFuture<Void> startProfile(ProfileRequest request) {
        if (profile != null) {
            return CompletableFuture.failedFuture(new EngineException(
                    EngineException.Code.INVALID_REQUEST,
                    "Profiling is already in progress. Call /stop_profile first."));
        }
        profile = request;
        return CompletableFuture.completedFuture(null);
    }

    @Override
    public CompletableFuture<Void> stopProfile() {
        if (profile == null) {
            return CompletableFuture.failedFuture(new EngineException(
                    EngineException.Code.INVALID_REQUEST, "Profiling is not in progress. Call /start_profile first."));
        }
        profile = null;
        return CompletableFuture.completedFuture(null);
    }

    @Override
    public synchronized List<RankLoad> load() {
        List<RankLoad> loads = new ArrayList<>();
        for (int rank = 0; rank < info.dataParallel(); rank++) {
            loads.add(new RankLoad(rank, rank == 0 ? live.size() : 0, 0, rank == 0 ? used() : 0));
        }
        return loads;
    }

    private int used() {
        return live.values().stream()
                .mapToInt(one -> one.request.inputIds().length + one.made)
                .sum();
    }

    @Override
    public synchronized List<RankState> states() {
        List<RankState> states = new ArrayList<>();
        for (int rank = 0; rank < info.dataParallel(); rank++) {
            int used = rank == 0 ? used() : 0;
            states.add(new RankState(
                    rank, 123.5, 77, used, info.maxTotalTokens() - used, 0, live.size(), 0, 0, 0, 0, 0.25, 0.7, steps));
        }
        return states;
    }

    @Override
    public void close() {
        synchronized (this) {
            closed = true;
            notifyAll();
        }
        try {
            thread.join(5_000);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
