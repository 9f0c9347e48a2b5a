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
    private final Map<Long, List<Send>> bySteps = new ConcurrentHashMap<>();
    private volatile @Nullable Source source;

    /**
     * Pages that a step completes.
     *
     * @param firstPage which page of the prompt {@code pages[0]} is
     */
    record Send(KvSender sender, int firstPage, int[] pages) {}

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
            List<Send> sends = from.sends(plan);
            if (!sends.isEmpty()) {
                bySteps.put(plan.step(), sends);
            }
        }
    }

    @Override
    public void afterStep(StepPlan plan, StepResult result) {
        bySteps.remove(plan.step());
    }

    /** What a rank does after each layer. */
    LayerListener listener(int rank) {
        return (plan, layer) -> {
            List<Send> sends = bySteps.get(plan.step());
            if (sends != null) {
                for (Send send : sends) {
                    send.sender.send(rank, layer, layer + 1, send.firstPage, send.pages);
                }
            }
        };
    }
}
