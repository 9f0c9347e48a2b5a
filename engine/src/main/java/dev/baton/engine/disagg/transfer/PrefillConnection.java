package dev.baton.engine.disagg.transfer;

import dev.baton.engine.disagg.transfer.FrameChannel.Frame;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/**
 * A decode rank's connection to a rank of this prefill server. One thread reads control messages; another one, the only
 * writer, takes jobs in order: it copies pages (into the decode server's memory, or into the socket) and sends what
 * ends a room. A FAILED, ABORTED or DONE therefore says that no copy of that room follows or is under way.
 */
final class PrefillConnection {
    private static final System.Logger LOG = System.getLogger("dev.baton.engine.disagg");
    private static final int QUEUE_JOBS = 1 << 16;

    private final SocketPrefillTransfer owner;
    private final FrameChannel channel;
    private final BlockingQueue<Job> queue = new LinkedBlockingQueue<>(QUEUE_JOBS);
    private final Map<Long, PrefillRoom> rooms = new ConcurrentHashMap<>();
    private final AtomicBoolean closing = new AtomicBoolean();
    private final long acceptedNanos = System.nanoTime();
    private volatile @Nullable Agreed agreed;
    private volatile @Nullable Thread writer;

    sealed interface Job {}

    /**
     * Pages of some layers.
     *
     * @param mark what the rank's device passes when they are written
     */
    record Pages(
            PrefillRoom room,
            PrefillRoom.Target target,
            int pass,
            int fromLayer,
            int toLayer,
            int firstPage,
            int[] pages,
            long mark)
            implements Job {
        /** Whether other layers of the same pages are meant. */
        boolean isLike(Pages other) {
            return target == other.target && pass == other.pass && firstPage == other.firstPage && pages == other.pages;
        }
    }

    /** Every page of the room is sent. */
    record Done(PrefillRoom room, PrefillRoom.Target target, AuxRecord aux) implements Job {}

    /** Nothing more comes: send what was queued and end. */
    record End() implements Job {}

    /** A message about a room. */
    record Control(FrameType type, long room, String text) implements Job {}

    /** What the handshake fixed. */
    private record Agreed(Handshake.Hello hello, PageSender sender) {}

    PrefillConnection(SocketPrefillTransfer owner, FrameChannel channel) {
        this.owner = owner;
        this.channel = channel;
    }

    void start() {
        Thread.ofPlatform().daemon().name("kv-prefill-reader").start(this::read);
    }

    int rank() {
        return agreed().hello.prefillRank();
    }

    String instance() {
        return agreed().hello.instance();
    }

    String peer() {
        Agreed a = agreed;
        return a == null ? "unknown" : a.hello.server();
    }

    private Agreed agreed() {
        Agreed a = agreed;
        if (a == null) {
            throw new IllegalStateException("the handshake is not done");
        }
        return a;
    }

    /** Queues a job; false when the queue is full. Jobs of a closing connection are dropped. */
    boolean offer(Job job) {
        return queue.offer(job) || closing.get();
    }

    /** Queues a message about a room; without a place for it the peer could wait for ever, so the connection ends. */
    void tell(FrameType type, long room, String text) {
        if (!offer(new Control(type, room, text))) {
            fail("the queue of messages to it is full");
        }
    }

    void forget(PrefillRoom room) {
        rooms.remove(room.room(), room);
    }

    private void read() {
        String reason = "the decode server closed the connection";
        try {
            Frame first = channel.read();
            if (first == null) {
                return;
            }
            if (first.type() != FrameType.HELLO) {
                throw new IOException("the first message is " + first.type() + ", not HELLO");
            }
            if (!agree(Handshake.hello(first.text()))) {
                return;
            }
            writer = Thread.ofPlatform().daemon().name("kv-send-" + rank()).start(this::writeJobs);
            for (Frame frame = channel.read(); frame != null; frame = channel.read()) {
                handle(frame);
            }
        } catch (IOException | RuntimeException e) {
            reason = String.valueOf(e.getMessage());
        } finally {
            fail(reason);
            if (writer == null) {
                closeChannel();
            }
        }
    }

    /** Checks what the decode rank wants and answers it; false when refused. */
    private boolean agree(Handshake.Hello hello) throws IOException {
        String refusal = refusal(hello);
        PageRoute route = null;
        if (refusal == null) {
            try {
                route = PageRoute.choose(owner.options(), owner.regions().get(hello.prefillRank()), hello, channel);
            } catch (IOException e) {
                refusal = "direct writes were asked for (shm) but cannot be done: " + e.getMessage();
            }
        }
        if (route == null) {
            LOG.log(Level.WARNING, "Refused decode server {0}: {1}", hello.server(), refusal);
            channel.write(FrameType.REFUSED, 0, FrameChannel.text(String.valueOf(refusal)));
            channel.flush();
            return false;
        }
        agreed = new Agreed(hello, route.sender());
        channel.write(
                FrameType.WELCOME,
                0,
                Handshake.encode(new Handshake.Welcome(owner.options().server(), route.direct(), route.echo())));
        channel.flush();
        LOG.log(
                Level.INFO,
                "KV transfer to {0} rank {1} from rank {2}: {3}",
                hello.server(),
                hello.decodeRank(),
                hello.prefillRank(),
                route.name());
        return true;
    }

