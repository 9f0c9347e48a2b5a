package dev.baton.engine.disagg.transfer;

import dev.baton.engine.request.EngineRequest.Bootstrap;
import java.net.InetSocketAddress;
import org.jspecify.annotations.Nullable;

/**
 * Rooms without a peer: every transfer succeeds at once and nothing is copied. A request whose {@code bootstrap_host}
 * is {@link #HOST} takes them, so that warm-up and health checks run through each role alone.
 */
public final class FakeTransfer {
    /** The bootstrap host of SGLang's warm-up requests. */
    public static final String HOST = "2.2.2.2";

    private FakeTransfer() {}

    /** A prefill side of which every room is such a one. */
    public static PrefillTransfer prefill() {
        return new Prefill();
    }

    /** A decode side of which every room is such a one. */
    public static DecodeTransfer decode() {
        return new Decode();
    }

    private static final class Prefill implements PrefillTransfer {
        @Override
        public InetSocketAddress address() {
            return InetSocketAddress.createUnresolved(HOST, 0);
        }

        @Override
        public KvSender open(long room) {
            return sender(room);
        }

        @Override
        public void refuse(long room, String reason) {}

        @Override
        public int liveRooms() {
            return 0;
        }

        @Override
        public void close() {}
    }

    private static final class Decode implements DecodeTransfer {
        @Override
        public KvReceiver open(Bootstrap bootstrap) {
            return receiver(bootstrap.room());
        }

        @Override
        public void refuse(Bootstrap bootstrap, String reason) {}

        @Override
        public int liveRooms() {
            return 0;
        }

        @Override
        public void close() {}
    }

    /** A sender whose peer is always ready. */
    public static KvSender sender(long room) {
        return new Sender(room);
    }

    /** A receiver whose pages are always there; the first token is 0. */
    public static KvReceiver receiver(long room) {
        return new Receiver(room);
    }

    private static final class Sender implements KvSender {
        private final long room;
        private volatile KvPoll state = KvPoll.WAITING_FOR_INPUT;
        private volatile @Nullable String failure;

        Sender(long room) {
            this.room = room;
        }

        @Override
        public long room() {
            return room;
        }

        @Override
        public KvPoll poll() {
            return state;
        }

        @Override
        public @Nullable String failure() {
            return failure;
        }

        @Override
        public void send(int rank, int fromLayer, int toLayer, int firstPage, int[] pages, long mark) {}

        @Override
        public void restart() {}

        @Override
        public void finish(AuxRecord aux) {
            if (!state.isFinal()) {
                state = KvPoll.SUCCESS;
            }
        }

        @Override
        public void abort(String reason) {
            if (!state.isFinal()) {
                failure = reason;
                state = KvPoll.FAILED;
            }
        }

        @Override
        public boolean released() {
            return state.isFinal();
        }

        @Override
        public long sentBytes() {
            return 0;
        }

        @Override
        public void close() {
            abort("closed");
        }
    }

    private static final class Receiver implements KvReceiver {
        private final long room;
        private volatile KvPoll state = KvPoll.WAITING_FOR_INPUT;
        private volatile @Nullable String failure;

        Receiver(long room) {
            this.room = room;
        }

        @Override
        public long room() {
            return room;
        }

        @Override
        public KvPoll poll() {
            return state;
        }

        @Override
        public @Nullable String failure() {
            return failure;
        }

        @Override
        public void reserve(int[] pages) {
            if (!state.isFinal()) {
                state = KvPoll.SUCCESS;
            }
        }

        @Override
        public AuxRecord aux() {
            return new AuxRecord(0, 0, null);
        }

        @Override
        public void abort(String reason) {
            if (!state.isFinal()) {
                failure = reason;
                state = KvPoll.FAILED;
            }
        }

        @Override
        public boolean released() {
            return state.isFinal();
        }

        @Override
        public void close() {
            abort("closed");
        }
    }
}
