package dev.baton.engine.disagg;

import dev.baton.engine.EngineException;
import dev.baton.engine.disagg.transfer.AuxRecord;
import dev.baton.engine.disagg.transfer.DecodeTransfer;
import dev.baton.engine.disagg.transfer.FakeTransfer;
import dev.baton.engine.disagg.transfer.KvPoll;
import dev.baton.engine.disagg.transfer.KvReceiver;
import dev.baton.engine.request.EngineRequest.Bootstrap;
import dev.baton.engine.schedule.Request;
import dev.baton.engine.schedule.RoleQueues;
import dev.baton.engine.schedule.SchedulerPort;
import dev.baton.protocol.FinishReason;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

/**
 * The decode half: a request waits in the pre-allocation queue until it has found its prefill server and there is memory
 * for its prompt, then in the transfer queue until the KV has arrived; then it decodes. A request that must give its
 * memory back is kept on the host and goes on before any new one is let in.
 */
public final class DecodeRole implements RoleQueues {
    private final SchedulerPort scheduler;
    private final DecodeTransfer transfer;
    private final HostOffload offload;
    private final StepFence fence;
    private final ReservationRule rule;
    private final int dpRank;
    private final int pollingInterval;
    private final int pageTokens;

    /** In order of arrival. */
    private final Map<Request, KvReceiver> prealloc = new LinkedHashMap<>();
    /** In order of reservation. */
    private final Map<Request, KvReceiver> transfers = new LinkedHashMap<>();
    /** Ended requests whose memory the prefill server may still write. */
    private final Map<Request, KvReceiver> draining = new LinkedHashMap<>();
    /** Retracted requests, the one to resume first at the head. */
    private final ArrayDeque<Retracted> retracted = new ArrayDeque<>();
    /** Copies to the host that have not ended: until then the freed slots must not be told to a prefill server. */
    private final List<CompletableFuture<Void>> saving = new ArrayList<>();

    private Counts counts = Counts.NONE;
    private int turn;

    private record Retracted(Request request, HostOffload.Saved saved) {}

    /**
     * @param transfer closed with this
     * @param fence observes the scheduler's steps
     */
    DecodeRole(
            SchedulerPort scheduler,
            DecodeTransfer transfer,
            HostOffload offload,
            StepFence fence,
            DisaggregationConfig config,
            int dpRank) {
        this.scheduler = scheduler;
        this.transfer = transfer;
        this.offload = offload;
        this.fence = fence;
        this.rule = new ReservationRule(config.reservedDecodeTokens(), config.clipNewTokens());
        this.dpRank = dpRank;
        this.pollingInterval = config.pollingInterval();
        this.pageTokens = scheduler.config().pageTokens();
    }

    @Override
    public String name() {
        return "decode";
    }

    @Override
    public boolean decodes() {
        return true;
    }

    @Override
    public void enqueue(Request request) {
        Bootstrap bootstrap = Rooms.of(request);
        try {
            KvReceiver receiver =
                    Rooms.isFake(bootstrap) ? FakeTransfer.receiver(bootstrap.room()) : transfer.open(bootstrap);
            prealloc.put(request, receiver);
        } catch (EngineException e) {
            scheduler.finish(request, TransferFailure.refused(String.valueOf(e.getMessage())));
        }
    }

    @Override
    public boolean poll() {
        if (prealloc.isEmpty() && transfers.isEmpty() && draining.isEmpty() && retracted.isEmpty()) {
            counts = Counts.NONE;
            return false;
        }
        if (turn++ % pollingInterval == 0) {
            drain();
            receive();
            resume();
            reserve();
        }
        counts = new Counts(
                prealloc.size(),
                transfers.size(),
                tokens(transfers.keySet()) + tokens(draining.keySet()),
                tokens(prealloc.keySet()));
        return true;
    }

    private static long tokens(Iterable<Request> requests) {
        long sum = 0;
        for (Request request : requests) {
            sum += request.promptTokens();
        }
        return sum;
    }

    private void drain() {
        for (Iterator<Map.Entry<Request, KvReceiver>> i = draining.entrySet().iterator(); i.hasNext(); ) {
            Map.Entry<Request, KvReceiver> entry = i.next();
            if (entry.getValue().released()) {
                i.remove();
                entry.getValue().close();
                scheduler.release(entry.getKey());
            }
        }
    }