    private @Nullable String refusal(Handshake.Hello hello) {
        TransferBackend own = owner.options().backend();
        TransferBackend other = hello.backend();
        boolean conflict = (own == TransferBackend.TCP && other == TransferBackend.SHM)
                || (own == TransferBackend.SHM && other == TransferBackend.TCP);
        if (conflict) {
            return "--disaggregation-transfer-backend differs: prefill server has " + own + ", decode server has "
                    + other;
        }
        KvRegion region = owner.regions().find(hello.prefillRank());
        if (region == null) {
            return "prefill rank " + hello.prefillRank() + " does not exist here: this server has "
                    + owner.regions().shares().size() + " ranks, here are "
                    + new TreeSet<>(owner.regions().here().keySet());
        }
        KvLayout layout = region.layout();
        String mismatch = KvLayout.mismatch(layout, hello.layout());
        if (mismatch != null) {
            return mismatch;
        }
        if (hello.part().heads() == 0) {
            // It only tells where its rooms are.
            return null;
        }
        LayerRange layers = hello.part().layers();
        if (!layout.held().containsAll(layers) || !hello.layout().held().containsAll(layers)) {
            return "layers " + layers + " are not on both ranks: this one has " + layout.held() + ", the decode rank "
                    + hello.layout().held();
        }
        int first = hello.part().firstHead();
        int end = first + hello.part().heads();
        HeadShare mine = layout.heads();
        HeadShare theirs = hello.layout().heads();
        if (hello.part().heads() < 0
                || first < Math.max(mine.first(), theirs.first())
                || end > Math.min(mine.end(), theirs.end())) {
            return "heads [" + first + ", " + end + ") are not on both ranks";
        }
        return null;
    }

    private void handle(Frame frame) throws IOException {
        switch (frame.type()) {
            case OPEN -> open(frame);
            case RECEIVED -> {
                PrefillRoom room = rooms.get(frame.room());
                if (room != null) {
                    room.received(this);
                }
            }
            case ABORT -> {
                owner.aborted(frame.room(), this, frame.text());
                tell(FrameType.ABORTED, frame.room(), "");
            }
            case HELLO, WELCOME, REFUSED, DATA, DONE, FAILED, ABORTED ->
                throw new IOException("unexpected message " + frame.type());
        }
    }

    private void open(Frame frame) throws IOException {
        ByteBuffer body = frame.body();
        if (body.remaining() < 4 || body.remaining() % 4 != 0) {
            throw new IOException("malformed OPEN of " + body.remaining() + " bytes");
        }
        int pairs = body.getInt();
        int[] pages = new int[body.remaining() / 4];
        for (int i = 0; i < pages.length; i++) {
            pages[i] = body.getInt();
            if (pages[i] < 0 || pages[i] >= agreed().hello.pages()) {
                throw new IOException("page " + pages[i] + " of room " + frame.room() + " is outside the pool of "
                        + agreed().hello.pages() + " pages");
            }
        }
        String refusal = owner.opened(frame.room(), this, pairs, pages);
        if (refusal != null) {
            tell(FrameType.FAILED, frame.room(), refusal);
        }
    }

    /** Before the room's own monitor knows this connection, so that its loss reaches the room. */
    void register(PrefillRoom room) {
        rooms.put(room.room(), room);
        if (closing.get()) {
            room.fail("the connection to decode server " + peer() + " was lost", this);
        }
    }

    private void writeJobs() {
        String reason = "closed";
        PageSender sender = agreed().sender;
        try {
            new SendLoop(
                            this,
                            queue,
                            channel,
                            sender,
                            closing,
                            owner.times(),
                            owner.options().waitingTimeout())
                    .run();
        } catch (IOException | RuntimeException e) {
            reason = "sending to it failed: " + e.getMessage();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            fail(reason);
            try {
                sender.close();
            } finally {
                closeChannel();
            }
        }
    }

    /**
     * Gives the connection up: its rooms fail now. The socket closes when the writer is out of any copy, because its
     * end tells the decode server that its memory is not written any more.
     */
    void fail(String reason) {
        if (!closing.compareAndSet(false, true)) {
            return;
        }
        if (agreed != null && !owner.isClosed()) {
            LOG.log(Level.INFO, "Connection to decode server {0} ended: {1}", peer(), reason);
        }
        for (PrefillRoom room : rooms.values()) {
            room.fail("connection to decode server " + peer() + " was lost: " + reason, this);
        }
        if (agreed == null || channel.isWriting()) {
            // A writer inside a socket write meets the closing flag before it copies again.
            closeChannel();
        }
        owner.removed(this);
    }

    /** Sends what is queued, gives the connection up and waits until no copy is under way. */
    void end(Duration limit) {
        Thread thread = writer;
        if (thread != null) {
            offer(new End());
            try {
                thread.join(limit);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
        fail("shut down");
        if (thread != null && channel.isWriting()) {
            closeChannel();
        }
    }

    /** Called regularly: a peer that takes or gives nothing in the middle of a message is given up. */
    void checkStalled() {
        TransferOptions options = owner.options();
        if (channel.stalledNanos() > options.stallTimeout().toNanos()) {
            fail("nothing moved for " + options.stallTimeout().toSeconds() + " s");
        } else if (agreed == null
                && System.nanoTime() - acceptedNanos
                        > options.handshakeTimeout().toNanos()) {
            fail("no handshake within " + options.handshakeTimeout().toSeconds() + " s");
        } else if (closing.get() && channel.isWriting()) {
            closeChannel();
        }
    }

    private void closeChannel() {
        try {
            channel.close();
        } catch (IOException e) {
            LOG.log(Level.DEBUG, "closing the connection to {0}: {1}", peer(), e);
        }
    }
}
