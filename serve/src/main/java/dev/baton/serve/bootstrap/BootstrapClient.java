package dev.baton.serve.bootstrap;

import dev.baton.protocol.request.RouteRegistration;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.ObjectMapper;

/** Asks a {@link BootstrapServer}; every call has a deadline. Safe for several threads. */
public final class BootstrapClient implements AutoCloseable {
    private static final ObjectMapper JSON = new ObjectMapper();

    private final HttpClient client;
    private final Duration readTimeout;

    /**
     * @param connectTimeout until a connection stands
     * @param readTimeout until a reply is there
     */
    public BootstrapClient(Duration connectTimeout, Duration readTimeout) {
        this.client = HttpClient.newBuilder()
                .version(HttpClient.Version.HTTP_1_1)
                .connectTimeout(connectTimeout)
                .build();
        this.readTimeout = readTimeout;
    }

    /**
     * The shape of a prefill deployment.
     *
     * @param tpSize attention-TP ranks of a DP group
     * @param dpSize DP groups
     * @param ppSize stages
     * @param pageTokens its page size, 0 when it does not say
     * @param cacheType its KV element type, empty when it does not say
     */
    public record Sizes(int tpSize, int dpSize, int ppSize, int pageTokens, String cacheType) {}

    /** Puts one rank into the registry at {@code host:port}. */
    public void register(String host, int port, RouteRegistration rank) throws IOException, InterruptedException {
        var request = request(host, port, "/route")
                .header("content-type", "application/json")
                .PUT(HttpRequest.BodyPublishers.ofByteArray(rank.toJson()))
                .build();
        send(request);
    }

    /**
     * @throws IOException when the server cannot be reached or not all its ranks have registered
     */
    public Sizes sizes(String host, int port) throws IOException, InterruptedException {
        JsonNode reply = ask(host, port, -1, -1, -1);
        return new Sizes(
                number(reply, "prefill_attn_tp_size"),
                number(reply, "prefill_dp_size"),
                number(reply, "prefill_pp_size"),
                reply.path("page_size").asInt(0),
                reply.path("kv_cache_dtype").asString(""));
    }

    /**
     * The address of one rank, not resolved yet where it is a name.
     *
     * @throws IOException when the server cannot be reached or does not know the rank
     */
    public InetSocketAddress rank(String host, int port, int tpRank, int dpGroup, int ppRank)
            throws IOException, InterruptedException {
        JsonNode reply = ask(host, port, tpRank, dpGroup, ppRank);
        return new InetSocketAddress(reply.path("rank_ip").asString(), number(reply, "rank_port"));
    }

    /** True when the registry answers its health check. */
    public boolean isHealthy(String host, int port) throws InterruptedException {
        try {
            send(request(host, port, "/health").GET().build());
            return true;
        } catch (IOException e) {
            return false;
        }
    }

    private JsonNode ask(String host, int port, int tpRank, int dpGroup, int ppRank)
            throws IOException, InterruptedException {
        String path = "/route?engine_rank=" + tpRank + "&target_dp_group=" + dpGroup + "&target_pp_rank=" + ppRank;
        String body = send(request(host, port, path).GET().build());
        try {
            return JSON.readTree(body);
        } catch (JacksonException e) {
            throw new IOException("The bootstrap server " + host + ":" + port + " answered no JSON: " + body, e);
        }
    }

    private static int number(JsonNode reply, String field) throws IOException {
        JsonNode value = reply.get(field);
        if (value == null || !value.isInt()) {
            throw new IOException("The bootstrap server's reply has no number " + field + ": " + reply);
        }
        return value.intValue();
    }

    private HttpRequest.Builder request(String host, int port, String path) {
        String name = host.contains(":") && !host.startsWith("[") ? "[" + host + "]" : host;
        return HttpRequest.newBuilder(URI.create("http://" + name + ":" + port + path))
                .timeout(readTimeout);
    }

    private String send(HttpRequest request) throws IOException, InterruptedException {
        HttpResponse<String> reply = client.send(request, HttpResponse.BodyHandlers.ofString());
        if (reply.statusCode() != 200) {
            throw new IOException("The bootstrap server at " + request.uri().getAuthority() + " answered "
                    + reply.statusCode() + ": " + reply.body());
        }
        return reply.body();
    }

    @Override
    public void close() {
        client.shutdownNow();
    }
}
