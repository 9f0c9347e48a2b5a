package dev.baton.engine.disagg;

import dev.baton.engine.EngineException;
import dev.baton.engine.disagg.transfer.AuxRecord;
import dev.baton.engine.disagg.transfer.FakeTransfer;
import dev.baton.engine.disagg.transfer.KvPoll;
import dev.baton.engine.disagg.transfer.KvSender;
import dev.baton.engine.disagg.transfer.PrefillTransfer;
import dev.baton.engine.request.EngineRequest.Bootstrap;
import dev.baton.engine.schedule.Request;
import dev.baton.engine.schedule.RoleQueues;
import dev.baton.engine.schedule.SchedulerPort;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.protocol.FinishReason;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;

/**
 * The prefill half: a request waits in the bootstrap queue until its decode server has told its pages, is computed as
 * always while complete pages leave layer by layer, and stays in the in-flight queue until everything has arrived. Its
 * answer is one token.
 */
public final class PrefillRole implements RoleQueues {
    private final SchedulerPort scheduler;
    private final PrefillTransfer transfer;
    private final int dpRank;
    private final int ranks;
    private final int layers;
    private final boolean layerwise;
    private final int pageTokens;
    private final double failureProbability;
    private final SplittableRandom random = new SplittableRandom();
    private final Map<Request, Entry> entries = new LinkedHashMap<>();
    private Counts counts = Counts.NONE;

    private static final class Entry {
        final Request request;
        final KvSender sender;
        Stage stage = Stage.BOOTSTRAP;
        /** Pages of the prompt that launched steps send. */
        int sentPages;
        /** Retractions that were seen: what was sent before one is void. */
        int retractions;

        Entry(Request request, KvSender sender) {
            this.request = request;
            this.sender = sender;
        }
    }

    private enum Stage {
        BOOTSTRAP,
        /** In the waiting queue or being computed. */
        ADMITTED,
        INFLIGHT
    }

    /**
     * @param transfer closed with this
     * @param ranks of this group, all stages together
     * @param layers of the model
     * @param sends tells the ranks what to send after each layer; null sends all layers of a chunk after its step
     * @param failureProbability share of the requests that fail on purpose
     */
    PrefillRole(
            SchedulerPort scheduler,
            PrefillTransfer transfer,
            int dpRank,
            int ranks,
            int layers,
            @Nullable LayerSends sends,
            double failureProbability) {
        this.scheduler = scheduler;
        this.transfer = transfer;
        this.dpRank = dpRank;
        this.ranks = ranks;
        this.layers = layers;
        this.layerwise = sends != null;
        this.pageTokens = scheduler.config().pageTokens();
        this.failureProbability = failureProbability;
        if (sends != null) {
            sends.from(this::sends);
        }
    }

    @Override
    public String name() {
        return "prefill";
    }

    @Override
    public boolean decodes() {
        return false;
    }

    @Override
    public void enqueue(Request request) {
        Bootstrap bootstrap = Rooms.of(request);
        try {
            KvSender sender =
                    Rooms.isFake(bootstrap) ? FakeTransfer.sender(bootstrap.room()) : transfer.open(bootstrap.room());
            entries.put(request, new Entry(request, sender));
        } catch (EngineException e) {
            scheduler.finish(request, TransferFailure.refused(String.valueOf(e.getMessage())));
        }
    }

    @Override
    public boolean poll() {
        if (entries.isEmpty()) {
            counts = Counts.NONE;
            return false;
        }
        int waiting = 0;
        int inFlight = 0;
        long held = 0;
        long queued = 0;
        for (Entry entry : List.copyOf(entries.values())) {
            step(entry);
            if (entries.containsKey(entry.request)) {
                int tokens = entry.request.promptTokens();
                waiting += entry.stage == Stage.BOOTSTRAP ? 1 : 0;
                queued += entry.stage == Stage.BOOTSTRAP ? tokens : 0;
                inFlight += entry.stage == Stage.INFLIGHT ? 1 : 0;
                held += entry.stage == Stage.INFLIGHT ? tokens : 0;
            }
        }
        counts = new Counts(waiting, inFlight, held, queued);
        return waiting + inFlight > 0;
    }

