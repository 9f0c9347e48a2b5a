package dev.baton.engine.disagg.transfer;

import dev.baton.engine.EngineException;
import dev.baton.engine.request.EngineRequest.Bootstrap;
import java.lang.foreign.MemorySegment;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * A prefill and a decode group in one process, without sockets or threads: pages are copied by the thread that sends
 * them, so every step happens exactly when it is called. For tests and simulations of the schedulers.
 */
public final class InProcessTransfer {
    private final List<KvRegion> source;
    private final List<KvRegion> target;
    private final List<Link> links = new ArrayList<>();
    private final Map<Long, Room> rooms = new ConcurrentHashMap<>();
    private final Prefill prefill = new Prefill();
    private final Decode decode = new Decode();

    private record Link(CachePairing.Part part, int decodeRank, PageCopy[] copies) {}

    /**
     * @throws EngineException CONFIGURATION when the two caches do not fit together
     */
    public InProcessTransfer(List<KvRegion> source, List<KvRegion> target) {
        this.source = List.copyOf(source);
        this.target = List.copyOf(target);
        List<CacheShare> held = KvRegions.all(source).shares();
        List<CacheShare> wanted = KvRegions.all(target).shares();
        for (int rank = 0; rank < target.size(); rank++) {
            KvLayout to = target.get(rank).layout();
            String mismatch = KvLayout.mismatch(source.getFirst().layout(), to);
            if (mismatch != null) {
                throw new EngineException(EngineException.Code.CONFIGURATION, mismatch);
            }
            for (CachePairing.Part part : CachePairing.parts(wanted, rank, held)) {
                KvLayout from = source.get(part.prefillRank()).layout();
                links.add(new Link(part, rank, PageCopy.of(from, to, part)));
            }
        }
    }

    public PrefillTransfer prefill() {
        return prefill;
    }

    public DecodeTransfer decode() {
        return decode;
    }

    /** Both halves of a room; its monitor guards it. */
    private final class Room {
        final long id;

        @Nullable
        Sender sender;

        @Nullable
        Receiver receiver;

        int @Nullable [] pages;

        @Nullable
        AuxRecord aux;

        @Nullable
        String failure;

        boolean sending;

        Room(long id) {
            this.id = id;
        }

        synchronized void fail(String reason) {
            if (failure == null && aux == null) {
                failure = reason;
            }
        }

        synchronized void leave(boolean isSender) {
            fail("closed");
            if (isSender) {
                sender = null;
            } else {
                receiver = null;
            }
            if (sender == null && receiver == null) {
                rooms.remove(id, this);
            }
        }
    }

    private final class Prefill implements PrefillTransfer {
        @Override
        public InetSocketAddress address() {
            return InetSocketAddress.createUnresolved("in-process", 1);
        }

        @Override
        public KvSender open(long id) {
            Room room = rooms.computeIfAbsent(id, Room::new);
            synchronized (room) {
                if (room.sender != null) {
                    throw inUse(id);
                }
                Sender sender = new Sender(room);
                room.sender = sender;
                return sender;
            }
        }

        @Override
        public void refuse(long id, String reason) {
            rooms.computeIfAbsent(id, Room::new).fail(reason);
        }

        @Override
        public int liveRooms() {
            return (int)
                    rooms.values().stream().filter(room -> room.sender != null).count();
        }

        @Override
        public void close() {
            rooms.values().forEach(room -> room.fail("the prefill server is shutting down"));
        }
    }

    private final class Decode implements DecodeTransfer {
        @Override
        public KvReceiver open(Bootstrap bootstrap) {
            Room room = rooms.computeIfAbsent(bootstrap.room(), Room::new);
            synchronized (room) {
                if (room.receiver != null) {
                    throw inUse(bootstrap.room());
                }
                Receiver receiver = new Receiver(room);
                room.receiver = receiver;
                return receiver;
            }
        }

        @Override
        public void refuse(Bootstrap bootstrap, String reason) {
            rooms.computeIfAbsent(bootstrap.room(), Room::new).fail(reason);
        }

        @Override
        public int liveRooms() {
            return (int) rooms.values().stream()
                    .filter(room -> room.receiver != null)
                    .count();
        }

        @Override
        public void close() {
            rooms.values().forEach(room -> room.fail("the decode server is shutting down"));
        }
    }

    private static EngineException inUse(long id) {
        return new EngineException(
                EngineException.Code.INVALID_REQUEST,
                "bootstrap_room " + id + " is already in use on this server; a retry needs a new room");
    }

