package dev.baton.engine.disagg;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import dev.baton.engine.EngineException;
import dev.baton.engine.disagg.transfer.LayerRange;
import dev.baton.engine.disagg.transfer.PrefillLocator;
import dev.baton.engine.request.EngineRequest.Bootstrap;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Registration and lookup against a registry that answers as SGLang's bootstrap server does. */
class BootstrapTest {
    private FakeRegistry registry;
    private int port;

    @BeforeEach
    void start() throws IOException {
        registry = new FakeRegistry();
        port = registry.port();
    }

    @AfterEach
    void stop() throws IOException {
        registry.close();
    }

    private static BootstrapClient.Registration registration(
            int tp, int rank, int dp, int dpRank, int stages, int stage, String host, int port) {
        LayerRange layers = new LayerRange(5 * stage, 5 * stage + 5);
        return new BootstrapClient.Registration(
                tp, rank, dp, dpRank, stages, stage, layers, host, port, 64, "BF16", "m");
    }

    /** Three replicas of two ranks; rank r of replica d listens on 100 + 10 d + r. */
    private void registerAll() {
        try (BootstrapClient client = new BootstrapClient()) {
            for (int d = 0; d < 3; d++) {
                for (int r = 0; r < 2; r++) {
                    client.register("127.0.0.1", port, registration(2, r, 3, d, 1, 0, "127.0.0.1", 100 + 10 * d + r));
                }
            }
        }
        registry.seen.clear();
    }

    private static PrefillDirectory directory(Duration heartbeat) {
        return new PrefillDirectory(Duration.ofSeconds(5), heartbeat, 2);
    }

    @Test
    void aRankRegistersWithTheFieldsOfTheDialectAndOurs() {
        try (BootstrapClient client = new BootstrapClient()) {
            client.register("127.0.0.1", port, registration(2, 1, 3, 2, 2, 1, "10.0.0.5", 4711));
        }
        assertThat(registry.seen).hasSize(1);
        assertThat(registry.seen.getFirst())
                .contains("\"role\":\"Prefill\"", "\"attn_tp_size\":2", "\"attn_tp_rank\":1", "\"system_dp_size\":3")
                .contains("\"system_dp_rank\":2", "\"attn_dp_size\":1", "\"attn_dp_rank\":0", "\"pp_size\":2")
                .contains("\"pp_rank\":1", "\"first_layer\":5", "\"end_layer\":10")
                .contains("\"rank_ip\":\"10.0.0.5\"", "\"rank_port\":4711", "\"page_size\":64")
                .contains("\"kv_cache_dtype\":\"BF16\"", "\"kv_layout\":\"m\"");
    }

    @Test
    void theGroupOfARoomIsItsNumberModuloTheReplicas() throws Exception {
        registerAll();
        try (PrefillDirectory directory = directory(Duration.ofSeconds(60))) {
            assertThat(directory.locate(new Bootstrap("127.0.0.1", port, 5)).ranks())
                    .extracting(InetSocketAddress::getPort)
                    .containsExactly(120, 121);
            int asked = registry.seen.size();
            directory.locate(new Bootstrap("127.0.0.1", port, 8));
            assertThat(registry.seen).hasSize(asked);
            directory.forget(new Bootstrap("127.0.0.1", port, 0));
            directory.locate(new Bootstrap("127.0.0.1", port, 8));
            assertThat(registry.seen.size()).isGreaterThan(asked);
        }
    }

    @Test
    void theStagesOfAGroupComeWithTheirLayers() throws Exception {
        try (BootstrapClient client = new BootstrapClient();
                PrefillDirectory directory = directory(Duration.ofSeconds(60))) {
            for (int stage = 0; stage < 2; stage++) {
                for (int rank = 0; rank < 2; rank++) {
                    client.register(
                            "127.0.0.1",
                            port,
                            registration(2, rank, 1, 0, 2, stage, "127.0.0.1", 100 + 10 * stage + rank));
                }
            }
            PrefillLocator.Group group = directory.locate(new Bootstrap("127.0.0.1", port, 5));
            assertThat(group.stages())
                    .extracting(PrefillLocator.Stage::layers)
                    .containsExactly(new LayerRange(0, 5), new LayerRange(5, 10));
            assertThat(group.ranks()).extracting(InetSocketAddress::getPort).containsExactly(100, 101, 110, 111);
        }
    }

    @Test
    void aPrefillServerThatHasNotRegisteredYetIsWaitedFor() throws Exception {
        registerAll();
        registry.notYet.set(2);
        try (PrefillDirectory directory = directory(Duration.ofSeconds(60))) {
            assertThat(directory.locate(new Bootstrap("127.0.0.1", port, 0)).ranks())
                    .hasSize(2);
        }
    }

    @Test
    void anAddressWhereNobodyListensIsNamed() throws IOException {
        registry.close();
        try (PrefillDirectory directory = directory(Duration.ofSeconds(60))) {
            assertThatThrownBy(() -> directory.locate(new Bootstrap("127.0.0.1", port, 0)))
                    .isInstanceOf(IOException.class)
                    .hasMessageContaining("http://127.0.0.1:" + port);
        }
        try (BootstrapClient client = new BootstrapClient()) {
            assertThatThrownBy(() -> client.register("127.0.0.1", port, registration(1, 0, 1, 0, 1, 0, "h", 1)))
                    .isInstanceOf(EngineException.class)
                    .hasMessageContaining("http://127.0.0.1:" + port);
        }
    }

    @Test
    void aServerThatStopsAnsweringIsReportedAfterItsHeartbeatsFail() throws Exception {
        registerAll();
        AtomicReference<String> lost = new AtomicReference<>("");
        try (PrefillDirectory directory = directory(Duration.ofMillis(50))) {
            directory.onLost((host, lostPort, reason) -> lost.set(host + ":" + lostPort + " " + reason));
            directory.locate(new Bootstrap("127.0.0.1", port, 0));
            registry.close();
            await().atMost(Duration.ofSeconds(20)).until(() -> !lost.get().isEmpty());
            assertThat(lost.get())
                    .isEqualTo("127.0.0.1:" + port + " its bootstrap server failed 2 health checks in a row");
        }
    }
}
