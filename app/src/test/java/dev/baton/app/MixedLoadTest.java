package dev.baton.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.baton.cuda.CudaDevice;
import java.io.IOException;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * A server on a GPU under requests of all kinds: lengths 1 to 4,000, greedy, sampled, with penalties and log probabilities,
 * streams that are dropped, requests that are aborted. {@code -Dbaton.mixed.seconds} says for how long (20 by default), behind
 * up to half a minute that is not counted; {@code -Dbaton.mixed.device=cpu} tries the test itself. {@code
 * -Dbaton.mixed.model=FOLDER} takes another model: one without weights gets random ones, whose answers are not compared,
 * because they hang on the rounding of whatever shares a batch.
 */
@Tag("gpu")
class MixedLoadTest {
    private static final int CLIENTS = 12;
    private static final int LONGEST = 4000;
    private static final int CONTEXT = 4096;
    /** Fifty graphs of a megabyte, whose shapes come late in a short run. A leak of a cache a second would be far more. */
    private static final long LATE_BYTES = 64L << 20;
    /** In the second half of a run of some minutes, when every shape has come. */
    private static final long LAST_BYTES = 4L << 20;

    private static final int MINUTES = 120;

    private static final long WARM_SECONDS = 30;

    private final Path model = Path.of(System.getProperty("baton.mixed.model", ServerUnderTest.NANO.toString()))
            .toAbsolutePath();
    private final String device = System.getProperty("baton.mixed.device", "cuda");
    private final long seconds = Long.getLong("baton.mixed.seconds", 20);
    private final int longest = Integer.getInteger("baton.mixed.longest", LONGEST);
    private int rounds;
    private final AtomicInteger asked = new AtomicInteger();
    private final AtomicInteger checked = new AtomicInteger();
    private final AtomicInteger aborted = new AtomicInteger();
    private final AtomicInteger dropped = new AtomicInteger();
    private final ConcurrentLinkedQueue<String> wrong = new ConcurrentLinkedQueue<>();
    private final ConcurrentLinkedQueue<String> different = new ConcurrentLinkedQueue<>();

    private record Reference(List<Integer> prompt, List<Integer> answer) {}

    @Test
    @Timeout(value = 900, unit = TimeUnit.SECONDS)
    void nothingLeaksAndAnswersStayTheSame() throws Exception {
        String why = device.equals("cuda") ? CudaDevice.whyUnavailable() : "";
        assumeTrue(why.isEmpty(), "no CUDA device: " + why);
        assumeTrue(Files.exists(model.resolve("config.json")), "no model");
        boolean hasWeights = hasWeights();
        try (ServerUnderTest server = ServerUnderTest.serve(
                "mixed",
                model,
                "--load-format",
                hasWeights ? "auto" : "dummy",
                "--device",
                device,
                "--skip-tokenizer-init",
                "--max-running-requests",
                "16",
                "--max-total-tokens",
                "32768",
                "--decode-log-interval",
                "1000")) {
            List<Reference> references = references(server);
            load(server, references, Math.clamp(seconds / 3, 1, WARM_SECONDS));
            long before = settled(server);
            load(server, references, seconds / 2);
            long middle = settled(server);
            load(server, references, seconds - seconds / 2);
            long after = settled(server);
            System.out.printf(
                    "mixed load of %s on %s for %d s: %d requests, %d greedy answers compared with those of an idle server,"
                            + " %d of them different, %d aborted, %d dropped, %d failed; device memory %d, %d, %d bytes before, in the middle, after%n",
                    model.getFileName(),
                    device,
                    seconds,
                    asked.get(),
                    checked.get(),
                    different.size(),
                    aborted.get(),
                    dropped.get(),
                    wrong.size(),
                    before,
                    middle,
                    after);
            assertThat(wrong).isEmpty();
            if (hasWeights) {
                assertThat(different).isEmpty();
            }
            assertThat(checked.get()).isPositive();
            assertThat(after).isLessThanOrEqualTo(before + LATE_BYTES);
            if (seconds >= MINUTES) {
                assertThat(after).isLessThanOrEqualTo(middle + LAST_BYTES);
            }
            assertThat(server.log()).doesNotContain("ERROR").doesNotContain("leak");
        }
    }

    private boolean hasWeights() throws IOException {
        try (Stream<Path> files = Files.list(model)) {
            return files.anyMatch(file -> file.toString().endsWith(".safetensors"));
        }
    }

    /** The repository's recorded prompts, and what the server answers when it has nothing else to do. */
    private static List<Reference> references(ServerUnderTest server) throws IOException {
        JsonNode golden =
                JsonMapper.shared().readTree(Files.readString(ServerUnderTest.NANO.resolve("train/golden.json")));
        List<Reference> references = new ArrayList<>();
        for (JsonNode prompt : golden.path("prompts")) {
            List<Integer> ids = prompt.path("input_ids")
                    .valueStream()
                    .map(JsonNode::intValue)
                    .toList();
            JsonNode reply = ServerUnderTest.json(server.post("/generate", body(ids, greedy(24))));
            references.add(new Reference(ids, ids(reply)));
        }
        assertThat(references).hasSizeGreaterThan(4);
        return references;
    }

    private static Map<String, Object> greedy(int tokens) {
        return Map.of("temperature", 0, "max_new_tokens", tokens);
    }

