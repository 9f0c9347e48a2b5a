package dev.baton.lab.client;

import dev.baton.lab.LabException;
import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Control calls to one server: information, cache, profiling. Every call has a deadline. */
final class ServerCalls implements AutoCloseable {
    /** Reads bare {@code Infinity} and {@code NaN}, which Python writes. */
    static final JsonMapper JSON = JsonMapper.builder()
            .enable(tools.jackson.core.json.JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
            .disable(tools.jackson.core.json.JsonWriteFeature.WRITE_NAN_AS_STRINGS)
            .build();

    private final HttpClient http = HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .connectTimeout(Duration.ofSeconds(10))
            .build();

    /** What a server said. */
    record Reply(int status, String body) {
        boolean ok() {
            return status >= 200 && status < 300;
        }
    }

    /** A server's address without path, checked. */
    static URI uri(String url) {
        try {
            URI uri = new URI(url.endsWith("/") ? url.substring(0, url.length() - 1) : url);
            if (!"http".equals(uri.getScheme()) || uri.getHost() == null) {
                throw new LabException(
                        LabException.Code.INVALID_CONFIG, "base URL '" + url + "' is not of the form http://host:port");
            }
            return uri;
        } catch (URISyntaxException e) {
            throw new LabException(LabException.Code.INVALID_CONFIG, "base URL '" + url + "': " + e.getMessage(), e);
        }
    }

    Reply get(URI base, String path, Duration deadline) {
        return send(HttpRequest.newBuilder(URI.create(base + path)).GET(), base, path, deadline);
    }

    Reply post(URI base, String path, @Nullable JsonNode body, Duration deadline) {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(base + path));
        if (body == null) {
            request.POST(HttpRequest.BodyPublishers.noBody());
        } else {
            request.header("Content-Type", "application/json")
                    .POST(HttpRequest.BodyPublishers.ofString(JSON.writeValueAsString(body)));
        }
        return send(request, base, path, deadline);
    }

    /** The JSON of a GET, or null when the server does not answer 200 with JSON. */
    @Nullable
    JsonNode json(URI base, String path, Duration deadline) {
        try {
            Reply reply = get(base, path, deadline);
            return reply.ok() ? JSON.readTree(reply.body()) : null;
        } catch (LabException | JacksonException e) {
            if (e instanceof LabException lab && lab.code() == LabException.Code.INTERRUPTED) {
                throw lab;
            }
            return null;
        }
    }

    private Reply send(HttpRequest.Builder request, URI base, String path, Duration deadline) {
        String authorization = Authorization.header();
        if (authorization != null) {
            request.header("Authorization", authorization);
        }
        try {
            HttpResponse<String> response =
                    http.send(request.timeout(deadline).build(), HttpResponse.BodyHandlers.ofString());
            return new Reply(response.statusCode(), response.body());
        } catch (IOException e) {
            String why = e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
            throw new LabException(
                    LabException.Code.SERVER, path + " of " + base + " failed: " + why + "; is the server up?", e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new LabException(LabException.Code.INTERRUPTED, "interrupted while calling " + base + path, e);
        }
    }

    @Override
    public void close() {
        http.close();
    }
}
