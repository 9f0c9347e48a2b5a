package dev.baton.app;

import dev.baton.engine.arch.RopePrecision;
import dev.baton.engine.check.GoldenAnswers;
import dev.baton.engine.check.GoldenAnswers.Answer;
import dev.baton.protocol.flag.ServerArgs;
import dev.baton.serve.BatonServer;
import dev.baton.serve.ServeConfig;
import dev.baton.serve.router.Router;
import dev.baton.serve.router.RouterConfig;
import dev.baton.serve.router.WorkerAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.locks.LockSupport;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Servers of this process on free ports of the loopback address, asked over HTTP as any client asks. */
final class GoldenServers implements GoldenAnswers.Answerer, AutoCloseable {
    private static final String HOST = "127.0.0.1";
    private static final Duration DEADLINE = Duration.ofMinutes(5);
    private static final Duration POLL = Duration.ofMillis(20);

    private final HttpClient client = HttpClient.newHttpClient();
    /** In the order of starting. */
    private final List<AutoCloseable> parts = new ArrayList<>();

    private URI url = URI.create("http://" + HOST);

    private GoldenServers() {}

    /** One server. */
    static GoldenServers single(List<String> flags, RopePrecision precision) {
        GoldenServers servers = new GoldenServers();
        try {
            servers.url = URI.create(servers.serve(flags, precision).url());
            return servers;
        } catch (RuntimeException e) {
            servers.close();
            throw e;
        }
    }

    /** A prefill server, a decode server and a router in front of them. */
    static GoldenServers pair(List<String> flags, RopePrecision precision) {
        GoldenServers servers = new GoldenServers();
        try {
            PdRole[] role = new PdRole[1];
            BatonServer prefill = servers.serve(
                    with(flags, "--disaggregation-mode=prefill", "--disaggregation-bootstrap-port=0"), precision, role);
            int bootstrapPort = role[0].bootstrapPort();
            BatonServer decode = servers.serve(with(flags, "--disaggregation-mode=decode"), precision, role);
            Router router = servers.own(Router.start(RouterConfig.of(Map.of(
                    "host",
                    HOST,
                    "port",
                    0,
                    "pd-disaggregation",
                    true,
                    "prefill",
                    List.of(new WorkerAddress(prefill.url(), bootstrapPort)),
                    "decode",
                    List.of(WorkerAddress.of(decode.url()))))));
            servers.url = URI.create("http://" + HOST + ":" + router.port());
            servers.awaitWorkers();
            return servers;
        } catch (RuntimeException e) {
            servers.close();
            throw e;
        }
    }

    /** Waits until the router has found both sides healthy. */
    private void awaitWorkers() {
        HttpRequest request = HttpRequest.newBuilder(url.resolve("/workers"))
                .timeout(DEADLINE)
                .build();
        long end = System.nanoTime() + DEADLINE.toNanos();
        while (System.nanoTime() < end) {
            String workers =
                    client.sendAsync(request, BodyHandlers.ofString()).join().body();
            if (JsonMapper.shared()
                    .readTree(workers)
                    .path("workers")
                    .valueStream()
                    .allMatch(worker -> worker.path("is_healthy").asBoolean(false))) {
                return;
            }
            LockSupport.parkNanos(POLL.toNanos());
        }
        throw new IllegalStateException("the router found no healthy pair in " + DEADLINE);
    }

    private static List<String> with(List<String> flags, String... more) {
        List<String> all = new ArrayList<>(flags);
        all.addAll(List.of(more));
        return all;
    }

    private BatonServer serve(List<String> flags, RopePrecision precision) {
        return serve(flags, precision, new PdRole[1]);
    }

    /** @param roleOut receives the server's role */
    private BatonServer serve(List<String> flags, RopePrecision precision, PdRole[] roleOut) {
        ServerArgs args = ServerArgs.parse(with(flags, "--host=" + HOST));
        PdRole role = own(PdRole.of(args));
        roleOut[0] = role;
        EngineAssembly assembly = own(EngineAssembly.start(args, role, precision));
        ServeConfig config =
                ServeConfig.of(args.text("model-path")).host(HOST).port(0).build();
        BatonServer server = own(BatonServer.start(config, assembly.engine(), new TokenizerCodec(null, null)));
        server.ready();
        return server;
    }

    private <T extends AutoCloseable> T own(T part) {
        parts.add(part);
        return part;
    }

    @Override
    public CompletableFuture<Answer> ask(int[] prompt, int firstRow, int newTokens, int vocabulary) {
        Map<String, Object> body = new LinkedHashMap<>();
        body.put("input_ids", prompt);
        body.put("sampling_params", Map.of("max_new_tokens", newTokens, "temperature", 0, "ignore_eos", true));
        body.put("return_logprob", true);
        body.put("logprob_start_len", firstRow);
        body.put("top_logprobs_num", vocabulary);
        HttpRequest request = HttpRequest.newBuilder(url.resolve("/generate"))
                .timeout(DEADLINE)
                .POST(BodyPublishers.ofString(JsonMapper.shared().writeValueAsString(body)))
                .build();
        return client.sendAsync(request, BodyHandlers.ofString()).thenApply(reply -> answer(reply, vocabulary));
    }

    private static Answer answer(HttpResponse<String> reply, int vocabulary) {
        if (reply.statusCode() != 200) {
            throw new IllegalStateException("the server answered " + reply.statusCode() + ": " + reply.body());
        }
        JsonNode root = JsonMapper.shared().readTree(reply.body());
        JsonNode meta = root.path("meta_info");
        List<float[]> rows = new ArrayList<>();
        // What stands first among the asked-for positions has no predecessor among them.
        meta.path("input_top_logprobs").valueStream().skip(1).forEach(row -> rows.add(byId(row, vocabulary)));
        rows.add(byId(meta.path("output_top_logprobs").path(0), vocabulary));
        int[] tokens = root.path("output_ids")
                .valueStream()
                .mapToInt(JsonNode::intValue)
                .toArray();
        return new Answer(rows.toArray(float[][]::new), tokens);
    }

    /** @param row a list of [log probability, id, text] */
    private static float[] byId(JsonNode row, int vocabulary) {
        float[] logs = new float[vocabulary];
        row.valueStream()
                .forEach(entry -> logs[entry.path(1).intValue()] = entry.path(0).floatValue());
        return logs;
    }

    /** Ends everything, the last started first. */
    @Override
    public void close() {
        client.shutdownNow();
        for (AutoCloseable part : parts.reversed()) {
            try {
                part.close();
            } catch (Exception e) {
                System.getLogger(GoldenServers.class.getName())
                        .log(System.Logger.Level.WARNING, "a part did not close", e);
            }
        }
        parts.clear();
    }
}