    /** The transfer queue: what has arrived decodes, what has failed is told so. */
    private void receive() {
        for (Map.Entry<Request, KvReceiver> entry : List.copyOf(transfers.entrySet())) {
            Request request = entry.getKey();
            KvReceiver receiver = entry.getValue();
            KvPoll now = receiver.poll();
            if (now == KvPoll.SUCCESS && scheduler.running().size() < scheduler.runningLimit()) {
                transfers.remove(request);
                AuxRecord aux = receiver.aux();
                receiver.close();
                if (request.sampling().maxNewTokens() == 0) {
                    scheduler.finish(request, new FinishReason.Length(0));
                } else {
                    scheduler.enterDecode(request, aux.firstId(), aux.logprob(), List.of());
                }
            } else if (now == KvPoll.FAILED) {
                transfers.remove(request);
                FinishReason reason = TransferFailure.of("Decode transfer failed", dpRank, request, receiver.failure());
                if (receiver.released()) {
                    receiver.close();
                    scheduler.finish(request, reason);
                } else {
                    draining.put(request, receiver);
                    scheduler.finishKeeping(request, reason);
                }
            }
        }
    }

    /** Retracted requests go on, in order, as memory allows. */
    private void resume() {
        saving.removeIf(CompletableFuture::isDone);
        while (!retracted.isEmpty()) {
            Retracted first = retracted.peekFirst();
            if (scheduler.running().size() >= scheduler.runningLimit()
                    || !rule.mayResume(first.request, demand(), scheduler)
                    || !scheduler.restore(first.request)) {
                return;
            }
            retracted.removeFirst();
            offload.restore(first.saved, first.request.slots(0, first.request.filledTokens()));
        }
    }

    private ReservationRule.Demand demand() {
        return new ReservationRule.Demand(transfers.size(), draining.size());
    }

    /** The pre-allocation queue: requests that have found their server get memory in order of arrival. */
    private void reserve() {
        for (Map.Entry<Request, KvReceiver> entry : List.copyOf(prealloc.entrySet())) {
            if (entry.getValue().poll() == KvPoll.FAILED) {
                Request request = entry.getKey();
                prealloc.remove(request);
                String reason = entry.getValue().failure();
                entry.getValue().close();
                scheduler.finish(request, TransferFailure.of("Decode handshake failed", dpRank, request, reason));
            }
        }
        if (!retracted.isEmpty() || !saving.isEmpty() || scheduler.waitingRequests() > 0) {
            return;
        }
        long allocatable = rule.allocatable(demand(), scheduler);
        for (Map.Entry<Request, KvReceiver> entry : List.copyOf(prealloc.entrySet())) {
            Request request = entry.getKey();
            KvReceiver receiver = entry.getValue();
            if (receiver.poll() != KvPoll.WAITING_FOR_INPUT) {
                continue;
            }
            if (!rule.mayReserve(request, allocatable, demand(), scheduler) || !scheduler.reserve(request)) {
                return;
            }
            allocatable -= rule.need(request);
            prealloc.remove(request);
            transfers.put(request, receiver);
            int[] pages = Rooms.pages(request, 0, request.promptTokens(), pageTokens);
            fence.afterLaunched(() -> receiver.reserve(pages));
        }
    }

    @Override
    public void chunkComputed(Request request, int from, int to, boolean last) {}

    @Override
    public boolean retracted(Request request) {
        HostOffload.Saved saved = offload.save(request.slots(0, request.filledTokens()));
        saving.add(saved.done());
        retracted.addLast(new Retracted(request, saved));
        return true;
    }

    @Override
    public int retractedRequests() {
        return retracted.size();
    }

    @Override
    public boolean withdraw(Request request) {
        KvReceiver receiver = prealloc.remove(request);
        if (receiver != null) {
            receiver.abort(Rooms.ABORTED);
            receiver.close();
            return true;
        }
        receiver = transfers.remove(request);
        if (receiver != null) {
            receiver.abort(Rooms.ABORTED);
            if (receiver.released()) {
                receiver.close();
                return true;
            }
            draining.put(request, receiver);
            return false;
        }
        for (Iterator<Retracted> i = retracted.iterator(); i.hasNext(); ) {
            Retracted kept = i.next();
            if (kept.request == request) {
                i.remove();
                kept.saved.discard();
            }
        }
        return true;
    }

    @Override
    public Counts counts() {
        return counts;
    }

    @Override
    public void close() {
        retracted.forEach(kept -> kept.saved.discard());
        retracted.clear();
        transfer.close();
    }
}
