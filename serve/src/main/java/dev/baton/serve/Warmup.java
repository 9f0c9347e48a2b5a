package dev.baton.serve;

import dev.baton.protocol.reply.JsonBytes;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Sends a server its first request over its own port, so that the first client finds it warm, and marks it ready. */
public final class Warmup {
    /** The line that scripts wait for. */
    public static final String READY_LINE = "The server is fired up and ready to roll!";

    private static final System.Logger LOG = System.getLogger(Warmup.class.getName());
    private static final String PROMPT = "The capital city of France is";
    private static final List<Integer> IDS = List.of(0, 1, 2, 3);

    private Warmup() {}

    /**
     * @param role null, {@code prefill} or {@code decode}
     * @param dataParallel one prompt for each DP rank
     * @param text whether the server has a tokenizer; ids are sent otherwise
     * @param timeout how long the request may take
     * @throws ServeException WARMUP naming what went wrong
     */
    public static void run(
            BatonServer server, @Nullable String role, int dataParallel, boolean text, Duration timeout) {
        boolean pair = "prefill".equals(role) || "decode".equals(role);
        if (pair) {
            LOG.log(System.Logger.Level.INFO, "Start of pd disaggregation warmup ...");
        }
        String body = new JsonBytes(256)
                .value(pair ? pairBody(dataParallel) : body(dataParallel, text))
                .toString();
        HttpResponse<String> reply = post(server, body, timeout);
        if (reply.statusCode() != 200) {
            throw failed("the server answered " + reply.statusCode() + ": " + reply.body(), null);
        }
        if (pair) {
            LOG.log(
                    System.Logger.Level.INFO,
                    "End of " + role + " disaggregation mode warmup with status " + reply.statusCode() + ", resp: "
                            + reply.body());
        }
        announce(server);
    }

    /** Marks the server ready without a request and says so. */
    public static void announce(BatonServer server) {
        server.ready();
        LOG.log(System.Logger.Level.INFO, READY_LINE);
    }

    private static Map<String, Object> body(int dataParallel, boolean text) {
        Map<String, Object> body = new LinkedHashMap<>();
        Object prompt = text ? PROMPT : IDS;
        body.put(text ? "text" : "input_ids", dataParallel == 1 ? prompt : Collections.nCopies(dataParallel, prompt));
        body.put("sampling_params", sampling(8));
        return body;
    }

    /** The host says that no other half is asked; the rooms spread over the DP ranks. */
    private static Map<String, Object> pairBody(int dataParallel) {
        List<List<Integer>> prompts = new ArrayList<>();
        List<String> hosts = new ArrayList<>();
        List<Long> rooms = new ArrayList<>();
        for (int i = 0; i < dataParallel; i++) {
            prompts.add(IDS);
            hosts.add("2.2.2.2");
            rooms.add(i * (Long.MAX_VALUE / dataParallel) / dataParallel * dataParallel + i);
        }
        Map<String, Object> body = new LinkedHashMap<>();
        body.put("input_ids", prompts);
        body.put("sampling_params", sampling(8));
        body.put("bootstrap_host", hosts);
        body.put("bootstrap_room", rooms);
        return body;
    }

    private static Map<String, Object> sampling(int tokens) {
        return Map.of("temperature", 0, "max_new_tokens", tokens, "ignore_eos", true);
    }

    private static HttpResponse<String> post(BatonServer server, String body, Duration timeout) {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(server.url() + "/generate"))
                .timeout(timeout)
                .header("content-type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString(body));
        String key = server.config().apiKey();
        if (key != null) {
            request.header("authorization", "Bearer " + key);
        }
        try (HttpClient client =
                HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build()) {
            return client.send(request.build(), HttpResponse.BodyHandlers.ofString());
        } catch (IOException e) {
            throw failed(String.valueOf(e.getMessage()), e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw failed("interrupted", e);
        }
    }

    private static ServeException failed(String what, @Nullable Throwable cause) {
        String message = "Initialization failed. warmup error: " + what;
        return cause == null
                ? new ServeException(ServeException.Code.WARMUP, message)
                : new ServeException(ServeException.Code.WARMUP, message, cause);
    }
}
