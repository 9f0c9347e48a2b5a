package dev.baton.engine.disagg.transfer;

import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * One room of a prefill server. It exists from the first of two events on: the scheduler opens it, or a decode rank
 * tells its pages. Its monitor guards everything that is not volatile; it is never held while a connection's is taken
 * by a copy.
 */
final class PrefillRoom implements KvSender {
    private final SocketPrefillTransfer owner;
    private final long room;
    private final Map<PrefillConnection, Target> targets = new LinkedHashMap<>();
    private final AtomicInteger copying = new AtomicInteger();
    private final AtomicLong sentBytes = new AtomicLong();
    private volatile KvPoll state = KvPoll.BOOTSTRAPPING;
    private volatile boolean claimed;
    private int pairs;
    private @Nullable String instance;
    private @Nullable String failure;
    private volatile long deadline;
    private volatile boolean finished;
    /** Counts restarts; pages of a former pass need not be sent. */
    private volatile int pass;

    /** Where the pages of one (prefill rank, decode rank) pair go. */
    static final class Target {
        final int[] pages;
        private int pass;
        private long passBytes;
        private long allBytes;
        private boolean received;

        Target(int[] pages) {
            this.pages = pages;
        }

        synchronized void begin(int newPass) {
            pass = newPass;
            passBytes = 0;
        }

        synchronized void sent(int ofPass, long bytes) {
            allBytes += bytes;
            passBytes += ofPass == pass ? bytes : 0;
        }

        /** Bytes sent since the last restart. */
        synchronized long passBytes() {
            return passBytes;
        }

        /** Bytes sent in all. */
        synchronized long allBytes() {
            return allBytes;
        }
    }

    PrefillRoom(SocketPrefillTransfer owner, long room) {
        this.owner = owner;
        this.room = room;
        this.deadline = System.nanoTime() + owner.options().bootstrapTimeout().toNanos();
    }

    @Override
    public long room() {
        return room;
    }

    /** The scheduler has the request; false when it already had. */
    synchronized boolean claim() {
        if (claimed) {
            return false;
        }
        claimed = true;
        deadline = System.nanoTime() + owner.options().bootstrapTimeout().toNanos();
        advance();
        return true;
    }

    boolean isClaimed() {
        return claimed;
    }

    /**
     * A decode rank told its pages.
     *
     * @return null, or why it cannot be
     */
    synchronized @Nullable String opened(PrefillConnection connection, int pairsOfRoom, int[] pages) {
        if (state == KvPoll.FAILED) {
            return failure;
        }
        String other = instance;
        if (other != null && !other.equals(connection.instance())) {
            return "bootstrap_room " + room + " is in use by another decode server; a retry needs a new room";
        }
        if (state != KvPoll.BOOTSTRAPPING || targets.containsKey(connection)) {
            return "bootstrap_room " + room + " was opened twice; a retry needs a new room";
        }
        if (pairsOfRoom < 1 || (pairs != 0 && pairs != pairsOfRoom)) {
            return "the decode ranks disagree about the parts of room " + room + ": " + pairs + " and " + pairsOfRoom;
        }
        instance = connection.instance();
        pairs = pairsOfRoom;
        targets.put(connection, new Target(pages));
        advance();
        return null;
    }

    /** Another decode server cannot end what this one has opened. */
    synchronized boolean isOpenTo(PrefillConnection connection) {
        return instance == null || instance.equals(connection.instance());
    }

    synchronized boolean has(PrefillConnection connection) {
        return targets.containsKey(connection);
    }

    private void advance() {
        if (claimed && state == KvPoll.BOOTSTRAPPING && pairs > 0 && targets.size() == pairs) {
            state = KvPoll.WAITING_FOR_INPUT;
        }
    }

    @Override
    public KvPoll poll() {
        KvPoll now = state;
        if (!now.isFinal() && System.nanoTime() - deadline > 0) {
            if (now == KvPoll.BOOTSTRAPPING) {
                fail(timeout(owner.options().bootstrapTimeout(), "KVPoll.Bootstrapping"), null);
            } else if (finished) {
                fail(timeout(owner.options().waitingTimeout(), "KVPoll.Transferring"), null);
            }
        }
        return state;
    }

    private String timeout(Duration after, String where) {
        return "Request " + room + " timed out after " + after.toMillis() / 1000.0 + "s in " + where;
    }

    @Override
    public synchronized @Nullable String failure() {
        return failure;
    }