    private final class Sender implements KvSender {
        private final Room room;
        private final AtomicLong sentBytes = new AtomicLong();
        private long voidBytes;

        Sender(Room room) {
            this.room = room;
        }

        @Override
        public long room() {
            return room.id;
        }

        @Override
        public KvPoll poll() {
            synchronized (room) {
                if (room.failure != null) {
                    return KvPoll.FAILED;
                }
                if (room.aux != null) {
                    return KvPoll.SUCCESS;
                }
                if (room.sending) {
                    return KvPoll.TRANSFERRING;
                }
                return room.pages == null ? KvPoll.BOOTSTRAPPING : KvPoll.WAITING_FOR_INPUT;
            }
        }

        @Override
        public @Nullable String failure() {
            return room.failure;
        }

        @Override
        public void send(int rank, int fromLayer, int toLayer, int firstPage, int[] pages, long mark) {
            synchronized (room) {
                int[] reserved = room.pages;
                if (room.failure != null) {
                    return;
                }
                if (reserved == null || room.aux != null) {
                    throw new IllegalStateException("pages of room " + room.id + " sent in state " + poll());
                }
                if (firstPage + pages.length > reserved.length) {
                    room.fail("the decode server reserved " + reserved.length + " pages, the prompt needs at least "
                            + (firstPage + pages.length));
                    return;
                }
                room.sending = true;
                for (Link link : links) {
                    if (link.part.prefillRank() == rank) {
                        copy(link, fromLayer, toLayer, firstPage, pages, reserved);
                    }
                }
            }
        }

        private void copy(Link link, int fromLayer, int toLayer, int firstPage, int[] pages, int[] reserved) {
            KvRegion from = source.get(link.part.prefillRank());
            KvRegion to = target.get(link.decodeRank);
            for (int buffer = 0; buffer < link.copies.length; buffer++) {
                int layer = link.part.layer(buffer);
                if (layer < fromLayer || layer >= toLayer) {
                    continue;
                }
                MemorySegment fromBuffer = from.buffers().get(link.part.bufferIn(from.layout(), buffer));
                MemorySegment toBuffer = to.buffers().get(link.part.bufferIn(to.layout(), buffer));
                for (int i = 0; i < pages.length; i++) {
                    link.copies[buffer].copy(fromBuffer, pages[i], toBuffer, reserved[firstPage + i], 1);
                    sentBytes.addAndGet(link.copies[buffer].pageBytes());
                }
            }
        }

        @Override
        public void restart() {
            synchronized (room) {
                voidBytes = sentBytes.get();
            }
        }

        @Override
        public void finish(AuxRecord aux) {
            synchronized (room) {
                int[] reserved = room.pages;
                if (room.failure != null || reserved == null) {
                    return;
                }
                long expected = 0;
                for (Link link : links) {
                    for (PageCopy copy : link.copies) {
                        expected += copy.pageBytes() * reserved.length;
                    }
                }
                if (sentBytes.get() - voidBytes != expected) {
                    room.fail("sent " + (sentBytes.get() - voidBytes) + " bytes of the " + expected
                            + " that the decode server reserved");
                } else {
                    room.aux = aux;
                }
            }
        }

        @Override
        public void abort(String reason) {
            room.fail(reason);
        }

        @Override
        public boolean released() {
            return poll().isFinal();
        }

        @Override
        public long sentBytes() {
            return sentBytes.get();
        }

        @Override
        public void close() {
            room.leave(true);
        }
    }

    private static final class Receiver implements KvReceiver {
        private final Room room;

        Receiver(Room room) {
            this.room = room;
        }

        @Override
        public long room() {
            return room.id;
        }

        @Override
        public KvPoll poll() {
            synchronized (room) {
                if (room.failure != null) {
                    return KvPoll.FAILED;
                }
                if (room.aux != null) {
                    return KvPoll.SUCCESS;
                }
                return room.pages == null ? KvPoll.WAITING_FOR_INPUT : KvPoll.TRANSFERRING;
            }
        }

        @Override
        public @Nullable String failure() {
            return room.failure;
        }

        @Override
        public void reserve(int[] pages) {
            synchronized (room) {
                room.pages = pages.clone();
            }
        }

        @Override
        public AuxRecord aux() {
            AuxRecord record = room.aux;
            if (record == null) {
                throw new IllegalStateException("room " + room.id + " has no record in state " + poll());
            }
            return record;
        }

        @Override
        public void abort(String reason) {
            room.fail(reason);
        }

        @Override
        public boolean released() {
            return poll().isFinal();
        }

        @Override
        public void close() {
            room.leave(false);
        }
    }
}
