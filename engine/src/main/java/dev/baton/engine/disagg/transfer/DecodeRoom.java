package dev.baton.engine.disagg.transfer;

import dev.baton.engine.request.EngineRequest.Bootstrap;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** One room of a decode server. Its monitor guards everything that is not volatile. */
final class DecodeRoom implements KvReceiver {
    private static final int[] NO_PAGES = {};

    private final SocketDecodeTransfer owner;
    private final Bootstrap bootstrap;
    private volatile KvPoll state = KvPoll.BOOTSTRAPPING;
    private volatile List<Pair> pairs = List.of();
    private volatile Map<InetSocketAddress, Integer> connections = Map.of();
    private volatile int[] pages = NO_PAGES;
    private int writers;
    private @Nullable String failure;
    private @Nullable AuxRecord aux;
    private volatile long deadline;
    private volatile boolean closed;

    /** The part of this room that comes over one connection. */
    private static final class Pair {
        final DecodeConnection connection;
        boolean opened;
        boolean done;
        /** The prefill rank does not write this room's pages any more. */
        boolean quiet;

        long receivedBytes;

        Pair(DecodeConnection connection) {
            this.connection = connection;
        }
    }

    DecodeRoom(SocketDecodeTransfer owner, Bootstrap bootstrap) {
        this.owner = owner;
        this.bootstrap = bootstrap;
        this.deadline = System.nanoTime() + owner.options().bootstrapTimeout().toNanos();
    }

    @Override
    public long room() {
        return bootstrap.room();
    }

    Bootstrap bootstrap() {
        return bootstrap;
    }

    /**
     * Every connection that this room needs is ready.
     *
     * @param made those of this JVM's ranks
     * @param perAddress how many there are to each address, those of other JVMs included
     */
    void connected(List<DecodeConnection> made, Map<InetSocketAddress, Integer> perAddress) {
        for (DecodeConnection connection : made) {
            if (!connection.register(this)) {
                fail(connection.lost(), connection);
            }
        }
        List<DecodeConnection> told = List.of();
        String reason = "";
        synchronized (this) {
            if (state == KvPoll.FAILED) {
                // Aborted while connecting: the prefill server may be waiting for our pages.
                told = made;
                reason = String.valueOf(failure);
            } else {
                pairs = made.stream().map(Pair::new).toList();
                connections = Map.copyOf(perAddress);
                state = KvPoll.WAITING_FOR_INPUT;
                deadline = Long.MAX_VALUE;
            }
        }
        for (DecodeConnection connection : told) {
            connection.send(FrameType.ABORT, room(), FrameChannel.text(reason));
            connection.forget(this);
        }
    }

    @Override
    public KvPoll poll() {
        long limit = deadline;
        if (!state.isFinal() && limit != Long.MAX_VALUE && System.nanoTime() - limit > 0) {
            if (state == KvPoll.BOOTSTRAPPING) {
                fail(timeout(owner.options().bootstrapTimeout(), "KVPoll.Bootstrapping"), null);
            } else {
                fail(timeout(owner.options().waitingTimeout(), "KVPoll.WaitingForInput"), null);
            }
        }
        return state;
    }

    private String timeout(Duration after, String where) {
        return "Request " + room() + " timed out after " + after.toMillis() / 1000.0 + "s in " + where
                + " (prefill server " + SocketDecodeTransfer.name(bootstrap) + ")";
    }

    @Override
    public synchronized @Nullable String failure() {
        return failure;
    }

    @Override
    public void reserve(int[] reserved) {
        synchronized (this) {
            if (state.isFinal()) {
                return;
            }
            if (state != KvPoll.WAITING_FOR_INPUT) {
                throw new IllegalStateException("pages of room " + room() + " reserved in state " + state);
            }
            pages = reserved.clone();
            state = KvPoll.TRANSFERRING;
            deadline = System.nanoTime() + owner.options().waitingTimeout().toNanos();
            for (Pair pair : pairs) {
                pair.opened = true;
            }
        }
        for (Pair pair : pairs) {
            int parts =
                    Objects.requireNonNull(connections.get(pair.connection.key().address()));
            pair.connection.send(FrameType.OPEN, room(), open(parts, reserved));
        }
    }

