package dev.baton.engine.disagg;

import dev.baton.engine.forward.KvCache;
import dev.baton.engine.forward.ModelRunner;
import dev.baton.engine.parallel.RankGroup;
import dev.baton.engine.schedule.StepObserver;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.tensor.Device;
import dev.baton.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * Copies cache rows to host memory and back by tasks between steps, run after run of consecutive slots. Copies that are
 * asked for between two launches travel in one task, so that many retractions do not fill the ranks' queues.
 */
final class RankOffload implements HostOffload, StepObserver {
    private final RankGroup group;
    private @Nullable Batch open;

    RankOffload(RankGroup group) {
        this.group = group;
    }

    /**
     * @param ranks rows of each rank that lives here: buffer after buffer, [slots, width]
     */
    private record Copy(Arena arena, List<MemorySegment> ranks, CompletableFuture<Void> done) implements Saved {
        @Override
        public void discard() {
            // A copy under way still writes it.
            done.whenComplete((nothing, failure) -> arena.close());
        }
    }

    /**
     * @param ranks each rank's host memory
     * @param out from the cache to the host
     */
    private record Move(int[] slots, List<MemorySegment> ranks, boolean out) {}

    /** One task; takes moves until a rank begins it or a step is launched behind it. */
    private final class Batch {
        final List<Move> moves = new ArrayList<>();
        CompletableFuture<Void> done = new CompletableFuture<>();

        void run(int rank) {
            seal();
            for (Move move : moves) {
                move(group.runner(rank), move.slots, move.ranks.get(rank), move.out);
            }
        }

        private void seal() {
            synchronized (RankOffload.this) {
                if (open == this) {
                    open = null;
                }
            }
        }
    }

    private synchronized CompletableFuture<Void> add(Move move) {
        Batch batch = open;
        if (batch == null) {
            Batch made = new Batch();
            // A rank that begins at once waits for this monitor.
            made.done = group.runBetweenSteps(made::run);
            open = made;
            batch = made;
        }
        batch.moves.add(move);
        return batch.done;
    }

    @Override
    public void beforeStep(StepPlan plan) {
        seal();
    }

    /** A step is about to be queued: what is asked for from here on follows it. */
    synchronized void seal() {
        open = null;
    }

    @Override
    public Saved save(int[] slots) {
        Arena arena = Arena.ofShared();
        List<MemorySegment> ranks = new ArrayList<>();
        for (int rank = 0; rank < group.size(); rank++) {
            ranks.add(
                    group.isHere(rank)
                            ? arena.allocate(group.runner(rank).cache().bytesPerSlot() * slots.length, 64)
                            : MemorySegment.NULL);
        }
        return new Copy(arena, ranks, add(new Move(slots, ranks, true)));
    }

    @Override
    public void restore(Saved saved, int[] slots) {
        Copy copy = (Copy) saved;
        add(new Move(slots, copy.ranks, false)).whenComplete((nothing, failure) -> copy.discard());
    }

    private static void move(ModelRunner runner, int[] slots, MemorySegment host, boolean out) {
        Device device = runner.device();
        long at = 0;
        for (Tensor buffer : KvLayouts.ordered(runner.cache())) {
            long width = KvCache.bytesPerSlot(buffer);
            for (int i = 0, run; i < slots.length; i += run) {
                run = 1;
                while (i + run < slots.length && slots[i + run] == slots[i + run - 1] + 1) {
                    run++;
                }
                Tensor rows = buffer.rowRange(slots[i], run);
                MemorySegment part = host.asSlice(at, run * width);
                if (out) {
                    device.toHost(rows, part);
                } else {
                    device.toDevice(part, rows);
                }
                at += run * width;
            }
        }
        device.synchronize();
    }
}
