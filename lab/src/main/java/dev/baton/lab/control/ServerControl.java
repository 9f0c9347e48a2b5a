package dev.baton.lab.control;

import dev.baton.lab.LabException;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.Map;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Control calls to one server of the dialect, Baton's or SGLang's: readiness, slow-down, profile, state. Every call
 * has a deadline; a fault names the server and what it answered.
 */
public final class ServerControl implements AutoCloseable {
    private static final JsonMapper JSON = JsonMapper.shared();

    private final URI base;
    private final HttpClient http = HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .connectTimeout(Duration.ofSeconds(5))
            .build();

    public ServerControl(URI base) {
        this.base = base;
    }

    /** The server's address. */
    public URI base() {
        return base;
    }

    /** True when {@code /health} answers 200. */
    public boolean isHealthy(Duration deadline) {
        try {
            return send(HttpRequest.newBuilder(base.resolve("/health")).GET(), deadline)
                            .statusCode()
                    == 200;
        } catch (IOException e) {
            return false;
        }
    }

    /**
     * True when the router behind this address has found every worker healthy. A router without {@code /readiness}
     * (SGLang's mini_lb) is ready when it answers {@code /health}.
     */
    public boolean isReadyRouter(Duration deadline) {
        try {
            HttpResponse<String> reply =
                    send(HttpRequest.newBuilder(base.resolve("/readiness")).GET(), deadline);
            if (reply.statusCode() == 404) {
                return isHealthy(deadline);
            }
            if (reply.statusCode() != 200) {
                return false;
            }
            JsonNode state = JSON.readTree(reply.body());
            return state.path("healthy_workers").asInt()
                    == state.path("total_workers").asInt();
        } catch (IOException e) {
            return false;
        }
    }

    /** Every rank sleeps this long at the head of each step; 0 ends it. The call returns when every rank has taken it. */
    public void slowDown(double seconds, Duration deadline) {
        post(
                "/slow_down",
                JSON.writeValueAsString(java.util.Collections.singletonMap(
                        "forward_sleep_time", seconds <= 0 ? null : (Object) seconds)),
                deadline);
    }

    /** Starts a profile that ends by itself after {@code steps} steps. */
    public void startProfile(Map<String, Object> fields, Duration deadline) {
        post("/start_profile", JSON.writeValueAsString(fields), deadline);
    }

    /** Ends every live request. */
    public void abortAll(Duration deadline) {
        post("/abort_request", "{\"abort_all\":true}", deadline);
    }

    /** The answer of {@code /get_server_info}. */
    public JsonNode serverInfo(Duration deadline) {
        return JSON.readTree(get("/get_server_info", deadline));
    }

    /** The text of {@code /metrics}. */
    public String metrics(Duration deadline) {
        return get("/metrics", deadline);
    }

    /** @throws LabException SERVER with status and body when the answer is not 2xx */
    public String get(String path, Duration deadline) {
        return checked(path, HttpRequest.newBuilder(base.resolve(path)).GET(), deadline);
    }

    /** @throws LabException SERVER with status and body when the answer is not 2xx */
    public String post(String path, String body, Duration deadline) {
        return checked(
                path,
                HttpRequest.newBuilder(base.resolve(path))
                        .header("Content-Type", "application/json")
                        .POST(HttpRequest.BodyPublishers.ofString(body)),
                deadline);
    }

    private String checked(String path, HttpRequest.Builder request, Duration deadline) {
        try {
            HttpResponse<String> reply = send(request, deadline);
            if (reply.statusCode() / 100 != 2) {
                throw new LabException(
                        LabException.Code.SERVER,
                        base + path + " answered " + reply.statusCode() + ": "
                                + reply.body().strip());
            }
            return reply.body();
        } catch (IOException e) {
            throw new LabException(LabException.Code.SERVER, base + path + " did not answer: " + e, e);
        }
    }

    private HttpResponse<String> send(HttpRequest.Builder request, Duration deadline) throws IOException {
        try {
            return http.send(request.timeout(deadline).build(), HttpResponse.BodyHandlers.ofString());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new LabException(LabException.Code.INTERRUPTED, "interrupted while calling " + base, e);
        }
    }

    @Override
    public void close() {
        http.shutdownNow();
    }
}
