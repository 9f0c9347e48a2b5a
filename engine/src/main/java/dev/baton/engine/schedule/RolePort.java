package dev.baton.engine.schedule;

import dev.baton.engine.request.TokenLogprob;
import dev.baton.protocol.FinishReason;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What a role sees of its scheduler, and how it moves requests in and out. */
final class RolePort implements SchedulerPort {
    private final SchedulerConfig config;
    private final KvSpace space;
    private final WaitingQueue waiting;
    private final DecodeBatch decode;
    private final Admission admission;
    private final NewTokenRatio ratio;
    private final Results results;
    private final LiveRequests live;
    private final Runnable wake;

    /** @param wake ends the loop's rest, from any thread */
    RolePort(
            SchedulerConfig config,
            KvSpace space,
            WaitingQueue waiting,
            DecodeBatch decode,
            Admission admission,
            NewTokenRatio ratio,
            Results results,
            LiveRequests live,
            Runnable wake) {
        this.config = config;
        this.space = space;
        this.waiting = waiting;
        this.decode = decode;
        this.admission = admission;
        this.ratio = ratio;
        this.results = results;
        this.live = live;
        this.wake = wake;
    }

    @Override
    public SchedulerConfig config() {
        return config;
    }

    @Override
    public int totalTokens() {
        return space.totalTokens();
    }

    @Override
    public int availableTokens() {
        return space.availableTokens();
    }

    @Override
    public int runningLimit() {
        return admission.runningLimit();
    }

    @Override
    public int freeRows() {
        return space.freeRows();
    }

    @Override
    public List<Request> running() {
        decode.compact();
        return decode.running();
    }

    @Override
    public int waitingRequests() {
        return waiting.size();
    }

    @Override
    public double newTokenRatio() {
        return ratio.value();
    }

    @Override
    public void admit(Request r) {
        live.moved();
        waiting.add(r);
    }

    @Override
    public boolean reserve(Request r) {
        live.moved();
        if (space.freeRows() == 0 || !space.extend(r, r.known)) {
            return false;
        }
        space.takeRow(r);
        r.awaitsKv = true;
        live.holdsRow();
        live.leaveQueue(r);
        return true;
    }

    @Override
    public void enterDecode(
            Request r, int firstToken, @Nullable TokenLogprob logprob, List<TokenLogprob> inputLogprobs) {
        live.moved();
        live.givesRow();
        r.awaitsKv = false;
        r.addInputLogprobs(inputLogprobs);
        r.carryId = true;
        decode.add(r);
        FinishReason reason = results.append(r, firstToken, logprob);
        if (reason == null) {
            results.tell(r);
        } else {
            live.end(r, reason);
        }
    }

    @Override
    public void finish(Request r, FinishReason reason) {
        live.moved();
        if (r.phase == Request.Phase.ROLE) {
            live.tellEnd(r, reason);
            release(r);
        } else if (!r.finished()) {
            live.end(r, reason);
        }
    }

    @Override
    public void finishKeeping(Request r, FinishReason reason) {
        live.moved();
        live.tellEnd(r, reason);
    }

    @Override
    public boolean restore(Request r) {
        live.moved();
        if (space.freeRows() == 0 || !space.extend(r, r.known - 1)) {
            return false;
        }
        space.takeRow(r);
        r.carryId = true;
        decode.add(r);
        return true;
    }

    @Override
    public void release(Request r) {
        live.moved();
        if (r.row >= 0) {
            live.givesRow();
        }
        live.free(r);
    }

    @Override
    public void wake() {
        wake.run();
    }
}
