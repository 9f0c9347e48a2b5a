package dev.baton.engine.disagg;

import dev.baton.engine.disagg.transfer.KvSender;
import dev.baton.engine.forward.LayerListener;
import dev.baton.engine.schedule.ForwardMode;
import dev.baton.engine.schedule.StepObserver;
import dev.baton.engine.schedule.StepPlan;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Joins the scheduler, which knows before a step which pages it completes, with the ranks, which know when a layer of
 * them is written: each layer's pages leave while the next layer is computed.
 *
 * <p>What to send is kept by sequence and not by step: common steps of several attention groups, and what other stages still
 * compute of former ones, have numbers of their own. Every rank here meets the same sequences in the same order; what it
 * has met is forgotten when all have.
 */
final class LayerSends implements StepObserver {
    private final int ranksHere;
    /** Guarded by itself. */
    private final Map<Chunk, ArrayDeque<Expected>> chunks = new HashMap<>();

    private volatile @Nullable Source source;
    private volatile @Nullable Consumer<List<Due>> elsewhere;

    /**
     * What a step computes of a sequence.
     *
     * @param row of the tables
     * @param end one past its last position
     */
    record Chunk(int row, int end) {
        Chunk(StepPlan plan, int sequence) {
            this(plan.rows()[sequence], plan.contextLength(sequence));
        }
    }

    /**
     * Pages of a sequence that a step completes.
     *
     * @param firstPage which page of the prompt {@code pages[0]} is
     */
    record Send(KvSender sender, int firstPage, int[] pages) {}

    /**
     * A sequence of a step that begins.
     *
     * @param send null when nothing of it is sent
     */
    record Due(Chunk chunk, @Nullable Send send) {}

    /** A sequence that not all ranks have computed. */
    private record Expected(@Nullable Send send, BitSet done) {}

    /** Who knows what to send, one for each sequence; on the scheduler's thread. */
    @FunctionalInterface
    interface Source {
        List<@Nullable Send> sends(StepPlan plan);
    }

    /** @param ranksHere ranks of the group that live in this JVM */
    LayerSends(int ranksHere) {
        this.ranksHere = ranksHere;
    }

    void from(Source next) {
        this.source = next;
    }

    /** Who tells the group's ranks in other JVMs, before the step is announced to them. */
    void toOthers(Consumer<List<Due>> teller) {
        this.elsewhere = teller;
    }

    @Override
    public void beforeStep(StepPlan plan) {
        Source from = source;
        if (plan.mode() != ForwardMode.EXTEND || from == null) {
            return;
        }
        List<@Nullable Send> sends = from.sends(plan);
        List<Due> due = new ArrayList<>();
        for (int b = 0; b < plan.sequences(); b++) {
            due.add(new Due(new Chunk(plan, b), sends.get(b)));
        }
        expect(due);
        Consumer<List<Due>> teller = elsewhere;
        if (teller != null) {
            teller.accept(due);
        }
    }

    /** The ranks are about to compute these sequences. */
    void expect(List<Due> due) {
        if (ranksHere == 0) {
            return;
        }
        synchronized (chunks) {
            for (Due each : due) {
                chunks.computeIfAbsent(each.chunk, chunk -> new ArrayDeque<>())
                        .addLast(new Expected(each.send, new BitSet()));
            }
        }
    }

    /** What a rank has to send of a sequence that it computes; null for nothing. */
    private @Nullable Send current(int rank, Chunk chunk, boolean lastLayer) {
        synchronized (chunks) {
            ArrayDeque<Expected> expected = chunks.get(chunk);
            if (expected == null) {
                return null;
            }
            for (Expected each : expected) {
                if (each.done.get(rank)) {
                    continue;
                }
                if (lastLayer) {
                    each.done.set(rank);
                    forget(chunk, expected);
                }
                return each.send;
            }
            return null;
        }
    }

    private void forget(Chunk chunk, ArrayDeque<Expected> expected) {
        while (!expected.isEmpty() && expected.peekFirst().done.cardinality() == ranksHere) {
            expected.removeFirst();
        }
        if (expected.isEmpty()) {
            chunks.remove(chunk);
        }
    }

    /**
     * What a rank does after each layer.
     *
     * @param firstLayer of its stage
     * @param layers of its stage
     * @param mark marks what the rank has queued on its device; called on the rank's thread
     */
    LayerListener listener(int rank, int firstLayer, int layers, LongSupplier mark) {
        return (plan, layerOfStage) -> {
            if (plan.mode() != ForwardMode.EXTEND) {
                return;
            }
            int layer = firstLayer + layerOfStage;
            List<Send> sends = new ArrayList<>();
            for (int b = 0; b < plan.sequences(); b++) {
                Send send = current(rank, new Chunk(plan, b), layerOfStage == layers - 1);
                if (send != null) {
                    sends.add(send);
                }
            }
            if (!sends.isEmpty()) {
                long written = mark.getAsLong();
                for (Send send : sends) {
                    send.sender.send(rank, layer, layer + 1, send.firstPage, send.pages, written);
                }
            }
        };
    }
}
