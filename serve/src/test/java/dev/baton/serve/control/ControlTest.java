package dev.baton.serve.control;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.engine.EngineException;
import dev.baton.serve.BatonServer;
import dev.baton.serve.ByteCodec;
import dev.baton.serve.FakeEngine;
import dev.baton.serve.ServeConfig;
import dev.baton.serve.ServeException;
import dev.baton.serve.ServerFixture;
import dev.baton.serve.Warmup;
import dev.baton.serve.http.AccessLog;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Test;

/** Health, profile, metrics, warm-up and the access log. */
class ControlTest {
    @Test
    void aStartingServerIsNotHealthyUntilItsWarmUp() throws Exception {
        var engine = new FakeEngine();
        var config = ServeConfig.of("models/fake").port(0).accessLog(false).build();
        try (var server = BatonServer.start(config, engine, new ByteCodec());
                var client = HttpClient.newHttpClient()) {
            var health =
                    HttpRequest.newBuilder(URI.create(server.url() + "/health")).build();
            assertThat(client.send(health, HttpResponse.BodyHandlers.ofString()).statusCode())
                    .isEqualTo(503);
            Warmup.run(server, null, 2, true, Duration.ofSeconds(20));
            assertThat(engine.submitted).hasSize(2);
            assertThat(client.send(health, HttpResponse.BodyHandlers.ofString()).statusCode())
                    .isEqualTo(200);
        } finally {
            engine.close();
        }
    }

    @Test
    void aFailedWarmUpSaysWhy() {
        var engine = new FakeEngine();
        engine.queueLimit = 0;
        var config = ServeConfig.of("models/fake").port(0).accessLog(false).build();
        try (var server = BatonServer.start(config, engine, new ByteCodec())) {
            assertThatThrownBy(() -> Warmup.run(server, null, 1, true, Duration.ofSeconds(20)))
                    .isInstanceOf(ServeException.class)
                    .hasMessageContaining("Initialization failed. warmup error: the server answered 503")
                    .hasMessageContaining("The request queue is full.");
        } finally {
            engine.close();
        }
    }

    @Test
    void anEngineThatStandsStillIsUnhealthyAndItsProbeIsTakenBack() throws Exception {
        var engine = new FakeEngine();
        engine.pause();
        try (var fixture = new ServerFixture(engine, config -> config.healthTimeoutSeconds(1))) {
            assertThat(fixture.get("/health").statusCode()).isEqualTo(503);
            assertThat(fixture.server.status()).isEqualTo(ServerState.Status.UNHEALTHY);
            Awaitility.await().until(() -> engine.liveRequests() == 0);
            engine.resume();
            assertThat(fixture.get("/health_generate").statusCode()).isEqualTo(200);
            assertThat(fixture.server.status()).isEqualTo(ServerState.Status.UP);
        }
    }

    @Test
    void anEngineThatIsBusyButMakesNoStepIsAskedForAToken() throws Exception {
        var engine = new FakeEngine();
        engine.pause();
        try (var fixture = new ServerFixture(engine, config -> config.healthTimeoutSeconds(1));
                var socket = fixture.socket()) {
            ServerFixture.write(socket, ServerFixture.wire("/generate", "{\"text\":\"a\"}"));
            Awaitility.await().until(() -> engine.liveRequests() == 1);
            assertThat(fixture.get("/health").statusCode()).isEqualTo(503);
            assertThat(engine.submitted).hasSize(2);
            assertThat(engine.submitted.getLast().rid()).startsWith("HEALTH_CHECK_");
            Awaitility.await().until(() -> engine.liveRequests() == 1);
        }
    }

    @Test
    void aBusyEngineIsHealthyByItsNextStepWithoutAnotherRequest() throws Exception {
        try (var fixture = new ServerFixture()) {
            fixture.engine.pause();
            try (var socket = fixture.socket()) {
                ServerFixture.write(
                        socket,
                        ServerFixture.wire(
                                "/generate", "{\"text\":\"a\",\"sampling_params\":{\"max_new_tokens\":90}}"));
                Awaitility.await().until(() -> fixture.engine.liveRequests() == 1);
                var status = new Object() {
                    volatile int code;
                };
                Thread check = Thread.startVirtualThread(() -> {
                    try {
                        status.code = fixture.get("/health").statusCode();
                    } catch (Exception e) {
                        status.code = -1;
                    }
                });
                Awaitility.await().until(() -> {
                    fixture.engine.step();
                    return status.code != 0;
                });
                check.join(20_000);
                assertThat(status.code).isEqualTo(200);
                assertThat(fixture.engine.submitted).hasSize(1);
            }
        }
    }

    @Test
    void aProfileReachesTheEngineAndASecondStartIsAnError() throws Exception {
        try (var fixture = new ServerFixture()) {
            var body = "{\"num_steps\":\"5\",\"start_step\":3,\"output_dir\":\"/tmp/p\",\"profile_prefix\":\"run\","
                    + "\"merge_profiles\":true,\"record_shapes\":false,\"activities\":[\"CPU\"]}";
            assertThat(fixture.post("/start_profile", body).statusCode()).isEqualTo(200);
            var profile = fixture.engine.profile;
            assertThat(profile.numSteps()).isEqualTo(5);
            assertThat(profile.startStep()).isEqualTo(3L);
            assertThat(profile.outputDir()).isEqualTo("/tmp/p");
            assertThat(profile.profilePrefix()).isEqualTo("run");
            assertThat(profile.mergeProfiles()).isTrue();
            assertThat(profile.recordShapes()).isFalse();
            assertThat(profile.withStack()).isNull();
            assertThat(profile.activities()).containsExactly("CPU");
            assertThat(profile.profileId()).matches("\\d{10}\\.\\d{7}");
            var again = fixture.post("/start_profile", "{}");
            assertThat(again.statusCode()).isEqualTo(500);
            assertThat(again.body()).startsWith("Profiling is already in progress.");
            assertThat(fixture.post("/end_profile", null == body ? "" : "{}").body())
                    .isEqualTo("Stop profiling. This will take some time.\n");
        }
    }

