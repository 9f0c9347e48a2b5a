package dev.baton.serve.http;

/**
 * What a server takes from one client.
 *
 * @param bodyBytes largest request body; more is 413
 * @param requestLineBytes longest request line; more is 414
 * @param headerBytes all headers of a request; more is 431
 * @param connections open connections; more get 503 and are closed
 * @param pipelined requests of one connection that may wait for the one before; then reading stops
 * @param keepAliveSeconds how long a connection may be idle between requests
 * @param receiveSeconds how long a request may take to arrive without a byte of progress
 * @param stallSeconds how long a client may leave a reply unread without a byte of progress; then it is closed and its
 *     requests are aborted
 * @param unsentBytes bytes of a streamed reply waiting for the client above which frames are merged instead of queued
 * @param abortUnsentBytes bytes waiting for one client above which it is closed and its requests are aborted
 */
public record HttpLimits(
        int bodyBytes,
        int requestLineBytes,
        int headerBytes,
        int connections,
        int pipelined,
        int keepAliveSeconds,
        int receiveSeconds,
        int stallSeconds,
        int unsentBytes,
        int abortUnsentBytes) {

    /** 64 MiB bodies, 75 s keep-alive (longer than clients' pools, so that the client closes first), 30 s stalls. */
    public static final HttpLimits DEFAULT =
            new HttpLimits(64 << 20, 16 << 10, 64 << 10, 16_384, 16, 75, 60, 30, 128 << 10, 64 << 20);

    public HttpLimits withBodyBytes(int bytes) {
        return new HttpLimits(
                bytes,
                requestLineBytes,
                headerBytes,
                connections,
                pipelined,
                keepAliveSeconds,
                receiveSeconds,
                stallSeconds,
                unsentBytes,
                abortUnsentBytes);
    }

    public HttpLimits withConnections(int count) {
        return new HttpLimits(
                bodyBytes,
                requestLineBytes,
                headerBytes,
                count,
                pipelined,
                keepAliveSeconds,
                receiveSeconds,
                stallSeconds,
                unsentBytes,
                abortUnsentBytes);
    }

    /** Seconds of silence: between requests, while a request arrives, while a reply is not read. */
    public HttpLimits withSeconds(int keepAlive, int receive, int stall) {
        return new HttpLimits(
                bodyBytes,
                requestLineBytes,
                headerBytes,
                connections,
                pipelined,
                keepAlive,
                receive,
                stall,
                unsentBytes,
                abortUnsentBytes);
    }

    public HttpLimits withUnsentBytes(int merge, int abort) {
        return new HttpLimits(
                bodyBytes,
                requestLineBytes,
                headerBytes,
                connections,
                pipelined,
                keepAliveSeconds,
                receiveSeconds,
                stallSeconds,
                merge,
                abort);
    }
}
