package dev.baton.serve.http;

import dev.baton.serve.ServeException;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Finds the handler of a path and method. Filled before the server starts, then only read. */
public final class Routes implements HttpHandler {
    private static final String PREFLIGHT_METHODS = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT";

    private final Map<String, Map<String, HttpHandler>> exact = new HashMap<>();
    private final Map<String, Map<String, HttpHandler>> prefixes = new LinkedHashMap<>();

    /** A path, served for these methods (separated by a blank). */
    public Routes add(String methods, String path, HttpHandler handler) {
        add(exact, methods, path, handler);
        return this;
    }

    /** Every path that begins so and goes on. */
    public Routes addPrefix(String methods, String prefix, HttpHandler handler) {
        add(prefixes, methods, prefix, handler);
        return this;
    }

    private static void add(
            Map<String, Map<String, HttpHandler>> table, String methods, String path, HttpHandler handler) {
        for (String method : methods.split(" ")) {
            if (table.computeIfAbsent(path, p -> new HashMap<>()).put(method, handler) != null) {
                throw new IllegalStateException(method + " " + path + " is there twice");
            }
        }
    }

    /** Paths served, for messages and tests. */
    public List<String> paths() {
        return exact.keySet().stream().sorted().toList();
    }

    /** The path as a metric's label: a prefix route stands for all its paths, anything else is "unmatched". */
    public String label(String path) {
        if (exact.containsKey(path)) {
            return path;
        }
        for (String prefix : prefixes.keySet()) {
            if (path.startsWith(prefix)) {
                return prefix + "{name}";
            }
        }
        return "unmatched";
    }

    @Override
    public boolean isQuick(Exchange exchange) {
        Map<String, HttpHandler> methods = exact.get(exchange.path());
        HttpHandler handler = methods == null ? null : methods.get(exchange.method());
        return handler != null && handler.isQuick(exchange);
    }

    @Override
    public void handle(Exchange exchange) throws Exception {
        if (isPreflight(exchange)) {
            preflight(exchange);
            return;
        }
        Map<String, HttpHandler> methods = find(exchange.path());
        if (methods == null) {
            throw new ServeException(ServeException.Code.NOT_FOUND, "Not Found");
        }
        HttpHandler handler = methods.get(exchange.method());
        if (handler == null) {
            throw new ServeException(ServeException.Code.METHOD_NOT_ALLOWED, "Method Not Allowed");
        }
        handler.handle(exchange);
    }

    private @Nullable Map<String, HttpHandler> find(String path) {
        Map<String, HttpHandler> found = exact.get(path);
        if (found != null) {
            return found;
        }
        for (var entry : prefixes.entrySet()) {
            if (path.startsWith(entry.getKey())
                    && path.length() > entry.getKey().length()) {
                return entry.getValue();
            }
        }
        return null;
    }

    private static boolean isPreflight(Exchange exchange) {
        return exchange.method().equals("OPTIONS")
                && exchange.headers().contains("origin")
                && exchange.headers().contains("access-control-request-method");
    }

    private static void preflight(Exchange exchange) {
        Map<String, String> headers = new LinkedHashMap<>();
        headers.put("access-control-allow-methods", PREFLIGHT_METHODS);
        headers.put("access-control-max-age", "600");
        String wanted = exchange.headers().get("access-control-request-headers");
        if (wanted != null) {
            headers.put("access-control-allow-headers", wanted);
        }
        exchange.respond(200, Exchange.TEXT, new byte[] {'O', 'K'}, 2, headers);
    }
}