    @Test
    void slowDownReachesTheEngineInSeconds() throws Exception {
        try (var fixture = new ServerFixture()) {
            fixture.post("/slow_down", "{\"forward_sleep_time\": 1.5}");
            assertThat(fixture.engine.sleepSeconds).isEqualTo(1.5);
            fixture.post("/slow_down", "{\"forward_sleep_time\": -2}");
            assertThat(fixture.engine.sleepSeconds).isZero();
            fixture.post("/slow_down", "{\"forward_sleep_time\": null}");
            assertThat(fixture.engine.sleepSeconds).isZero();
        }
    }

    @Test
    void flushIs400WithTheSameTextWhileARequestIsThere() throws Exception {
        try (var fixture = new ServerFixture();
                var socket = fixture.socket()) {
            fixture.engine.pause();
            ServerFixture.write(socket, ServerFixture.wire("/generate", "{\"text\":\"a\"}"));
            Awaitility.await().until(() -> fixture.engine.liveRequests() == 1);
            var reply = fixture.get("/flush_cache");
            assertThat(reply.statusCode()).isEqualTo(400);
            assertThat(reply.body()).startsWith("Cache flushed.\nPlease check backend logs");
        }
    }

    @Test
    void metricsHaveTheDialectsNamesLabelsAndBuckets() throws Exception {
        try (var fixture = new ServerFixture(new FakeEngine(), config -> config.metrics(true))) {
            fixture.post("/generate", "{\"text\":\"hi\",\"sampling_params\":{\"max_new_tokens\":5}}");
            fixture.get("/no/such/path");
            String text = fixture.get("/metrics").body();
            assertThat(text)
                    .contains("sglang:prompt_tokens_total{model_name=\"models/fake\"} 2.0\n")
                    .contains("sglang:generation_tokens_total{model_name=\"models/fake\"} 5.0\n")
                    .contains("sglang:num_requests_total{model_name=\"models/fake\"} 1.0\n")
                    .contains("sglang:inter_token_latency_seconds_count{model_name=\"models/fake\"} 4\n")
                    .contains("sglang:time_to_first_token_seconds_bucket{model_name=\"models/fake\",le=\"0.1\"}")
                    .contains("sglang:e2e_request_latency_seconds_bucket{model_name=\"models/fake\",le=\"2400.0\"}")
                    .contains("sglang:gen_throughput{engine_type=\"unified\",model_name=\"models/fake\","
                            + "pp_rank=\"0\",tp_rank=\"0\"} 123.5\n")
                    .contains("sglang:cache_hit_rate{")
                    .contains("sglang:num_running_reqs{")
                    .contains("sglang:token_usage{")
                    .contains("sglang:http_responses_total{endpoint=\"/generate\",method=\"POST\","
                            + "status_code=\"200\"} 1.0\n")
                    .contains("endpoint=\"unmatched\"");
        }
    }

    @Test
    void eachDpRankHasItsOwnGauges() throws Exception {
        try (var fixture = new ServerFixture(new FakeEngine(null, 2), config -> config.metrics(true))) {
            assertThat(fixture.get("/metrics").body())
                    .contains("sglang:num_running_reqs{dp_rank=\"0\",")
                    .contains("sglang:num_running_reqs{dp_rank=\"1\",");
            assertThat(ServerFixture.JSON
                            .readTree(fixture.get("/get_server_info").body())
                            .get("internal_states"))
                    .hasSize(2);
        }
    }

    @Test
    void accessLinesHaveUvicornsForm() throws Exception {
        List<String> lines = new CopyOnWriteArrayList<>();
        Handler handler = new Handler() {
            @Override
            public void publish(LogRecord entry) {
                lines.add(entry.getMessage());
            }

            @Override
            public void flush() {}

            @Override
            public void close() {}
        };
        Logger logger = Logger.getLogger(AccessLog.LOGGER);
        logger.addHandler(handler);
        logger.setUseParentHandlers(false);
        try (var fixture = new ServerFixture(new FakeEngine(), config -> config.accessLog(true))) {
            fixture.post("/generate", "{\"text\":\"hi\"}");
            fixture.get("/v1/models?x=1");
            Awaitility.await().until(() -> lines.size() == 2);
            assertThat(lines.get(0)).matches("INFO:     127\\.0\\.0\\.1:\\d+ - \"POST /generate HTTP/1\\.1\" 200 OK");
            assertThat(lines.get(1)).endsWith("\"GET /v1/models?x=1 HTTP/1.1\" 200 OK");
        } finally {
            logger.removeHandler(handler);
            logger.setUseParentHandlers(true);
        }
    }

    @Test
    void aClosingEngineIs503() throws Exception {
        try (var fixture = new ServerFixture()) {
            fixture.engine.close();
            var reply = fixture.post("/generate", "{\"text\":\"hi\"}");
            assertThat(reply.statusCode()).isEqualTo(503);
            assertThat(reply.body())
                    .contains(new EngineException(EngineException.Code.UNAVAILABLE, "The engine is closing.")
                            .getMessage());
        }
    }
}
