package dev.baton.serve.router;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import org.jspecify.annotations.Nullable;

/** Control calls to workers, beside the proxy's own connections. Every call ends within its deadline. */
final class WorkerCalls implements AutoCloseable {
    private final HttpClient http;
    private final @Nullable String apiKey;

    /** What a worker said; status 0 when it said nothing and {@code body} says why. */
    record Reply(Worker worker, int status, String type, String body) {
        boolean ok() {
            return status >= 200 && status < 300;
        }
    }

    WorkerCalls(@Nullable String apiKey) {
        this.apiKey = apiKey;
        this.http = HttpClient.newBuilder()
                .version(HttpClient.Version.HTTP_1_1)
                .connectTimeout(Duration.ofSeconds(5))
                .executor(Executors.newVirtualThreadPerTaskExecutor())
                .build();
    }

    /** Calls one worker; the future never fails. */
    CompletableFuture<Reply> call(
            Worker worker,
            String method,
            String uri,
            byte @Nullable [] body,
            @Nullable String type,
            Duration deadline) {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(worker.url() + uri))
                .timeout(deadline)
                .method(
                        method,
                        body == null || body.length == 0
                                ? HttpRequest.BodyPublishers.noBody()
                                : HttpRequest.BodyPublishers.ofByteArray(body));
        if (type != null) {
            request.header("Content-Type", type);
        }
        if (apiKey != null) {
            request.header("Authorization", "Bearer " + apiKey);
        }
        return http.sendAsync(request.build(), HttpResponse.BodyHandlers.ofString())
                .handle((response, failure) -> {
                    if (response == null) {
                        Throwable cause = failure.getCause() == null ? failure : failure.getCause();
                        String why =
                                cause.getMessage() == null ? cause.getClass().getSimpleName() : cause.getMessage();
                        return new Reply(worker, 0, "text/plain", "no answer: " + why);
                    }
                    String answered =
                            response.headers().firstValue("content-type").orElse("text/plain");
                    return new Reply(worker, response.statusCode(), answered, response.body());
                });
    }

    @Override
    public void close() {
        http.shutdownNow();
    }
}
