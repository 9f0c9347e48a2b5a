package dev.baton.engine.disagg.transfer;

import java.net.InetSocketAddress;

/** The prefill side of one data-parallel group: the rooms of its requests. Thread-safe. */
public interface PrefillTransfer extends AutoCloseable {
    /** Where decode servers connect; what registration tells the bootstrap server. */
    InetSocketAddress address();

    /**
     * Begins a room.
     *
     * @throws dev.baton.engine.EngineException INVALID_REQUEST when the room is in use on this server
     */
    KvSender open(long room);

    /** There will be no such room (its request was refused): tells the decode server now or when it asks. */
    void refuse(long room, String reason);

    /** Rooms that are not closed. */
    int liveRooms();

    /** Fails every room and stops listening. */
    @Override
    void close();
}
