package dev.baton.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.baton.app.Questions.Question;
import dev.baton.engine.forward.GoldenRecording;
import java.io.IOException;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/** One server in two processes: its answers are those of one process, and when one ends, so does the other. */
class TwoNodesTest {
    private static final Duration END = Duration.ofSeconds(40);

    private final List<ServerUnderTest> processes = new ArrayList<>();
    private final String address = "127.0.0.1:" + ServerUnderTest.freePort();

    @AfterEach
    void end() {
        processes.forEach(ServerUnderTest::close);
    }

    private ServerUnderTest node(int rank, String... flags) {
        return node(ServerUnderTest.NANO, rank, flags);
    }

    private ServerUnderTest node(Path model, int rank, String... flags) {
        List<String> words = new ArrayList<>(
                List.of("--nnodes=2", "--node-rank=" + rank, "--dist-init-addr=" + address, "--cpu-threads=1"));
        words.addAll(Arrays.asList(flags));
        if (words.stream().noneMatch(word -> word.startsWith("--pp-size"))) {
            words.add("--tp-size=2");
        }
        ServerUnderTest process = ServerUnderTest.serveLater("node" + rank, model, words.toArray(String[]::new));
        processes.add(process);
        return process;
    }

    private static Map<String, Object> body(Question question) {
        return Map.of(
                "input_ids",
                question.ids(),
                "sampling_params",
                Map.of(
                        "max_new_tokens",
                        question.sampling().maxNewTokens(),
                        "temperature",
                        0,
                        "stop",
                        question.sampling().stop()));
    }

    /** A request that goes on until somebody dies. */
    private static CompletableFuture<HttpResponse<String>> endless(ServerUnderTest server) {
        return ServerUnderTest.http()
                .sendAsync(
                        server.postRequest(
                                "/generate",
                                Map.of(
                                        "text",
                                        "What is",
                                        "sampling_params",
                                        Map.of("max_new_tokens", 4000, "ignore_eos", true, "temperature", 0))),
                        BodyHandlers.ofString());
    }

    private static void awaitDecoding(ServerUnderTest server) {
        await().atMost(Duration.ofSeconds(40)).until(() -> server.log().contains("Decode batch"));
    }

    @Test
    void answersAreThoseOfOneProcessAndEveryRankIsTraced(@TempDir Path traces) throws Exception {
        ServerUnderTest one = node(1, "--skip-server-warmup");
        ServerUnderTest zero = node(0, "--skip-server-warmup").awaitReady();
        one.awaitLine("Health checks are answered at port (\\d+)");
        assertAnswersAreThoseOfOneProcess(zero, traces, "--tp-size=2");
        assertThat(files(traces)).hasSize(2);
        assertThat(files(traces).get(0).toString()).contains("TP-0");
        assertThat(files(traces).get(1).toString()).contains("TP-1");

        CompletableFuture<HttpResponse<String>> answer = endless(zero);
        awaitDecoding(zero);
        one.kill();
        assertThat(answer.get(30, TimeUnit.SECONDS))
                .satisfies(reply -> assertThat(reply.statusCode()).isEqualTo(500))
                .satisfies(reply -> assertThat(reply.body()).contains("node 1 (127.0.0.1:"));
        assertThat(zero.exitStatus(END)).isEqualTo(1);
        assertThat(zero.log()).contains("baton: the server has ended: node 1 (127.0.0.1:");
    }

    /** The same tokens, while every rank is recorded. */
    private static void assertAnswersAreThoseOfOneProcess(ServerUnderTest zero, Path traces, String... flags) {
        List<Question> questions = Questions.eight().subList(0, 3);
        List<List<Integer>> expected;
        try (EngineAssembly assembly = Questions.engine(flags)) {
            expected = Questions.ids(Questions.together(assembly.engine(), questions));
        }
        HttpResponse<String> started = zero.post(
                "/start_profile", Map.of("output_dir", traces.toString(), "num_steps", 4, "record_shapes", true));
        assertThat(started.statusCode()).isEqualTo(200);
        List<List<Integer>> got = new ArrayList<>();
        for (Question question : questions) {
            List<Integer> ids = new ArrayList<>();
            for (JsonNode id :
                    ServerUnderTest.json(zero.post("/generate", body(question))).path("output_ids")) {
                ids.add(id.asInt());
            }
            got.add(ids);
        }
        assertThat(got).isEqualTo(expected);
        await().atMost(Duration.ofSeconds(30)).until(() -> files(traces).size() == 2);
    }

    @Test
    void aPipelineStageANodeAnswersAlikeAndBothEndsRecordTheirMessages(@TempDir Path traces) throws Exception {
        ServerUnderTest one = node(1, "--skip-server-warmup", "--pp-size=2");
        ServerUnderTest zero = node(0, "--skip-server-warmup", "--pp-size=2").awaitReady();
        assertAnswersAreThoseOfOneProcess(zero, traces, "--pp-size=2");
        List<Path> files = files(traces);
        String[] sent = {"send_tensor_dict", "recv_tensor_dict"};
        for (int stage = 0; stage < 2; stage++) {
            assertThat(files.get(stage).toString()).contains("-TP-0-PP-" + stage);
            try (GZIPInputStream in = new GZIPInputStream(Files.newInputStream(files.get(stage)))) {
                assertThat(new String(in.readAllBytes(), StandardCharsets.UTF_8))
                        .contains("\"" + sent[stage] + "\"", "\"wait_for_peer\"", "\"move_bytes\"");
            }
        }
        zero.terminate();
        assertThat(one.exitStatus(END)).isZero();
    }