    private static ByteBuffer open(int parts, int[] pages) {
        ByteBuffer body = FrameChannel.body(4 + 4 * pages.length);
        body.putInt(parts);
        for (int page : pages) {
            body.putInt(page);
        }
        return body.flip();
    }

    int[] pages() {
        return pages;
    }

    /** Before payload is read into the pages; false when it must be skipped. Pairs with {@link #endWrite}. */
    synchronized boolean beginWrite() {
        if (state != KvPoll.TRANSFERRING) {
            return false;
        }
        writers++;
        return true;
    }

    synchronized void endWrite(DecodeConnection connection, long bytes) {
        writers--;
        Pair pair = pair(connection);
        if (pair != null) {
            pair.receivedBytes += bytes;
        }
    }

    private @Nullable Pair pair(DecodeConnection connection) {
        for (Pair pair : pairs) {
            if (pair.connection == connection) {
                return pair;
            }
        }
        return null;
    }

    /** A prefill rank has sent everything; true when that is to be confirmed. */
    boolean done(DecodeConnection connection, long sentBytes, AuxRecord record) {
        String problem = null;
        synchronized (this) {
            Pair pair = pair(connection);
            if (pair == null) {
                return false;
            }
            pair.quiet = true;
            if (state.isFinal()) {
                return false;
            }
            long expected = connection.pageBytes() * pages.length;
            long received = connection.isDirect() ? sentBytes : pair.receivedBytes;
            // More than expected when the prefill side had to begin again.
            if (sentBytes < expected || received != sentBytes) {
                problem = connection.peer() + " sent " + sentBytes + " bytes, " + received + " arrived, " + expected
                        + " were reserved";
            } else {
                pair.done = true;
                aux = record;
                if (pairs.stream().allMatch(p -> p.done)) {
                    state = KvPoll.SUCCESS;
                }
            }
        }
        if (problem != null) {
            fail(problem, null);
        }
        return problem == null;
    }

    /** The prefill server says that nothing of this room follows. */
    void quiet(DecodeConnection connection) {
        synchronized (this) {
            Pair pair = pair(connection);
            if (pair != null) {
                pair.quiet = true;
            }
        }
        forgetWhenReleased();
    }

    /**
     * Ends the room with an error and tells every prefill rank that knows it.
     *
     * @param source the connection that brought the bad news and must not be told; null for none
     */
    void fail(String reason, @Nullable DecodeConnection source) {
        List<Pair> told = new ArrayList<>();
        synchronized (this) {
            if (state.isFinal()) {
                return;
            }
            failure = reason;
            state = KvPoll.FAILED;
            for (Pair pair : pairs) {
                if (!pair.opened || !pair.connection.isDirect()) {
                    pair.quiet = true;
                }
                if (pair.connection != source) {
                    told.add(pair);
                }
            }
        }
        for (Pair pair : told) {
            pair.connection.send(FrameType.ABORT, room(), FrameChannel.text(reason));
        }
    }

    @Override
    public AuxRecord aux() {
        AuxRecord record = aux;
        if (state != KvPoll.SUCCESS || record == null) {
            throw new IllegalStateException("room " + room() + " has no record in state " + state);
        }
        return record;
    }

    @Override
    public void abort(String reason) {
        fail(reason, null);
    }

    @Override
    public boolean released() {
        if (state != KvPoll.FAILED) {
            return state == KvPoll.SUCCESS;
        }
        synchronized (this) {
            return writers == 0 && pairs.stream().allMatch(p -> p.quiet || p.connection.isGone());
        }
    }

    @Override
    public void close() {
        fail("closed", null);
        closed = true;
        forgetWhenReleased();
    }

    boolean isClosed() {
        return closed;
    }

    /** The number stays taken until nothing of the peer's can refer to it. */
    void forgetWhenReleased() {
        if (closed && released()) {
            owner.remove(this);
            for (Pair pair : pairs) {
                pair.connection.forget(this);
            }
        }
    }
}
