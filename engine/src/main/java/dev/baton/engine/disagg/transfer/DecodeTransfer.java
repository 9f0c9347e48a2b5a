package dev.baton.engine.disagg.transfer;

import dev.baton.engine.request.EngineRequest.Bootstrap;

/** The decode side of one data-parallel group: the rooms of its requests. Thread-safe. */
public interface DecodeTransfer extends AutoCloseable {
    /**
     * Begins a room: looks the prefill server up and connects to it in the background.
     *
     * @throws dev.baton.engine.EngineException INVALID_REQUEST when the room is in use on this server
     */
    KvReceiver open(Bootstrap bootstrap);

    /** There will be no such room (its request was refused): tells the prefill server, as far as it can be reached. */
    void refuse(Bootstrap bootstrap, String reason);

    /** Rooms that are not closed. */
    int liveRooms();

    /** Fails every room and closes every connection. */
    @Override
    void close();
}