    private static List<Path> files(Path folder) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.filter(f -> f.toString().endsWith(".trace.json.gz"))
                    .sorted()
                    .toList();
        }
    }

    @Test
    void whenNodeZeroDiesTheOtherEndsWithAnError() {
        ServerUnderTest one = node(1, "--skip-server-warmup");
        ServerUnderTest zero = node(0, "--skip-server-warmup").awaitReady();
        CompletableFuture<HttpResponse<String>> answer = endless(zero);
        awaitDecoding(zero);
        zero.kill();
        assertThat(one.exitStatus(END)).isEqualTo(1);
        assertThat(one.log()).contains("baton: the server has ended: node 0 (" + address + ") is gone");
        answer.cancel(true);
    }

    @Test
    void attentionGroupsFollowGrammarsOnTheirNodeAndTheOthersEndWithNodeZero() {
        String[] flags = {"--enable-dp-attention", "--dp-size=2", "--skip-server-warmup"};
        ServerUnderTest one = node(1, flags);
        ServerUnderTest zero = node(0, flags).awaitReady();
        // Round robin: one answer of each attention group.
        for (int group = 0; group < 2; group++) {
            Map<String, Object> body = Map.of(
                    "text", "What is", "sampling_params", Map.of("max_new_tokens", 20, "regex", "[0-9]{3}-[a-f]{2}"));
            JsonNode answer = ServerUnderTest.json(zero.post("/generate", body));
            assertThat(answer.path("text").asString()).matches("[0-9]{3}-[a-f]{2}");
        }
        assertThat(zero.log()).contains("DP0").contains("DP1");
        String port = one.awaitLine("Health checks are answered at port (\\d+)");
        for (String path : List.of("/health", "/health_generate", "/ping")) {
            assertThat(one.call("http://127.0.0.1:" + port + path).statusCode()).isEqualTo(200);
        }
        assertThat(one.call("http://127.0.0.1:" + port + "/generate").statusCode())
                .isEqualTo(404);
        zero.terminate();
        assertThat(one.exitStatus(END)).isZero();
        assertThat(one.log()).contains("node 0 (" + address + ") has ended: the server was told to end");
    }

    @Test
    void nodesOfDifferentFlagsAreRefusedOnBothSides() {
        ServerUnderTest one = node(1, "--page-size=16");
        ServerUnderTest zero = node(0);
        for (ServerUnderTest node : List.of(zero, one)) {
            assertThat(node.exitStatus(END)).isEqualTo(1);
            assertThat(node.log()).contains("--page-size is 16 there and 1 on node 0");
        }
    }

    /** Both halves get the request, as the router would send it; the decode server's answer is the answer. */
    private static CompletableFuture<HttpResponse<String>> pair(
            ServerUnderTest prefill, ServerUnderTest decode, int bootstrapPort, long room, Map<String, Object> body) {
        Map<String, Object> both = new LinkedHashMap<>(body);
        both.put("bootstrap_host", "127.0.0.1");
        both.put("bootstrap_port", bootstrapPort);
        both.put("bootstrap_room", room);
        ServerUnderTest.http().sendAsync(prefill.postRequest("/generate", both), BodyHandlers.ofString());
        return ServerUnderTest.http().sendAsync(decode.postRequest("/generate", both), BodyHandlers.ofString());
    }

    @Test
    void aPrefillServerOnTwoNodesFillsADecodeServerUntilOneOfThemDies() throws Exception {
        Path model = ServerUnderTest.GOLDEN.resolve("llama-gqa-llama3rope");
        int bootstrapPort = ServerUnderTest.freePort();
        String[] flags = {
            "--disaggregation-mode=prefill",
            "--disaggregation-bootstrap-port=" + bootstrapPort,
            "--chunked-prefill-size=16",
            "--skip-tokenizer-init",
            "--skip-server-warmup"
        };
        ServerUnderTest one = node(model, 1, flags);
        ServerUnderTest zero = node(model, 0, flags);
        ServerUnderTest decode = ServerUnderTest.serveLater(
                "decode",
                model,
                "--disaggregation-mode=decode",
                "--cpu-threads=1",
                "--skip-tokenizer-init",
                "--skip-server-warmup");
        processes.add(decode);
        zero.awaitReady();
        decode.awaitReady();
        long room = 1;
        for (GoldenRecording.Prompt prompt : GoldenRecording.read(model).prompts()) {
            HttpResponse<String> answer = pair(
                            zero, decode, bootstrapPort, room++, PairUnderTest.body(prompt.ids(), 24, true, false))
                    .get(60, TimeUnit.SECONDS);
            assertThat(ServerUnderTest.json(answer)
                            .get("output_ids")
                            .valueStream()
                            .map(JsonNode::asInt))
                    .as("%s\n%s", zero.logTail(), decode.logTail())
                    .containsExactlyElementsOf(
                            Arrays.stream(prompt.greedy()).boxed().toList());
        }

        PairUnderTest.slowDown(zero, "0.5");
        int[] ids = new Random(1).ints(150, 3, 200).toArray();
        CompletableFuture<HttpResponse<String>> travelling =
                pair(zero, decode, bootstrapPort, room, PairUnderTest.body(ids, 8, true, false));
        await().atMost(END).until(() -> zero.requests() == 1);
        one.kill();
        assertThat(travelling.get(30, TimeUnit.SECONDS).body())
                .contains("KVTransferError(bootstrap_room=" + room + ")");
        assertThat(zero.exitStatus(END)).isEqualTo(1);
        PairUnderTest.assertFreeAndHealthy(decode);
    }

    @Test
    void replicasOfAWholeModelAreServersOfTheirOwn() {
        ServerUnderTest node = node(0, "--dp-size=2");
        assertThat(node.exitStatus(END)).isEqualTo(1);
        assertThat(node.log()).contains("--dp-size 2 with --nnodes 2 needs --enable-dp-attention", "a router in front");
    }
}
