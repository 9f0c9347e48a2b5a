package dev.baton.serve.router;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import io.netty.handler.codec.http.FullHttpRequest;
import io.netty.handler.codec.http.HttpHeaderNames;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Everything that is not inference: health, information, and the calls that go to every worker. */
final class ControlPlane {
    /** Calls that every worker gets; the reply lists what each said. */
    private static final Set<String> EVERY_WORKER = Set.of(
            "/flush_cache",
            "/start_profile",
            "/stop_profile",
            "/end_profile",
            "/slow_down",
            "/abort_request",
            "/pause_generation",
            "/continue_generation",
            "/start_expert_distribution_record",
            "/stop_expert_distribution_record",
            "/dump_expert_distribution_record");

    private static final Duration SHORT = Duration.ofSeconds(30);
    private static final JsonMapper JSON = JsonMapper.builder()
            .enable(tools.jackson.core.json.JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
            .build();

    private final RouterCore core;
    private final WorkerCalls calls;

    ControlPlane(RouterCore core, WorkerCalls calls) {
        this.core = core;
        this.calls = calls;
    }

    /** Answers the path, or says false when it is none of these. */
    boolean handle(String path, FullHttpRequest request, ClientConnection client) {
        switch (path) {
            case "/health", "/liveness", "/ping" -> answer(client, 200, "text/plain; charset=utf-8", "OK");
            case "/readiness" -> readiness(client);
            case "/health_generate" -> healthGenerate(client);
            case "/metrics" -> {
                client.full(
                        200,
                        "text/plain; version=0.0.4; charset=utf-8",
                        Unpooled.wrappedBuffer(core.metrics().text()),
                        null);
                client.done();
            }
            case "/workers" -> answer(client, 200, "application/json", workers().toString());
            case "/get_loads" -> loads(client);
            case "/get_server_info", "/server_info" -> serverInfo(client);
            case "/get_model_info", "/model_info", "/v1/models" -> first(request, client);
            default -> {
                if (!EVERY_WORKER.contains(path)) {
                    return false;
                }
                everyWorker(path, request, client);
            }
        }
        return true;
    }

    private void readiness(ClientConnection client) {
        List<Worker> all = core.fleet().all();
        long healthy = all.stream().filter(Worker::healthy).count();
        boolean ready = core.fleet().ready();
        ObjectNode json = JSON.createObjectNode();
        json.put("status", ready ? "ready" : "not ready");
        json.put("healthy_workers", healthy);
        json.put("total_workers", all.size());
        answer(client, ready ? 200 : 503, "application/json", json.toString());
    }

    private void healthGenerate(ClientConnection client) {
        toAll("GET", "/health_generate", null, null, SHORT, client, replies -> {
            boolean ok = replies.stream().allMatch(WorkerCalls.Reply::ok);
            answer(
                    client,
                    ok ? 200 : 503,
                    "application/json",
                    listed("/health_generate", replies).toString());
        });
    }

    private ObjectNode workers() {
        ObjectNode json = JSON.createObjectNode();
        ArrayNode list = json.putArray("workers");
        for (Worker worker : core.fleet().all()) {
            ObjectNode entry = list.addObject();
            entry.put("id", worker.url());
            entry.put("url", worker.url());
            entry.put("worker_type", worker.role().wire());
            entry.put("is_healthy", worker.healthy());
            entry.put("load", worker.inFlight());
            entry.put("processed", worker.processed());
            entry.put("circuit", worker.breaker().state().name().toLowerCase(java.util.Locale.ROOT));
            if (worker.role() == Worker.Role.PREFILL) {
                entry.put("bootstrap_port", worker.address().bootstrapPort());
            }
        }
        json.put("total", list.size());
        return json;
    }

    private void loads(ClientConnection client) {
        toAll("GET", "/get_load", null, null, SHORT, client, replies -> {
            ObjectNode json = JSON.createObjectNode();
            ArrayNode list = json.putArray("workers");
            for (WorkerCalls.Reply reply : replies) {
                ObjectNode entry = list.addObject();
                entry.put("worker", reply.worker().url());
                entry.put("load", HealthChecks.tokens(reply));
            }
            answer(client, 200, "application/json", json.toString());
        });
    }

    private void serverInfo(ClientConnection client) {
        toAll("GET", "/get_server_info", null, null, SHORT, client, replies -> {
            ObjectNode json = JSON.createObjectNode();
            ArrayNode states = json.putArray("internal_states");
            boolean pair = core.fleet().disaggregated();
            ArrayNode prefill = pair ? json.putArray("prefill") : JSON.createArrayNode();
            ArrayNode others = json.putArray(pair ? "decode" : "workers");
            boolean any = false;
            for (WorkerCalls.Reply reply : replies) {
                any |= reply.ok();
                JsonNode info = reply.ok() ? parse(reply.body()) : null;
                JsonNode entry = info != null ? info : failure(reply);
                (reply.worker().role() == Worker.Role.PREFILL ? prefill : others).add(entry);
                if (reply.worker().role() != Worker.Role.PREFILL
                        && entry.path("internal_states") instanceof ArrayNode own) {
                    states.addAll(own);
                }
            }
            answer(client, any ? 200 : 502, "application/json", json.toString());
        });
    }

    private static ObjectNode failure(WorkerCalls.Reply reply) {
        ObjectNode entry = JSON.createObjectNode();
        entry.put("url", reply.worker().url());
        entry.put("error", reply.status() + " " + reply.body().strip());
        return entry;
    }

    private void first(FullHttpRequest request, ClientConnection client) {
        Worker worker = core.fleet().first();
        if (worker == null) {
            answer(client, 503, "text/plain; charset=utf-8", "No available servers: no healthy worker to ask.");
            return;
        }
        calls.call(worker, "GET", request.uri(), null, null, SHORT)
                .thenAccept(reply -> client.loop()
                        .execute(() -> answer(
                                client, reply.status() == 0 ? 502 : reply.status(), reply.type(), reply.body())));
    }

    private void everyWorker(String path, FullHttpRequest request, ClientConnection client) {
        byte[] body = ByteBufUtil.getBytes(request.content());
        String type = request.headers().get(HttpHeaderNames.CONTENT_TYPE);
        Duration deadline = Duration.ofNanos((long) (core.config().requestTimeoutSecs() * 1e9));
        toAll(request.method().name(), request.uri(), body, type, deadline, client, replies -> {
            ObjectNode json = listed(path, replies);
            List<WorkerCalls.Reply> failed =
                    replies.stream().filter(reply -> !reply.ok()).toList();
            int status = 200;
            if (!failed.isEmpty()) {
                WorkerCalls.Reply worst = failed.getFirst();
                status = worst.status() >= 400 ? worst.status() : 502;
                StringBuilder names = new StringBuilder(path + " failed on ");
                for (int i = 0; i < failed.size(); i++) {
                    WorkerCalls.Reply reply = failed.get(i);
                    names.append(i == 0 ? "" : ", ")
                            .append(reply.worker().url())
                            .append(" (");
                    names.append(reply.status() == 0 ? "" : reply.status() + " ")
                            .append(reply.body().strip())
                            .append(')');
                }
                json.putObject("error").put("message", names.toString());
                core.log(names.toString());
            }
            answer(client, status, "application/json", json.toString());
        });
    }

    private static ObjectNode listed(String path, List<WorkerCalls.Reply> replies) {
        ObjectNode json = JSON.createObjectNode();
        json.put("path", path);
        ArrayNode list = json.putArray("workers");
        for (WorkerCalls.Reply reply : replies) {
            ObjectNode entry = list.addObject();
            entry.put("url", reply.worker().url());
            entry.put("worker_type", reply.worker().role().wire());
            entry.put("status", reply.status());
            JsonNode said = reply.type().startsWith("application/json") ? parse(reply.body()) : null;
            if (said != null) {
                entry.set("body", said);
            } else {
                entry.put("body", reply.body().strip());
            }
        }
        return json;
    }

    private void toAll(
            String method,
            String uri,
            byte @Nullable [] body,
            @Nullable String type,
            Duration deadline,
            ClientConnection client,
            Consumer<List<WorkerCalls.Reply>> then) {
        Function<Worker, CompletableFuture<WorkerCalls.Reply>> call =
                worker -> calls.call(worker, method, uri, body, type, deadline);
        List<CompletableFuture<WorkerCalls.Reply>> replies =
                core.fleet().all().stream().map(call).toList();
        CompletableFuture.allOf(replies.toArray(CompletableFuture[]::new)).thenRun(() -> {
            List<WorkerCalls.Reply> all = new ArrayList<>();
            replies.forEach(reply -> all.add(reply.join()));
            client.loop().execute(() -> then.accept(all));
        });
    }

    private static @Nullable JsonNode parse(String text) {
        try {
            return JSON.readTree(text);
        } catch (JacksonException e) {
            return null;
        }
    }

    private static void answer(ClientConnection client, int status, String type, String body) {
        ByteBuf bytes = Unpooled.copiedBuffer(body, StandardCharsets.UTF_8);
        client.full(status, type, bytes, null);
        client.done();
    }
}
