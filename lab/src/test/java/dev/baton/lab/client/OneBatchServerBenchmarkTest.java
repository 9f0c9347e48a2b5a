package dev.baton.lab.client;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.baton.lab.LabException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

class OneBatchServerBenchmarkTest {
    private static final PrintStream NOWHERE = new PrintStream(new ByteArrayOutputStream());

    private static void answer(FakeServer.Request request, FakeServer.Exchange exchange) throws IOException {
        switch (request.path()) {
            case "/get_server_info" ->
                exchange.json(
                        200,
                        "{\"tp_size\":2,\"internal_states\":[{\"last_gen_throughput\":12.5,"
                                + "\"memory_usage\":{\"token_capacity\":100}}]}");
            case "/generate" -> {
                JsonNode body = ServerCalls.JSON.readTree(request.body());
                int tokens = body.path("sampling_params").path("max_new_tokens").asInt();
                exchange.startStream();
                for (int t = 1; t <= tokens; t++) {
                    for (int i = 0; i < body.path("input_ids").size(); i++) {
                        String finish = t == tokens ? "{\"type\":\"length\",\"length\":" + t + "}" : "null";
                        exchange.event("{\"text\":\"x\",\"meta_info\":{\"finish_reason\":" + finish
                                + ",\"completion_tokens\":" + t + "},\"index\":" + i + "}");
                    }
                }
                exchange.event("[DONE]");
                exchange.endStream();
            }
            default -> exchange.json(200, "ok");
        }
    }

    private static OneBatchConfig config(String url, Path file, List<Integer> batches, boolean profile) {
        OneBatchConfig d = OneBatchConfig.defaults(url);
        return new OneBatchConfig(
                d.baseUrl(),
                d.runName(),
                batches,
                List.of(8),
                List.of(4),
                0,
                false,
                1,
                0,
                true,
                false,
                profile,
                5,
                false,
                "p-",
                null,
                file.toString(),
                42,
                null,
                50,
                20);
    }

    @Test
    void measuresEachCaseAndSkipsWhatDoesNotFit(@TempDir Path folder) throws IOException {
        Path file = folder.resolve("result.jsonl");
        try (FakeServer server = new FakeServer(OneBatchServerBenchmarkTest::answer)) {
            List<OneBatchResult> results =
                    OneBatchServerBenchmark.run(config(server.url(), file, List.of(1, 3, 9), false), NOWHERE);
            assertThat(results).extracting(OneBatchResult::batchSize).containsExactly(1, 3);
            assertThat(results.getLast().lastTtftSeconds())
                    .isPositive()
                    .isLessThan(results.getLast().latencySeconds());
            assertThat(results.getLast().lastGenThroughput()).isEqualTo(12.5);
            assertThat(OneBatchServerBenchmark.report(results).lines()).hasSize(4);
            assertThat(server.requests())
                    .extracting(FakeServer.Request::path)
                    .startsWith("/get_server_info", "/flush_cache", "/generate", "/get_server_info");
        }
        List<String> lines = Files.readAllLines(file);
        assertThat(lines).hasSize(2);
        assertThat(ServerCalls.JSON.readTree(lines.getFirst()).propertyNames())
                .containsExactly(
                        "run_name",
                        "batch_size",
                        "input_len",
                        "output_len",
                        "latency",
                        "input_throughput",
                        "output_throughput",
                        "overall_throughput",
                        "last_ttft",
                        "last_gen_throughput",
                        "acc_length");
    }

    @Test
    void figuresFollowTheFormulas() {
        OneBatchResult r = new OneBatchResult("x", 4, 100, 50, 3.0, 1.0, null, null, 2);
        assertThat(r.inputThroughput()).isEqualTo(400);
        assertThat(r.outputThroughput()).isEqualTo(100);
        assertThat(r.overallThroughput()).isEqualTo(200);
        assertThat(r.itlMillis()).isEqualTo(40);
        assertThat(r.inputCost()).isCloseTo(1e6 / (400 * 0.7) / 3600 * 4, within(1e-9));
        assertThat(r.outputCost()).isCloseTo(1e6 / 100 / 3600 * 4, within(1e-9));
    }

    @Test
    void aProfileIsASecondPassNamedAfterTheCase(@TempDir Path folder) {
        try (FakeServer server = new FakeServer(OneBatchServerBenchmarkTest::answer)) {
            OneBatchServerBenchmark.run(config(server.url(), folder.resolve("r"), List.of(2), true), NOWHERE);
            assertThat(server.requests("/generate")).hasSize(2);
            assertThat(server.requests("/start_profile").getFirst().body())
                    .isEqualTo("{\"num_steps\":5,\"profile_by_stage\":false,\"profile_prefix\":\"p-bs-2-il-8\"}");
        }
    }

    @Test
    void whatCannotBeMeasuredIsSaid(@TempDir Path folder) {
        assertThatThrownBy(() -> config("", folder, List.of(1), false)).hasMessageContaining("--base-url");
        assertThatThrownBy(() -> config("http://x:1", folder, List.of(0), false))
                .hasMessageContaining("--batch-size is 0");
        try (FakeServer server = new FakeServer((request, exchange) -> {
            if (request.path().equals("/generate")) {
                exchange.json(400, "{\"error\":{\"message\":\"too long\"}}");
            } else {
                answer(request, exchange);
            }
        })) {
            assertThatThrownBy(
                            () -> OneBatchServerBenchmark.run(config(server.url(), folder, List.of(1), false), NOWHERE))
                    .isInstanceOf(LabException.class)
                    .hasMessageContaining("too long");
        }
    }
}
