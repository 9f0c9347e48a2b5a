package dev.baton.engine.rehearse;

import dev.baton.tensor.Tensor;
import dev.baton.tensor.parallel.PointToPoint;
import dev.baton.tensor.parallel.Transfer;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Messages that take the time of a modelled network, counted from the moment at which both sides are ready. It passes
 * while the rank does something else: only what is left of it is waited for.
 */
final class RehearsedPointToPoint implements PointToPoint {
    private final PointToPoint real;
    private final RankLink sending;
    private final RankLink receiving;
    private final Clock clock;

    /**
     * @param sending this rank's link for what leaves it
     * @param receiving and for what reaches it
     */
    RehearsedPointToPoint(PointToPoint real, RankLink sending, RankLink receiving, Clock clock) {
        this.real = real;
        this.sending = sending;
        this.receiving = receiving;
        this.clock = clock;
    }

    @Override
    public int rank() {
        return real.rank();
    }

    @Override
    public int size() {
        return real.size();
    }

    @Override
    public int depth() {
        return real.depth();
    }

    @Override
    public Transfer send(int peer, List<Tensor> message) {
        return new Modelled(real.send(peer, message), sending);
    }

    @Override
    public Transfer receive(int peer, List<Tensor> buffers) {
        return new Modelled(real.receive(peer, buffers), receiving);
    }

    @Override
    public void abort(Throwable cause) {
        real.abort(cause);
    }

    @Override
    public void close() {
        real.close();
    }

    private final class Modelled implements Transfer {
        private final Transfer transfer;
        private final RankLink link;
        private @Nullable Moved moved;

        Modelled(Transfer transfer, RankLink link) {
            this.transfer = transfer;
            this.link = link;
        }

        @Override
        public boolean isDone() {
            return transfer.isDone() && clock.nanoTime() >= ended().doneNanos();
        }

        @Override
        public Moved await() {
            Moved result = ended();
            clock.sleepUntil(result.doneNanos());
            return result;
        }

        /** Waits for the real transfer only. */
        private Moved ended() {
            Moved known = moved;
            if (known == null) {
                Moved inMemory = transfer.await();
                long end = link.reserve(inMemory.matchedNanos(), link.model().send(inMemory.bytes()));
                known = new Moved(
                        inMemory.rows(),
                        inMemory.bytes(),
                        inMemory.postedNanos(),
                        inMemory.matchedNanos(),
                        Math.max(end, inMemory.doneNanos()));
                moved = known;
            }
            return known;
        }
    }
}
