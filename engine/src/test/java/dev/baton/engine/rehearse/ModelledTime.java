package dev.baton.engine.rehearse;

import dev.baton.engine.parallel.CommunicatorSupplier;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/** A modelled link whose time is added up instead of waited for: what steps cost does not depend on the machine. */
public final class ModelledTime {
    private final LinkModel model;
    private final List<Ledger> ranks;

    /** @param word as {@code --rehearse} takes it */
    public ModelledTime(String word, int ranks) {
        this.model =
                java.util.Objects.requireNonNull(Rehearsal.of(List.of(word)).link());
        this.ranks = IntStream.range(0, ranks).mapToObj(r -> new Ledger()).toList();
    }

    /** What each operation of one rank cost. */
    private static final class Ledger implements Clock {
        private final List<Long> costs = new ArrayList<>();
        private long now;

        @Override
        public synchronized long nanoTime() {
            return now;
        }

        @Override
        public synchronized void sleepUntil(long nanos) {
            costs.add(Math.max(0, nanos - now));
            now = Math.max(now, nanos);
        }
    }

    /** Groups whose ranks pay. */
    public CommunicatorSupplier on(CommunicatorSupplier real) {
        return new RehearsedGroups(real, model, ranks::get);
    }

    /** Forgets what was paid so far; while no rank runs. */
    public void clear() {
        ranks.forEach(ledger -> ledger.costs.clear());
    }

    /** All ranks take part in the same collectives, and each ends when the slowest has paid; while no rank runs. */
    public long nanos() {
        int collectives = ranks.getFirst().costs.size();
        if (ranks.stream().anyMatch(ledger -> ledger.costs.size() != collectives)) {
            throw new AssertionError("ranks took part in different collectives");
        }
        return IntStream.range(0, collectives)
                .mapToLong(k -> ranks.stream()
                        .mapToLong(ledger -> ledger.costs.get(k))
                        .max()
                        .orElse(0))
                .sum();
    }
}
