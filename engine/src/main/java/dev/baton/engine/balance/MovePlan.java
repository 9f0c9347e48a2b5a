package dev.baton.engine.balance;

import java.util.ArrayList;
import java.util.List;

/** Which experts of one layer must travel between ranks. Every rank makes the same plan. */
final class MovePlan {
    private MovePlan() {}

    /**
     * One expert on its way.
     *
     * @param fromSlot of the sending rank
     * @param toRank a rank that does not hold it yet; it fills all its slots of this expert from one message
     */
    record Travel(int expert, int fromSlot, int toRank) {}

    /**
     * What must travel, by expert, receivers ascending. A rank that holds an expert already receives nothing; the others
     * are shared evenly by the slots that hold it.
     *
     * @param to [slot] experts after the move
     */
    static List<Travel> of(LayerLocation from, int[] to) {
        boolean[][] wanted = new boolean[from.experts()][from.ranks()];
        for (int slot = 0; slot < to.length; slot++) {
            wanted[to[slot]][from.rankOf(slot)] = true;
        }
        List<Travel> travels = new ArrayList<>();
        for (int expert = 0; expert < from.experts(); expert++) {
            int[] sources = from.replicasOf(expert);
            for (int source : sources) {
                wanted[expert][from.rankOf(source)] = false;
            }
            List<Integer> receivers = new ArrayList<>();
            for (int rank = 0; rank < from.ranks(); rank++) {
                if (wanted[expert][rank]) {
                    receivers.add(rank);
                }
            }
            for (int i = 0; i < receivers.size(); i++) {
                travels.add(new Travel(expert, sources[i * sources.length / receivers.size()], receivers.get(i)));
            }
        }
        return travels;
    }
}
