package dev.baton.engine.disagg;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.engine.EngineException;
import dev.baton.engine.disagg.transfer.TransferBackend;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.Test;

class DisaggregationConfigTest {
    private static final DisaggregationConfig DECODE = DisaggregationConfig.of(DisaggregationConfig.Mode.DECODE);

    @Test
    void defaultsAreThoseOfTheDialect() {
        assertThat(DECODE)
                .isEqualTo(new DisaggregationConfig(
                        DisaggregationConfig.Mode.DECODE,
                        TransferBackend.AUTO,
                        "127.0.0.1",
                        "127.0.0.1",
                        8998,
                        512,
                        4096,
                        1,
                        Duration.ofSeconds(300),
                        Duration.ofSeconds(300),
                        Duration.ofSeconds(5),
                        2,
                        0));
        assertThat(DECODE.withEnvironment(Map.of(), null)).isEqualTo(DECODE);
        assertThat(DisaggregationConfig.NONE.mode().flag()).isEqualTo("null");
    }

    @Test
    void theEnvironmentVariablesAreTaken() {
        DisaggregationConfig config = DECODE.withEnvironment(
                Map.of(
                        "SGLANG_NUM_RESERVED_DECODE_TOKENS", "112",
                        "SGLANG_DISAGGREGATION_BOOTSTRAP_TIMEOUT", "7.5",
                        "SGLANG_DISAGGREGATION_WAITING_TIMEOUT", "600",
                        "SGLANG_DISAGGREGATION_HEARTBEAT_INTERVAL", "0.5",
                        "SGLANG_DISAGGREGATION_HEARTBEAT_MAX_FAILURE", "0",
                        "SGLANG_CLIP_MAX_NEW_TOKENS_ESTIMATION", "128",
                        "DISAGGREGATION_TEST_FAILURE_PROB", "0.25"),
                null);
        assertThat(config.reservedDecodeTokens()).isEqualTo(112);
        assertThat(config.bootstrapTimeout()).isEqualTo(Duration.ofMillis(7500));
        assertThat(config.waitingTimeout()).isEqualTo(Duration.ofSeconds(600));
        assertThat(config.heartbeatInterval()).isEqualTo(Duration.ofSeconds(2));
        assertThat(config.heartbeatMaxFailures()).isEqualTo(1);
        assertThat(config.clipNewTokens()).isEqualTo(128);
        assertThat(config.failureProbability()).isEqualTo(0.25);
        assertThat(DECODE.withEnvironment(Map.of("SGLANG_NUM_RESERVED_DECODE_TOKENS", "112"), 64)
                        .reservedDecodeTokens())
                .isEqualTo(64);
    }

    @Test
    void nonsenseIsAnErrorThatNamesTheVariable() {
        assertThatThrownBy(() -> DECODE.withEnvironment(Map.of("SGLANG_DISAGGREGATION_WAITING_TIMEOUT", "soon"), null))
                .isInstanceOf(EngineException.class)
                .hasMessage("SGLANG_DISAGGREGATION_WAITING_TIMEOUT must be a number, got soon");
        assertThatThrownBy(() -> DECODE.withEnvironment(Map.of("SGLANG_DISAGGREGATION_WAITING_TIMEOUT", "-1"), null))
                .hasMessageContaining("SGLANG_DISAGGREGATION_WAITING_TIMEOUT is out of range");
        assertThatThrownBy(() -> DisaggregationConfig.Mode.parse("both"))
                .hasMessageContaining("null, prefill or decode");
    }
}
