package dev.baton.engine.disagg.transfer;

import java.time.Duration;

/**
 * How an endpoint behaves.
 *
 * @param backend how pages travel
 * @param server name of this server in the peer's messages, e.g. {@code prefill server 10.0.0.1:30000}
 * @param listenHost address to listen on (prefill)
 * @param handshakeTimeout connecting and agreeing with a peer
 * @param bootstrapTimeout prefill: until the decode server has told its pages; decode: until the prefill server is found
 * @param waitingTimeout decode: from the reservation to success; prefill: from the end of the pages to the confirmation
 * @param stallTimeout a connection on which nothing moves for so long in the middle of a message is given up
 * @param maxRooms rooms that one endpoint holds at most
 */
public record TransferOptions(
        TransferBackend backend,
        String server,
        String listenHost,
        Duration handshakeTimeout,
        Duration bootstrapTimeout,
        Duration waitingTimeout,
        Duration stallTimeout,
        int maxRooms) {
    public static TransferOptions defaults(TransferBackend backend, String server) {
        return new TransferOptions(
                backend,
                server,
                "127.0.0.1",
                Duration.ofSeconds(10),
                Duration.ofSeconds(300),
                Duration.ofSeconds(300),
                Duration.ofSeconds(60),
                65_536);
    }

    public TransferOptions withTimeouts(Duration bootstrap, Duration waiting, Duration stall) {
        return new TransferOptions(backend, server, listenHost, handshakeTimeout, bootstrap, waiting, stall, maxRooms);
    }

    public TransferOptions withListenHost(String host) {
        return new TransferOptions(
                backend, server, host, handshakeTimeout, bootstrapTimeout, waitingTimeout, stallTimeout, maxRooms);
    }
}
