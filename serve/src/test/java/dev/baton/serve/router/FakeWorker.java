package dev.baton.serve.router;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/** A worker on an ephemeral port whose answers a test writes byte by byte; {@code /health} is always good. */
final class FakeWorker implements AutoCloseable {
    /** One request as it arrived. */
    record Request(String method, String path, Map<String, String> headers, String body) {}

    /** Answers one request; an answer that was not ended closes the connection. */
    interface Handler {
        void handle(Request request, Exchange exchange) throws IOException, InterruptedException;
    }

    /** The way back. */
    static final class Exchange {
        private final InputStream in;
        private final OutputStream out;
        private boolean keepAlive;

        Exchange(InputStream in, OutputStream out) {
            this.in = in;
            this.out = out;
        }

        /** Closes the connection after the answer although the answer said it would stay. */
        void hangUp() {
            keepAlive = false;
        }

        /** Returns when the other side has closed. */
        void awaitClosed() {
            try {
                while (in.read() >= 0) {
                    // Nothing is expected any more.
                }
            } catch (IOException e) {
                // A reset is a close too.
            }
        }

        void raw(String text) throws IOException {
            out.write(text.getBytes(StandardCharsets.UTF_8));
            out.flush();
        }

        void answer(int status, String type, String body) throws IOException {
            keepAlive = true;
            raw("HTTP/1.1 " + status + " X\r\nContent-Type: " + type + "\r\nContent-Length: "
                    + body.getBytes(StandardCharsets.UTF_8).length + "\r\n\r\n" + body);
        }

        void json(int status, String body) throws IOException {
            answer(status, "application/json", body);
        }

        void startStream() throws IOException {
            raw(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n");
        }

        void event(String data) throws IOException {
            chunk("data: " + data + "\n\n");
        }

        void chunk(String text) throws IOException {
            int length = text.getBytes(StandardCharsets.UTF_8).length;
            raw(Integer.toHexString(length) + "\r\n" + text + "\r\n");
        }

        void endStream() throws IOException {
            keepAlive = true;
            raw("0\r\n\r\n");
        }
    }

    private final ServerSocket socket;
    private final Handler handler;
    private final List<Request> requests = new CopyOnWriteArrayList<>();
    private final Set<Socket> open = ConcurrentHashMap.newKeySet();
    private final AtomicInteger connections = new AtomicInteger();
    private volatile boolean healthy = true;

    FakeWorker(Handler handler) {
        this.handler = handler;
        try {
            socket = new ServerSocket(0, 1024, InetAddress.getLoopbackAddress());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        Thread.ofVirtual().start(this::accept);
    }

    String url() {
        return "http://127.0.0.1:" + socket.getLocalPort();
    }

    void healthy(boolean value) {
        healthy = value;
    }

    /** Requests other than health checks. */
    List<Request> requests() {
        return requests;
    }

    int connections() {
        return connections.get();
    }

    private void accept() {
        while (!socket.isClosed()) {
            try {
                Socket client = socket.accept();
                client.setTcpNoDelay(true);
                open.add(client);
                connections.incrementAndGet();
                Thread.ofVirtual().start(() -> serve(client));
            } catch (IOException e) {
                return;
            }
        }
    }

    private void serve(Socket client) {
        try (client) {
            InputStream in = new BufferedInputStream(client.getInputStream());
            for (Request request; (request = read(in)) != null; ) {
                Exchange exchange = new Exchange(in, client.getOutputStream());
                if (request.path().equals("/health")) {
                    exchange.json(healthy ? 200 : 503, "");
                } else {
                    requests.add(request);
                    handler.handle(request, exchange);
                }
                if (!exchange.keepAlive) {
                    return;
                }
            }
        } catch (IOException | InterruptedException e) {
            // The router went away or the worker is closing; tests look at the client's side.
        } finally {
            open.remove(client);
        }
    }

    private static @Nullable Request read(InputStream in) throws IOException {
        String first = line(in);
        if (first == null || first.isEmpty()) {
            return null;
        }
        Map<String, String> headers = new TreeMap<>();
        for (String line; (line = line(in)) != null && !line.isEmpty(); ) {
            int colon = line.indexOf(':');
            headers.put(
                    line.substring(0, colon).toLowerCase(Locale.ROOT),
                    line.substring(colon + 1).strip());
        }
        int length = Integer.parseInt(headers.getOrDefault("content-length", "0"));
        String body = new String(in.readNBytes(length), StandardCharsets.UTF_8);
        String[] parts = first.split(" ");
        return new Request(parts[0], parts[1], headers, body);
    }

    private static @Nullable String line(InputStream in) throws IOException {
        StringBuilder line = new StringBuilder();
        for (int c; (c = in.read()) != '\n'; ) {
            if (c < 0) {
                return null;
            }
            if (c != '\r') {
                line.append((char) c);
            }
        }
        return line.toString();
    }

    /** The process dies: every connection is closed at once. */
    @Override
    public void close() {
        try {
            socket.close();
            for (Socket client : open) {
                client.close();
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
