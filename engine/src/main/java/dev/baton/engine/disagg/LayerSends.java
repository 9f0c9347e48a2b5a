package dev.baton.engine.disagg;

import dev.baton.engine.disagg.transfer.KvSender;
import dev.baton.engine.forward.LayerListener;
import dev.baton.engine.schedule.ForwardMode;
import dev.baton.engine.schedule.StepObserver;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.engine.schedule.StepResult;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * Joins the scheduler, which knows before a step which pages it completes, with the ranks, which know when a layer of
 * them is written: each layer's pages leave while the next layer is computed.
 */
final class LayerSends implements StepObserver {
    /**
     * By sequence and not by step: common steps of several attention groups, and what other stages still compute of
     * former ones, have numbers of their own.
     */
    private final Map<Chunk, Send> byChunk = new ConcurrentHashMap<>();

    private volatile @Nullable Source source;

    /**
     * What a step computes of a sequence.
     *
     * @param row of the tables
     * @param end one past its last position
     */
    private record Chunk(int row, int end) {
        Chunk(StepPlan plan, int sequence) {
            this(plan.rows()[sequence], plan.contextLength(sequence));
        }
    }

    /**
     * Pages of a sequence that a step completes.
     *
     * @param sequence of the step
     * @param firstPage which page of the prompt {@code pages[0]} is
     */
    record Send(int sequence, KvSender sender, int firstPage, int[] pages) {}

    /** Who knows them; on the scheduler's thread. */
    @FunctionalInterface
    interface Source {
        List<Send> sends(StepPlan plan);
    }

    void from(Source next) {
        this.source = next;
    }

    @Override
    public void beforeStep(StepPlan plan) {
        Source from = source;
        if (plan.mode() == ForwardMode.EXTEND && from != null) {
            for (Send send : from.sends(plan)) {
                byChunk.put(new Chunk(plan, send.sequence), send);
            }
        }
    }

    @Override
    public void afterStep(StepPlan plan, StepResult result) {
        if (plan.mode() == ForwardMode.EXTEND) {
            for (int b = 0; b < plan.sequences(); b++) {
                byChunk.remove(new Chunk(plan, b));
            }
        }
    }

    /**
     * What a rank does after each layer.
     *
     * @param firstLayer of its stage
     */
    LayerListener listener(int rank, int firstLayer) {
        return (plan, layerOfStage) -> {
            if (plan.mode() != ForwardMode.EXTEND) {
                return;
            }
            int layer = firstLayer + layerOfStage;
            for (int b = 0; b < plan.sequences(); b++) {
                Send send = byChunk.get(new Chunk(plan, b));
                if (send != null) {
                    send.sender.send(rank, layer, layer + 1, send.firstPage, send.pages);
                }
            }
        };
    }
}