    @Override
    public void send(int rank, int fromLayer, int toLayer, int firstPage, int[] pages, long mark) {
        if (pages.length == 0 || fromLayer == toLayer) {
            return;
        }
        List<Map.Entry<PrefillConnection, Target>> receivers = new ArrayList<>();
        int shortOf = -1;
        synchronized (this) {
            if (state.isFinal()) {
                return;
            }
            if (state == KvPoll.BOOTSTRAPPING || finished) {
                throw new IllegalStateException("pages of room " + room + " sent in state " + state);
            }
            state = KvPoll.TRANSFERRING;
            for (var entry : targets.entrySet()) {
                if (entry.getKey().rank() == rank) {
                    if (firstPage + pages.length > entry.getValue().pages.length) {
                        shortOf = entry.getValue().pages.length;
                    }
                    receivers.add(entry);
                }
            }
        }
        if (shortOf >= 0) {
            fail(
                    "the decode server reserved " + shortOf + " pages, the prompt needs at least "
                            + (firstPage + pages.length),
                    null);
            return;
        }
        for (var entry : receivers) {
            PrefillConnection.Job job = new PrefillConnection.Pages(
                    this, entry.getValue(), pass, fromLayer, toLayer, firstPage, pages, mark);
            if (!entry.getKey().offer(job)) {
                fail("the send queue to decode server " + entry.getKey().peer() + " is full", null);
            }
        }
    }

    @Override
    public synchronized void restart() {
        if (!state.isFinal() && !finished) {
            pass++;
            targets.values().forEach(target -> target.begin(pass));
        }
    }

    @Override
    public void finish(AuxRecord aux) {
        synchronized (this) {
            if (state.isFinal() || finished) {
                return;
            }
            state = KvPoll.TRANSFERRING;
            finished = true;
            deadline = System.nanoTime() + owner.options().waitingTimeout().toNanos();
        }
        for (var entry : targets.entrySet()) {
            if (!entry.getKey().offer(new PrefillConnection.Done(this, entry.getValue(), aux))) {
                fail("the send queue to decode server " + entry.getKey().peer() + " is full", null);
            }
        }
    }

    /** Before the bytes of this room are read; false when it failed. Pairs with {@link #endCopy}. */
    boolean beginCopy() {
        copying.incrementAndGet();
        if (state == KvPoll.FAILED) {
            copying.decrementAndGet();
            return false;
        }
        return true;
    }

    /** Whether pages of this pass still matter. */
    boolean wants(int ofPass) {
        return ofPass == pass && state != KvPoll.FAILED;
    }

    boolean isFailed() {
        return state == KvPoll.FAILED;
    }

    void endCopy(Target target, int ofPass, long bytes) {
        target.sent(ofPass, bytes);
        sentBytes.addAndGet(bytes);
        copying.decrementAndGet();
    }

    /** A decode rank has everything. */
    synchronized void received(PrefillConnection connection) {
        Target target = targets.get(connection);
        if (target == null || state.isFinal()) {
            return;
        }
        target.received = true;
        if (finished && targets.values().stream().allMatch(t -> t.received)) {
            state = KvPoll.SUCCESS;
        }
    }

    /**
     * Ends the room with an error and tells every decode rank that opened it.
     *
     * @param source the connection that brought the bad news and must not be told; null for none
     */
    void fail(String reason, @Nullable PrefillConnection source) {
        List<PrefillConnection> told = new ArrayList<>();
        boolean forget;
        synchronized (this) {
            if (state.isFinal()) {
                return;
            }
            failure = reason;
            state = KvPoll.FAILED;
            for (PrefillConnection connection : targets.keySet()) {
                if (connection != source) {
                    told.add(connection);
                }
            }
            forget = !claimed;
        }
        for (PrefillConnection connection : told) {
            connection.tell(FrameType.FAILED, room, reason);
        }
        if (forget || targets.isEmpty()) {
            owner.remember(room, reason, source != null);
        }
        if (forget) {
            owner.remove(this);
        }
    }

    /** An unclaimed room whose request never came. */
    void expire() {
        if (!claimed && System.nanoTime() - deadline > 0) {
            fail(
                    "no request with bootstrap_room " + room + " arrived at the "
                            + owner.options().server() + " within "
                            + owner.options().bootstrapTimeout().toMillis() / 1000.0 + "s",
                    null);
        }
    }

    @Override
    public void abort(String reason) {
        fail(reason, null);
    }

    @Override
    public boolean released() {
        return state == KvPoll.SUCCESS || (state == KvPoll.FAILED && copying.get() == 0);
    }

    @Override
    public long sentBytes() {
        return sentBytes.get();
    }

    @Override
    public void close() {
        fail("closed", null);
        owner.remove(this);
        for (PrefillConnection connection : targets.keySet()) {
            connection.forget(this);
        }
    }
}