    private static Map<String, Object> body(List<Integer> ids, Map<String, Object> params) {
        return Map.of("input_ids", ids, "sampling_params", params);
    }

    private static List<Integer> ids(JsonNode reply) {
        return reply.path("output_ids").valueStream().map(JsonNode::intValue).toList();
    }

    private void load(ServerUnderTest server, List<Reference> references, long forSeconds) throws Exception {
        long end = System.nanoTime() + forSeconds * 1_000_000_000L;
        try (var pool = Executors.newVirtualThreadPerTaskExecutor()) {
            List<Future<?>> clients = new ArrayList<>();
            for (int client = 0; client < CLIENTS; client++) {
                Random random = new Random(client + 100 * ++rounds);
                clients.add(pool.submit(() -> {
                    while (System.nanoTime() < end) {
                        one(server, references, random);
                    }
                    return null;
                }));
            }
            for (Future<?> client : clients) {
                client.get();
            }
        }
    }

    private void one(ServerUnderTest server, List<Reference> references, Random random) throws IOException {
        asked.incrementAndGet();
        switch (random.nextInt(8)) {
            case 0, 1 -> compare(server, references.get(random.nextInt(references.size())));
            case 2 -> drop(server, random);
            case 3 -> abort(server, random);
            default -> {
                var reply = server.post("/generate", anything(random, false));
                if (reply.statusCode() != 200) {
                    wrong.add(reply.statusCode() + " " + reply.body());
                }
            }
        }
    }

    private void compare(ServerUnderTest server, Reference reference) {
        List<Integer> now = ids(ServerUnderTest.json(server.post("/generate", body(reference.prompt(), greedy(24)))));
        checked.incrementAndGet();
        if (!now.equals(reference.answer())) {
            different.add(
                    "prompt of " + reference.prompt().size() + " tokens: " + reference.answer() + " became " + now);
        }
    }

    private Map<String, Object> anything(Random random, boolean stream) {
        int length = 1 + (random.nextBoolean() ? random.nextInt(60) : random.nextInt(longest));
        List<Integer> prompt = random.ints(length, 3, 4000).boxed().toList();
        int tokens = 1 + random.nextInt(Math.min(90, CONTEXT - length - 1));
        Map<String, Object> params = switch (random.nextInt(4)) {
            case 0 -> Map.of("temperature", 0, "max_new_tokens", tokens, "ignore_eos", true);
            case 1 -> Map.of("temperature", 0.9, "top_p", 0.8, "max_new_tokens", tokens, "ignore_eos", true);
            case 2 ->
                Map.of("top_k", 30, "repetition_penalty", 1.2, "frequency_penalty", 0.3, "max_new_tokens", tokens);
            default ->
                Map.of("temperature", 0.7, "min_p", 0.05, "min_new_tokens", tokens / 2, "max_new_tokens", tokens);
        };
        return Map.of(
                "input_ids",
                prompt,
                "sampling_params",
                params,
                "stream",
                stream,
                "return_logprob",
                random.nextInt(5) == 0);
    }

    /** Begins a stream and leaves. */
    private void drop(ServerUnderTest server, Random random) throws IOException {
        byte[] text = JsonMapper.shared().writeValueAsBytes(anything(random, true));
        try (Socket socket = new Socket(server.url().getHost(), server.url().getPort())) {
            socket.setSoTimeout(30_000);
            String head = "POST /generate HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\nContent-Length: "
                    + text.length + "\r\n\r\n";
            socket.getOutputStream().write(head.getBytes(StandardCharsets.US_ASCII));
            socket.getOutputStream().write(text);
            socket.getOutputStream().flush();
            if (random.nextBoolean()) {
                socket.getInputStream().readNBytes(1 + random.nextInt(300));
            }
        }
        dropped.incrementAndGet();
    }

    private void abort(ServerUnderTest server, Random random) {
        String rid = "abort-" + random.nextLong();
        Map<String, Object> request = new java.util.HashMap<>(anything(random, false));
        request.put("rid", rid);
        var reply = ServerUnderTest.http()
                .sendAsync(
                        server.postRequest("/generate", request), java.net.http.HttpResponse.BodyHandlers.ofString());
        server.post("/abort_request", Map.of("rid", rid));
        aborted.incrementAndGet();
        reply.orTimeout(60, TimeUnit.SECONDS).join();
    }

    /** Waits until nothing runs; bytes of the device that are taken then. */
    private long settled(ServerUnderTest server) throws Exception {
        long end = System.nanoTime() + 60_000_000_000L;
        while (server.requests() > 0) {
            assertThat(System.nanoTime()).as("requests still run").isLessThan(end);
            Thread.sleep(20);
        }
        assertThat(server.post("/flush_cache", Map.of()).statusCode()).isEqualTo(200);
        if (!device.equals("cuda")) {
            return 0;
        }
        // The tool counts all GPUs of the machine, also those that this process does not see.
        String first = System.getenv().getOrDefault("CUDA_VISIBLE_DEVICES", "0").split(",")[0];
        Process smi = new ProcessBuilder(
                        "nvidia-smi", "-i", first, "--query-gpu=memory.used", "--format=csv,noheader,nounits")
                .start();
        String used = new String(smi.getInputStream().readAllBytes(), StandardCharsets.US_ASCII);
        return Long.parseLong(used.lines().findFirst().orElseThrow().trim()) << 20;
    }
}
