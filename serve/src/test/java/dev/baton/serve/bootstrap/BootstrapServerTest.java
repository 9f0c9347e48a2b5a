package dev.baton.serve.bootstrap;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.engine.disagg.BootstrapClient;
import dev.baton.engine.disagg.transfer.LayerRange;
import dev.baton.serve.ServeException;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The bootstrap registry over real sockets. */
class BootstrapServerTest {
    private static final String RANK = "{\"role\":\"Prefill\",\"attn_tp_size\":2,\"attn_tp_rank\":0,\"attn_dp_size\":1,"
            + "\"attn_dp_rank\":0,\"pp_size\":1,\"pp_rank\":0,\"system_dp_size\":1,\"system_dp_rank\":0,"
            + "\"rank_ip\":\"10.0.0.5\",\"rank_port\":4000,\"page_size\":64,\"transfer_port\":4100}";

    private final BootstrapServer server = BootstrapServer.start("127.0.0.1", 0);
    private final HttpClient http = HttpClient.newHttpClient();
    private final BootstrapClient client = new BootstrapClient();

    @AfterEach
    void close() {
        client.close();
        http.close();
        server.close();
    }

    private HttpResponse<String> send(String method, String path, String body) throws Exception {
        var request = HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + server.port() + path))
                .method(method, HttpRequest.BodyPublishers.ofString(body))
                .build();
        return http.send(request, HttpResponse.BodyHandlers.ofString());
    }

    @Test
    void ranksRegisterAndAreFound() throws Exception {
        var early = send("GET", "/route?engine_rank=-1&target_dp_group=-1&target_pp_rank=-1", "");
        assertThat(early.statusCode()).isEqualTo(503);
        assertThat(early.body()).isEqualTo("Prefill server not fully registered yet (0 workers registered).");

        assertThat(send("PUT", "/route", RANK).body()).isEqualTo("OK");
        assertThat(send("GET", "/route?engine_rank=0&target_dp_group=0&target_pp_rank=0", "")
                        .body())
                .isEqualTo("Prefill server not fully registered yet (1 workers registered).");
        send(
                "PUT",
                "/route",
                RANK.replace("\"attn_tp_rank\":0", "\"attn_tp_rank\":1").replace("4000", "4001"));

        assertThat(send("GET", "/route?engine_rank=-1&target_dp_group=-1&target_pp_rank=-1", "")
                        .body())
                .isEqualTo("{\"prefill_attn_tp_size\":2,\"prefill_dp_size\":1,\"prefill_pp_size\":1,\"page_size\":64}");
        assertThat(send("GET", "/route?engine_rank=1&target_dp_group=0&target_pp_rank=0", "")
                        .body())
                .startsWith("{\"rank_ip\":\"10.0.0.5\",\"rank_port\":4001,")
                .contains("\"transfer_port\":4100");
        var absent = send("GET", "/route?engine_rank=7&target_dp_group=0&target_pp_rank=0", "");
        assertThat(absent.statusCode()).isEqualTo(404);
        assertThat(send("GET", "/health", "").body()).isEqualTo("OK");
    }

    @Test
    void faultyCallsAreRefused() throws Exception {
        var missing = send("GET", "/route?engine_rank=1", "");
        assertThat(missing.statusCode()).isEqualTo(400);
        assertThat(missing.body()).isEqualTo("Missing inputs for bootstrap server.");
        assertThat(send("POST", "/route", RANK).statusCode()).isEqualTo(405);
        assertThat(send("PUT", "/route", "{}").body()).startsWith("role must be \"Prefill\"");
        assertThat(send("PUT", "/route", RANK.replace("\"attn_tp_rank\":0", "\"attn_tp_rank\":2"))
                        .body())
                .isEqualTo("attn_tp_rank must be in [0, 2), got 2.");
        assertThat(send("PUT", "/route", "no json").statusCode()).isEqualTo(400);
        assertThat(send("PUT", "/route", "x".repeat(70_000)).statusCode()).isEqualTo(413);
        assertThat(server.registered()).isZero();
    }

    @Test
    void aRankThatRegistersAgainReplacesItsEntryAndAnotherShapeReplacesAll() throws Exception {
        String single = RANK.replace("\"attn_tp_size\":2", "\"attn_tp_size\":1");
        send("PUT", "/route", single);
        send("PUT", "/route", single.replace("4000", "5000"));
        assertThat(client.rank("127.0.0.1", server.port(), 0, 0, 0).port()).isEqualTo(5_000);
        send("PUT", "/route", RANK);
        assertThat(server.registered()).isEqualTo(1);
        assertThatThrownBy(() -> client.sizes("127.0.0.1", server.port()))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("not fully registered yet (1 workers registered)");
    }

    @Test
    void aSecondPrefillServerOnThePortIsToldSo() {
        assertThatThrownBy(() -> BootstrapServer.start("127.0.0.1", server.port()))
                .isInstanceOf(ServeException.class)
                .hasMessageContaining(Integer.toString(server.port()))
                .hasMessageContaining("--disaggregation-bootstrap-port");
    }

    @Test
    void theEnginesOwnClientRegistersAndFindsRanks() throws Exception {
        for (int dp = 0; dp < 2; dp++) {
            for (int i = 0; i < 4; i++) {
                int stage = i / 2;
                LayerRange layers = new LayerRange(3 * stage, 3 + 3 * stage);
                int port = 6_000 + 100 * dp + 10 * stage + i % 2;
                client.register(
                        "127.0.0.1",
                        server.port(),
                        new BootstrapClient.Registration(
                                2, i % 2, 2, dp, 2, stage, layers, "127.0.0.1", port, 16, "bfloat16", "mla"));
            }
        }
        assertThat(client.sizes("127.0.0.1", server.port())).isEqualTo(new BootstrapClient.Sizes(2, 2, 2));
        assertThat(client.rank("127.0.0.1", server.port(), 1, 0, 0))
                .isEqualTo(new BootstrapClient.RankAddress("127.0.0.1", 6_100, new LayerRange(0, 3)));
        assertThat(client.rank("127.0.0.1", server.port(), 1, 1, 1))
                .isEqualTo(new BootstrapClient.RankAddress("127.0.0.1", 6_111, new LayerRange(3, 6)));
        assertThat(client.isHealthy("127.0.0.1", server.port())).isTrue();
        assertThat(send("GET", "/route?engine_rank=-1&target_dp_group=-1&target_pp_rank=-1", "")
                        .body())
                .contains("\"page_size\":16,\"kv_cache_dtype\":\"bfloat16\"");
    }

    @Test
    void aDeadRegistryIsAnIoErrorNotAHang() throws Exception {
        int port = server.port();
        server.close();
        assertThat(client.isHealthy("127.0.0.1", port)).isFalse();
        assertThatThrownBy(() -> client.sizes("127.0.0.1", port)).isInstanceOf(IOException.class);
    }
}
