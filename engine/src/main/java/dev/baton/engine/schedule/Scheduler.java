package dev.baton.engine.schedule;

import dev.baton.engine.RankState;
import dev.baton.engine.request.TokenLogprob;
import dev.baton.protocol.FinishReason;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Decides the steps of one DP rank: prefill before decode, as SGLang does. It has no thread and no clock of its own:
 * {@link #plan}, the launch of what it returns, {@link #apply} of the results in the order of the launches.
 *
 * <p>One step may be planned while another is in flight, in a pipeline as many as there are micro-batches. The ids that the step in flight samples are not needed for that:
 * the ranks read them from their token pool. A token that was computed for a request which turned out to have ended is
 * discarded. Only when memory runs out are the results in flight wanted first ({@link #wantsResults}), because they may
 * free some.
 */
final class Scheduler {
    private final SchedulerConfig config;
    private final KvSpace space;
    private final WaitingQueue waiting = new WaitingQueue();
    private final DecodeBatch decode;
    private final Admission admission;
    private final NewTokenRatio ratio;
    private final PlanBuilder plans = new PlanBuilder();
    private final Results results;
    private final SchedulerLog log;
    private final RoleQueues role;
    private final LiveRequests live;
    private final SchedulerPort port;

    private int retractions;
    private boolean wantsResults;

    /**
     * @param queued counts requests that have not been admitted for the first time; raised before {@link #enqueue}
     * @param ended told of each request that has ended, on the scheduler's thread
     * @param wake ends the loop's rest, from any thread
     */
    Scheduler(
            SchedulerConfig config,
            StepExecutor executor,
            Results results,
            SchedulerLog log,
            int dpRank,
            RoleQueues.Factory roles,
            AtomicInteger queued,
            Consumer<Request> ended,
            Runnable wake) {
        this.config = config;
        this.results = results;
        this.log = log;
        int pool = config.maxTotalTokens() == null
                ? executor.capacityTokens()
                : Math.min(config.maxTotalTokens(), executor.capacityTokens());
        this.space = new KvSpace(pool, config.pageTokens(), executor.maxRows(), config.radixCache());
        int limit = config.runningLimit(space.totalTokens(), executor.contextTokens(), executor.maxRows());
        Integer microBatch = config.maxMicroBatchRequests();
        this.decode = new DecodeBatch(
                space,
                config.microBatches(),
                config.microBatches() == 1 || microBatch == null ? Integer.MAX_VALUE : microBatch);
        this.admission = new Admission(config, space, waiting, limit);
        this.ratio = new NewTokenRatio(config.conservativeness());
        this.live = new LiveRequests(space, waiting, decode, admission, results, queued, ended);
        this.port = new RolePort(config, space, waiting, decode, admission, ratio, results, live, wake);
        this.role = roles.open(port, executor, dpRank);
        if ("decode".equals(role.name())) {
            live.slotsAreWrittenFromOutside();
        }
    }

    /** Takes a new request. */
    void enqueue(Request r) {
        live.enter(r);
        role.enqueue(r);
    }

    /** Moves the role's requests along; true while something outside is awaited. */
    boolean pollRole() {
        return role.poll();
    }

    /** Whether requests came, moved or ended since the last call, other than through a step's results. */
    boolean takeMoved() {
        boolean was = live.takeMoved();
        if (was) {
            // A request may have ended as it entered (one token was all it asked for): it does not run any more.
            decode.compact();
        }
        return was;
    }

    SchedulerLog log() {
        return log;
    }

    /** What a role may ask; figures that never change may be read from any thread. */
    SchedulerPort port() {
        return port;
    }

    RoleQueues role() {
        return role;
    }

    KvSpace space() {
        return space;
    }

    /** No request lives and none that has ended still holds memory. */
    boolean idle() {
        return live.isIdle();
    }

    /** 1 while a prompt is computed in chunks. */
    int chunkedRequests() {
        return admission.chunked() == null ? 0 : 1;
    }

    /**
     * The next step, with everything it needs allocated; it must be launched.
     *
     * @param inFlight whether results are still to come
     * @return null when there is nothing to run now
     */
    @Nullable
    ScheduledStep plan(boolean inFlight) {
        wantsResults = false;
        decode.compact();
        if (decode.running().isEmpty() && admission.chunked() == null && live.heldRows() == 0) {
            admission.released();
        }
        ScheduledStep prefill = planPrefill(inFlight);
        return prefill != null || wantsResults ? prefill : planDecode(inFlight);
    }

    /** After {@link #plan} returned null: the results in flight may make a step possible. */
    boolean wantsResults() {
        return wantsResults;
    }

    private @Nullable ScheduledStep planPrefill(boolean inFlight) {
        Request continued = admission.chunked();
        double usage = (double) space.usedTokens() / space.totalTokens();
        Admission.Selection selection = admission.select(decode.running(), live.heldRows(), ratio.value());
        if (selection == null) {
            if (continued != null) {
                // No memory for the next chunk: others hold more than was expected of them.
                wantsResults = inFlight;
                if (!inFlight) {
                    retract(continued);
                }
            }
            return null;
        }
        int runningBefore = decode.running().size();
        ScheduledStep step = plans.extend(selection.requests(), selection.from());
        for (Request r : selection.requests()) {
            live.leaveQueue(r);
            launched(r);
        }
        log.prefill(selection, usage, role.decodes() ? runningBefore : 0, waiting.size(), role);
        return step;
    }

    /** The step that computes the request's positions up to {@code filled} is certain to run. */
    private void launched(Request r) {
        r.pendingSteps++;
        space.share(r, r.filled);
        if (r == admission.chunked()) {
            return;
        }
        boolean samples = r.sampling.maxNewTokens() > 0;
        r.inFlight += samples ? 1 : 0;
        if (samples && role.decodes()) {
            decode.add(r);
        } else {
            r.phase = role.decodes() ? Request.Phase.PREFILLED : Request.Phase.ROLE;
            live.holdsRow();
        }
    }

    private @Nullable ScheduledStep planDecode(boolean inFlight) {
        List<Request> batch = decode.candidates();
        if (batch.isEmpty()) {
            return null;
        }
        if (!decode.fits(batch)) {
            if (inFlight) {
                wantsResults = true;
                return null;
            }
            batch = makeRoom();
            if (batch.isEmpty()) {
                return null;
            }
        } else {
            ratio.decay();
        }
        for (int i = 0; i < batch.size(); i++) {
            Request r = batch.get(i);
            if (!space.extend(r, r.filled + 1)) {
                throw new IllegalStateException("no slot for " + r + " although the batch fitted");
            }
            r.inFlight++;
            r.pendingSteps++;
        }
        ScheduledStep step = plans.decode(batch);
        if (config.microBatches() > 1) {
            decode.launched(batch);
        }
        return step;
    }

    private List<Request> makeRoom() {
        double before = ratio.value();
        List<Request> victims = decode.retract(this::retractOne);
        for (Request victim : victims) {
            requeue(victim);
        }
        if (!victims.isEmpty()) {
            ratio.raise(decode.running());
            log.retract(victims.size(), before, ratio.value());
        }
        List<Request> rest = decode.candidates();
        if (decode.fits(rest)) {
            return rest;
        }
        // One is left and others (transfers, a chunk) hold the memory that it needs: wait for them, or give up.
        Request last = rest.getFirst();
        if (live.heldRows() > 0) {
            retract(last);
        } else {
            port.finish(last, DecodeBatch.noSpace(null));
        }
        return List.of();
    }

    private void retract(Request r) {
        retractOne(r);
        decode.ended();
        decode.compact();
        requeue(r);
    }

    private void requeue(Request r) {
        if (r.phase == Request.Phase.WAITING) {
            waiting.addFirst(r);
        }
    }

    private void retractOne(Request r) {
        if (r == admission.chunked()) {
            admission.dropChunked();
        }
        boolean kept = r.phase == Request.Phase.RUNNING && role.retracted(r);
        space.release(r, false);
        admission.released();
        r.phase = kept ? Request.Phase.ROLE : Request.Phase.WAITING;
        r.epoch++;
        r.carryId = false;
        if (!r.promptTold) {
            r.inputLogprobs = List.of();
        }
        retractions++;
    }

    /** Applies a step's results and tells the sinks. */
    void apply(ScheduledStep step, StepResult result) {
        StepPlan plan = step.plan();
        int appended = 0;
        for (int b = 0; b < plan.sequences(); b++) {
            Request r = step.requests()[b];
            r.pendingSteps--;
            if (!step.concerns(b)) {
                live.stepBehindEnd(r);
                continue;
            }
            if (plan.mode() == ForwardMode.EXTEND) {
                applyPrefill(r, plan, result, b);
            } else {
                appended++;
                applyToken(r, result, b);
            }
        }
        if (plan.mode() == ForwardMode.DECODE) {
            log.decode(plan.sequences(), appended, space, waiting.size(), role);
        }
        decode.compact();
    }

    private void applyPrefill(Request r, StepPlan plan, StepResult result, int b) {
        List<TokenLogprob> prompt = result.inputLogprobs()[b];
        if (prompt != null) {
            r.addInputLogprobs(prompt);
        }
        int to = plan.contextLength(b);
        boolean last = plan.samples()[b] || to == r.known;
        if (plan.samples()[b]) {
            applyToken(r, result, b);
        } else if (last) {
            live.givesRow();
            live.end(r, new FinishReason.Length(0));
        }
        if (!r.finished()) {
            role.chunkComputed(r, plan.starts()[b], to, last);
        }
    }

    private void applyToken(Request r, StepResult result, int b) {
        r.inFlight--;
        FinishReason reason = results.append(r, result.nextIds()[b], result.outputLogprobs()[b]);
        if (!role.decodes()) {
            return;
        }
        reason = r.abortAsked() ? aborted("Abort request " + r.rid()) : reason;
        if (reason == null) {
            results.tell(r);
        } else {
            live.end(r, reason);
        }
    }

    /** Ends what {@link Request#askToAbort} was called for. */
    void endAborted() {
        for (Request r : live.askedToAbort()) {
            boolean waits = r.queued;
            abort(r, aborted(waits ? "Abort in waiting queue" : "Abort request " + r.rid()));
        }
    }

    /** Ends every request, also when the state is not in order any more. */
    void endAll(FinishReason reason) {
        for (Request r : live.all()) {
            try {
                abort(r, reason);
            } catch (RuntimeException e) {
                if (!r.finished()) {
                    live.tellEnd(r, reason);
                }
            }
        }
    }

    private void abort(Request r, FinishReason reason) {
        if (r.phase == Request.Phase.ROLE) {
            boolean reusable = role.withdraw(r);
            live.tellEnd(r, reason);
            if (reusable) {
                port.release(r);
            }
        } else {
            if (r.phase == Request.Phase.PREFILLED) {
                live.givesRow();
            }
            live.end(r, reason);
        }
    }

    /** Asked for by the client: no failure, so no status. */
    private static FinishReason aborted(String message) {
        return new FinishReason.Abort(message, 0, "");
    }

    /** Empties the prefix cache; false while any request lives. */
    boolean flush() {
        if (!idle()) {
            log.print("Cache not flushed because there are pending requests. #queue-req: " + waiting.size()
                    + ", #running-req: " + decode.running().size());
            return false;
        }
        space.flush();
        ratio.reset();
        log.print("Cache flushed successfully!");
        return true;
    }

    /** Nothing lives and nothing is in flight: the estimate starts anew, and nothing may have leaked. */
    void atRest() {
        ratio.reset();
        space.checkIdle();
    }

    RankState state(int dpRank) {
        RoleQueues.Counts counts = role.counts();
        return new RankState(
                dpRank,
                log.lastThroughput(),
                log.generatedTokens(),
                space.usedTokens(),
                space.freeTokens(),
                space.evictableTokens(),
                decode.running().size(),
                waiting.size(),
                counts.beforeWaiting(),
                counts.inTransfer(),
                retractions,
                log.cacheHitRate(),
                ratio.value(),
                plans.steps());
    }

    /** KV tokens used and the lengths of all queued requests. */
    long loadTokens() {
        return space.usedTokens() + waiting.tokens() + role.counts().queuedTokens();
    }
}