    private void step(Entry entry) {
        if (entry.request.phase() == Request.Phase.FINISHED) {
            // Aborted where the scheduler had it.
            drop(entry, Rooms.ABORTED);
            return;
        }
        KvPoll now = entry.sender.poll();
        if (now == KvPoll.FAILED) {
            String reason = entry.sender.failure();
            String what = entry.stage == Stage.BOOTSTRAP ? "Prefill bootstrap failed" : "Prefill transfer failed";
            drop(entry, "failed");
            scheduler.finish(entry.request, TransferFailure.of(what, dpRank, entry.request, reason));
        } else if (entry.stage == Stage.BOOTSTRAP && now != KvPoll.BOOTSTRAPPING) {
            if (failureProbability > 0 && random.nextDouble() < failureProbability) {
                entry.sender.abort("failed on purpose (DISAGGREGATION_TEST_FAILURE_PROB)");
                return;
            }
            entry.stage = Stage.ADMITTED;
            scheduler.admit(entry.request);
        } else if (entry.stage == Stage.INFLIGHT && now == KvPoll.SUCCESS) {
            drop(entry, "done");
            scheduler.finish(entry.request, new FinishReason.Length(0));
        }
    }

    /** Ends the sender. Copies of a failed room that are under way may read memory of others: nobody uses them. */
    private void drop(Entry entry, String reason) {
        entries.remove(entry.request);
        entry.sender.abort(reason);
        entry.sender.close();
    }

    /** What the ranks send while the plan runs, of each sequence. */
    private List<LayerSends.@Nullable Send> sends(StepPlan plan) {
        Map<Integer, Entry> byRow = new HashMap<>();
        for (Entry entry : entries.values()) {
            if (entry.stage == Stage.ADMITTED && entry.request.row() >= 0) {
                byRow.put(entry.request.row(), entry);
            }
        }
        List<LayerSends.@Nullable Send> sends = new ArrayList<>();
        for (int b = 0; b < plan.sequences(); b++) {
            Entry entry = byRow.get(plan.rows()[b]);
            sends.add(entry == null ? null : send(entry, plan.contextLength(b)));
        }
        return sends;
    }

    private LayerSends.@Nullable Send send(Entry entry, int tokens) {
        restartAfterRetraction(entry);
        int first = entry.sentPages;
        int[] pages = nextPages(entry, tokens);
        return pages.length == 0 ? null : new LayerSends.Send(entry.sender, first, pages);
    }

    /** Its memory went to others, who may have written it before it was sent. */
    private static void restartAfterRetraction(Entry entry) {
        if (entry.retractions != entry.request.retractions()) {
            entry.retractions = entry.request.retractions();
            entry.sentPages = 0;
            entry.sender.restart();
        }
    }

    /** Pages that stand when {@code tokens} positions do and have not been sent: whole ones, or all at the end. */
    private int[] nextPages(Entry entry, int tokens) {
        boolean last = tokens >= entry.request.promptTokens();
        int whole = last ? tokens : tokens / pageTokens * pageTokens;
        int[] pages = Rooms.pages(entry.request, entry.sentPages, whole, pageTokens);
        entry.sentPages += pages.length;
        return pages;
    }

    @Override
    public void chunkComputed(Request request, int from, int to, boolean last) {
        Entry entry = entries.get(request);
        if (entry == null) {
            return;
        }
        if (!layerwise) {
            restartAfterRetraction(entry);
            int first = entry.sentPages;
            int[] pages = nextPages(entry, to);
            for (int rank = 0; rank < ranks; rank++) {
                entry.sender.send(rank, 0, layers, first, pages);
            }
        }
        if (last) {
            entry.stage = Stage.INFLIGHT;
            entry.sender.finish(new AuxRecord(request.lastId(), request.cachedTokens(), request.lastLogprob()));
        }
    }

    @Override
    public boolean withdraw(Request request) {
        Entry entry = entries.get(request);
        if (entry != null) {
            drop(entry, Rooms.ABORTED);
        }
        return true;
    }

    @Override
    public Counts counts() {
        return counts;
    }

    @Override
    public void close() {
        transfer.close();
    }
}
