package dev.baton.lab.view;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import dev.baton.lab.LabException;
import dev.baton.trace.align.RankSet;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.zip.GZIPOutputStream;
import org.jspecify.annotations.Nullable;

/**
 * Serves the traces of some ranks as a page on this machine alone. The page asks for what its screen can show of one step,
 * so what travels does not grow with the traces.
 */
public final class TraceView implements AutoCloseable {
    private static final Map<String, String> FILES = Map.of(
            "/", "view.html",
            "/view.js", "view.js",
            "/uPlot.js", "uPlot.js",
            "/uPlot.css", "uPlot.css");

    private final HttpServer server;
    private final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();

    private TraceView(HttpServer server) {
        this.server = server;
    }

    /**
     * Starts serving.
     *
     * @param port 0 for any free one
     * @throws LabException IO when the port is taken
     */
    public static TraceView start(RankSet set, List<String> notes, int port) {
        HttpServer server;
        try {
            server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 0);
        } catch (IOException e) {
            throw new LabException(LabException.Code.IO, "cannot listen on port " + port + ": " + e.getMessage(), e);
        }
        TraceView view = new TraceView(server);
        ViewData data = new ViewData(set, notes);
        server.createContext("/", exchange -> answer(exchange, data));
        server.setExecutor(view.threads);
        server.start();
        return view;
    }

    /** Where the page is. */
    public URI url() {
        return URI.create("http://127.0.0.1:" + server.getAddress().getPort() + "/");
    }

    private static void answer(HttpExchange exchange, ViewData data) throws IOException {
        try (exchange) {
            String path = exchange.getRequestURI().getPath();
            String query = exchange.getRequestURI().getRawQuery();
            String file = FILES.get(path);
            if (file != null) {
                send(exchange, type(file), resource(file));
            } else {
                byte[] json = switch (path) {
                    case "/ranks" -> data.ranks();
                    case "/step" ->
                        data.step(
                                (int) number(query, "index"),
                                number(query, "from"),
                                number(query, "to"),
                                (int) number(query, "blocks"),
                                text(query, "pick"));
                    case "/at" ->
                        data.at(
                                (int) number(query, "index"),
                                (int) number(query, "row"),
                                (int) number(query, "lane"),
                                number(query, "time"),
                                number(query, "slack"));
                    case "/kernel" ->
                        data.kernel(
                                text(query, "name"), (int) number(query, "index"), (int) number(query, "occurrence"));
                    default -> new byte[0];
                };
                if (json.length == 0) {
                    exchange.sendResponseHeaders(404, -1);
                } else {
                    send(exchange, "application/json", json);
                }
            }
        }
    }

    private static String type(String file) {
        return file.endsWith(".js")
                ? "text/javascript"
                : file.endsWith(".css") ? "text/css" : "text/html; charset=utf-8";
    }

    private static byte[] resource(String name) throws IOException {
        try (InputStream in = TraceView.class.getResourceAsStream(name)) {
            if (in == null) {
                throw new IOException("no resource " + name);
            }
            return in.readAllBytes();
        }
    }

    private static void send(HttpExchange exchange, String type, byte[] body) throws IOException {
        ByteArrayOutputStream packed = new ByteArrayOutputStream();
        try (GZIPOutputStream gzip = new GZIPOutputStream(packed)) {
            gzip.write(body);
        }
        exchange.getResponseHeaders().set("Content-Type", type);
        exchange.getResponseHeaders().set("Content-Encoding", "gzip");
        exchange.sendResponseHeaders(200, packed.size());
        packed.writeTo(exchange.getResponseBody());
    }

    private static double number(@Nullable String query, String key) {
        try {
            return Double.parseDouble(text(query, key));
        } catch (NumberFormatException e) {
            return -1;
        }
    }

    private static String text(@Nullable String query, String key) {
        for (String part : query == null ? new String[0] : query.split("&")) {
            if (part.startsWith(key + "=")) {
                return URLDecoder.decode(part.substring(key.length() + 1), StandardCharsets.UTF_8);
            }
        }
        return "";
    }

    @Override
    public void close() {
        server.stop(0);
        threads.shutdownNow();
    }
}
