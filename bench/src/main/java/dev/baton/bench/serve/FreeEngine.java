package dev.baton.bench.serve;

import dev.baton.engine.Engine;
import dev.baton.engine.EngineInfo;
import dev.baton.engine.RankLoad;
import dev.baton.engine.RankState;
import dev.baton.engine.request.EngineRequest;
import dev.baton.engine.request.OutputSink;
import dev.baton.engine.request.RequestOutput;
import dev.baton.protocol.FinishReason;
import dev.baton.protocol.ProfileRequest;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.locks.LockSupport;

/**
 * An engine that costs nothing: each step gives every live request one token of five letters. With a step time of 0 a
 * request is answered whole inside {@link #submit}.
 */
final class FreeEngine implements Engine {
    static final int VOCABULARY = 32_000;
    private static final String TEXT = " word";

    private final long stepNanos;
    private final ConcurrentLinkedQueue<Live> arriving = new ConcurrentLinkedQueue<>();
    private final Thread thread;
    private volatile Runnable stepEnd = () -> {};
    private volatile boolean closed;
    private volatile int running;

    private static final class Live {
        final EngineRequest request;
        final OutputSink sink;
        volatile boolean aborted;
        int made;

        Live(EngineRequest request, OutputSink sink) {
            this.request = request;
            this.sink = sink;
        }
    }

    private final List<Live> live = new ArrayList<>();

    /**
     * @param stepMillis one token for each request every so often; 0 answers at once
     */
    FreeEngine(int stepMillis) {
        stepNanos = stepMillis * 1_000_000L;
        thread = Thread.ofPlatform().daemon().name("free-engine").unstarted(this::loop);
        if (stepNanos > 0) {
            thread.start();
        }
    }

    private void loop() {
        long next = System.nanoTime();
        while (!closed) {
            next += stepNanos;
            for (long left = next - System.nanoTime(); left > 0; left = next - System.nanoTime()) {
                LockSupport.parkNanos(left);
            }
            for (Live one = arriving.poll(); one != null; one = arriving.poll()) {
                live.add(one);
            }
            live.removeIf(this::advance);
            running = live.size();
            stepEnd.run();
        }
    }

    /** True when it has ended. */
    private boolean advance(Live one) {
        one.made++;
        int limit = one.request.sampling().maxNewTokens();
        FinishReason finish = one.aborted
                ? new FinishReason.Abort("Aborted", 0, null)
                : one.made < limit ? null : new FinishReason.Length(limit);
        one.sink.accept(new RequestOutput(
                one.request.rid(),
                new int[] {1_000 + one.made},
                TEXT,
                List.of(),
                List.of(),
                one.request.inputIds().length,
                0,
                one.made,
                0,
                finish));
        return finish != null;
    }

    @Override
    public EngineInfo info() {
        return new EngineInfo(
                "free", "Free", "free", VOCABULARY, 1 << 20, 1 << 30, 1 << 20, 1 << 20, 1, 1, 1, null, 0, 0);
    }

    @Override
    public void submit(EngineRequest request, OutputSink sink) {
        Live one = new Live(request, sink);
        if (stepNanos > 0) {
            arriving.add(one);
            return;
        }
        while (!advance(one)) {
            continue;
        }
        stepEnd.run();
    }

    @Override
    public void abort(String ridPrefix) {
        // The benchmark's clients leave together; what they leave behind ends with the process.
    }

    @Override
    public void abortAll() {
        live.forEach(one -> one.aborted = true);
    }

    @Override
    public void onStepEnd(Runnable listener) {
        stepEnd = listener;
    }

    @Override
    public CompletableFuture<Boolean> flushCache() {
        return CompletableFuture.completedFuture(true);
    }

    @Override
    public CompletableFuture<Void> slowDown(double seconds) {
        return CompletableFuture.completedFuture(null);
    }

    @Override
    public CompletableFuture<Void> startProfile(ProfileRequest request) {
        return CompletableFuture.completedFuture(null);
    }

    @Override
    public CompletableFuture<Void> stopProfile() {
        return CompletableFuture.completedFuture(null);
    }

    @Override
    public List<RankLoad> load() {
        return List.of(new RankLoad(0, running, 0, 0));
    }

    @Override
    public List<RankState> states() {
        return List.of();
    }

    @Override
    public void close() {
        closed = true;
    }
}
