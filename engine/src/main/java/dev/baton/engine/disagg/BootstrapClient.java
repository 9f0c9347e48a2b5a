package dev.baton.engine.disagg;

import dev.baton.engine.EngineException;
import dev.baton.engine.disagg.transfer.LayerRange;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** Speaks with bootstrap servers: prefill ranks register themselves there and decode servers look them up. */
public final class BootstrapClient implements AutoCloseable {
    private static final Duration CONNECT_TIMEOUT = Duration.ofSeconds(5);
    private static final Duration READ_TIMEOUT = Duration.ofSeconds(3);
    /** Generous: a start is the moment when a machine is busiest, and a failure here ends the server. */
    private static final Duration REGISTER_TIMEOUT = Duration.ofSeconds(30);

    /** Baton's own: layers of the model that a rank holds. */
    private static final String FIRST_LAYER = "first_layer";

    private static final String END_LAYER = "end_layer";

    private final JsonMapper json = new JsonMapper();
    private final HttpClient http = HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .connectTimeout(CONNECT_TIMEOUT)
            .build();

    /**
     * What a prefill rank tells about itself.
     *
     * @param tensorParallel ranks of a stage that share a group's attention
     * @param rank this rank among them
     * @param dataParallel groups: replicas, or attention groups of one
     * @param dpRank this rank's group
     * @param pipelineParallel stages
     * @param stage this rank's stage
     * @param layers that it holds
     * @param host where it listens for transfers
     * @param port its port there
     * @param pageTokens page size
     * @param cacheType element type of the KV cache
     * @param model name or digest of the KV layout
     */
    public record Registration(
            int tensorParallel,
            int rank,
            int dataParallel,
            int dpRank,
            int pipelineParallel,
            int stage,
            LayerRange layers,
            String host,
            int port,
            int pageTokens,
            String cacheType,
            String model) {}

    /**
     * Sizes of a prefill deployment.
     *
     * @param tensorParallel ranks of a replica
     * @param dataParallel replicas
     * @param pipelineParallel stages
     */
    public record Sizes(int tensorParallel, int dataParallel, int pipelineParallel) {}

    /**
     * Where a prefill rank listens for transfers.
     *
     * @param layers that it holds; null where nothing was registered of them
     */
    public record RankAddress(
            String host, int port, @Nullable LayerRange layers) {}

    /** The server answered, but not with what was asked for. */
    public static final class NotRegisteredException extends IOException {
        private static final long serialVersionUID = 1L;

        NotRegisteredException(String message) {
            super(message);
        }
    }

    /**
     * Registers a rank.
     *
     * @throws EngineException CONFIGURATION when the bootstrap server cannot be reached or refuses
     */
    public void register(String bootstrapHost, int bootstrapPort, Registration rank) {
        ObjectNode body = json.createObjectNode();
        body.put("role", "Prefill");
        body.put("attn_tp_size", rank.tensorParallel).put("attn_tp_rank", rank.rank);
        body.put("attn_dp_size", 1).put("attn_dp_rank", 0);
        body.put("pp_size", rank.pipelineParallel).put("pp_rank", rank.stage);
        body.put("system_dp_size", rank.dataParallel).put("system_dp_rank", rank.dpRank);
        body.put("rank_ip", rank.host).put("rank_port", rank.port);
        body.put("page_size", rank.pageTokens)
                .put("kv_cache_dtype", rank.cacheType)
                .put("kv_layout", rank.model)
                .put(FIRST_LAYER, rank.layers.first())
                .put(END_LAYER, rank.layers.end());
        String where = address(bootstrapHost, bootstrapPort);
        try {
            HttpRequest request = HttpRequest.newBuilder(URI.create(where + "/route"))
                    .timeout(REGISTER_TIMEOUT)
                    .header("Content-Type", "application/json")
                    .PUT(HttpRequest.BodyPublishers.ofByteArray(json.writeValueAsBytes(body)))
                    .build();
            HttpResponse<String> answer =
                    http.send(request, HttpResponse.BodyHandlers.ofString(StandardCharsets.UTF_8));
            if (answer.statusCode() != 200) {
                throw new EngineException(
                        EngineException.Code.CONFIGURATION,
                        "the bootstrap server at " + where + " refused prefill rank " + rank.rank + ": "
                                + answer.statusCode() + " " + answer.body());
            }
        } catch (IOException | IllegalArgumentException e) {
            throw new EngineException(
                    EngineException.Code.CONFIGURATION,
                    "cannot register prefill rank " + rank.rank + " at the bootstrap server " + where + ": " + e,
                    e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new EngineException(EngineException.Code.CONFIGURATION, "interrupted while registering", e);
        }
    }

    /**
     * @throws NotRegisteredException when no prefill rank is registered yet
     */
    public Sizes sizes(String host, int port) throws IOException, InterruptedException {
        JsonNode answer = route(host, port, -1, -1, -1);
        return new Sizes(
                positive(answer, "prefill_attn_tp_size"),
                positive(answer, "prefill_dp_size"),
                answer.has("prefill_pp_size") ? positive(answer, "prefill_pp_size") : 1);
    }

    /**
     * @throws NotRegisteredException when that rank is not registered yet
     */
    public RankAddress rank(String host, int port, int dpRank, int stage, int rank)
            throws IOException, InterruptedException {
        JsonNode answer = route(host, port, rank, dpRank, stage);
        JsonNode ip = answer.get("rank_ip");
        if (ip == null || !ip.isString()) {
            throw new IOException("the bootstrap server " + address(host, port) + " gave no rank_ip: " + answer);
        }
        LayerRange layers = answer.has(END_LAYER)
                ? new LayerRange(answer.path(FIRST_LAYER).asInt(), positive(answer, END_LAYER))
                : null;
        return new RankAddress(ip.asString(), positive(answer, "rank_port"), layers);
    }

    /** Whether it answers {@code /health} with 200. */
    public boolean isHealthy(String host, int port) throws InterruptedException {
        try {
            return get(address(host, port) + "/health").statusCode() == 200;
        } catch (IOException e) {
            return false;
        }
    }

    private JsonNode route(String host, int port, int rank, int dpGroup, int stage)
            throws IOException, InterruptedException {
        String where = address(host, port);
        HttpResponse<String> answer =
                get(where + "/route?engine_rank=" + rank + "&target_dp_group=" + dpGroup + "&target_pp_rank=" + stage);
        if (answer.statusCode() == 404 || answer.statusCode() == 503) {
            throw new NotRegisteredException(
                    "the bootstrap server " + where + " has no such prefill rank yet: " + answer.body());
        }
        if (answer.statusCode() != 200) {
            throw new IOException(
                    "the bootstrap server " + where + " answered " + answer.statusCode() + ": " + answer.body());
        }
        try {
            return json.readTree(answer.body());
        } catch (JacksonException e) {
            throw new IOException("the bootstrap server " + where + " answered no JSON: " + answer.body(), e);
        }
    }

    private HttpResponse<String> get(String uri) throws IOException, InterruptedException {
        try {
            HttpRequest request = HttpRequest.newBuilder(URI.create(uri))
                    .timeout(READ_TIMEOUT)
                    .GET()
                    .build();
            return http.send(request, HttpResponse.BodyHandlers.ofString(StandardCharsets.UTF_8));
        } catch (IllegalArgumentException e) {
            throw new IOException("not an address: " + uri, e);
        }
    }

    private static int positive(JsonNode answer, String field) throws IOException {
        JsonNode value = answer.get(field);
        if (value == null || !value.isIntegralNumber() || !value.canConvertToInt() || value.asInt() < 1) {
            throw new IOException("the bootstrap server answered without a usable " + field + ": " + answer);
        }
        return value.asInt();
    }

    static String address(String host, int port) {
        return "http://" + (host.contains(":") && !host.startsWith("[") ? "[" + host + "]" : host) + ":" + port;
    }

    @Override
    public void close() {
        http.shutdownNow();
    }
}
