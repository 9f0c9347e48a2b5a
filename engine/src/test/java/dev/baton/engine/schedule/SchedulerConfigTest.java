package dev.baton.engine.schedule;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.engine.EngineException;
import org.junit.jupiter.api.Test;

class SchedulerConfigTest {
    @Test
    void everyDefaultIsSglangs() {
        SchedulerConfig config = SchedulerConfig.DEFAULT;
        assertThat(config.maxRunningRequests()).isNull();
        assertThat(config.maxTotalTokens()).isNull();
        assertThat(config.chunkedPrefillTokens()).isEqualTo(4096);
        assertThat(config.maxPrefillTokens()).isEqualTo(16_384);
        assertThat(config.pageTokens()).isEqualTo(1);
        assertThat(config.policy()).isEqualTo(SchedulePolicy.FCFS);
        assertThat(config.conservativeness()).isEqualTo(1.0);
        assertThat(config.radixCache()).isTrue();
        assertThat(config.overlap()).isTrue();
        assertThat(config.decodeLogInterval()).isEqualTo(40);
        assertThat(config.reservedDecodeTokens()).isEqualTo(512);
        assertThat(config.streamInterval()).isEqualTo(1);
        assertThat(config.watchdogSeconds()).isEqualTo(300);
        // SGLang sets no limit; every queue of ours has one.
        assertThat(config.maxQueuedRequests()).isEqualTo(10_000);
        assertThat(config.toBuilder().build()).isEqualTo(config);
        // No pipeline.
        assertThat(config.microBatches()).isEqualTo(1);
        assertThat(config.maxMicroBatchRequests()).isNull();
        assertThat(SchedulerConfig.class.getRecordComponents()).hasSize(16);
    }

    @Test
    void theRunningLimitComesFromThePoolWithinBoundsAndRows() {
        SchedulerConfig config = SchedulerConfig.DEFAULT;
        assertThat(config.runningLimit(1_000, 1_000, 9_999)).isEqualTo(2048);
        assertThat(config.runningLimit(6_000, 1_000, 9_999)).isEqualTo(3072);
        assertThat(config.runningLimit(1_000_000, 1_000, 9_999)).isEqualTo(4096);
        assertThat(config.runningLimit(1_000_000, 1_000, 64)).isEqualTo(64);
        assertThat(config.toBuilder().maxRunningRequests(5).build().runningLimit(1_000, 10, 64))
                .isEqualTo(5);
    }

    @Test
    void aValueThatCannotBeNamesItsFlag() {
        SchedulerConfig.Builder b = SchedulerConfig.DEFAULT.toBuilder();
        refuses(b.maxRunningRequests(0), "--max-running-requests must be at least 1, got 0");
        refuses(fresh().maxTotalTokens(-5), "--max-total-tokens must be at least 1, got -5");
        refuses(fresh().pageTokens(0), "--page-size");
        refuses(fresh().pageTokens(16).chunkedPrefillTokens(100), "multiple of --page-size 16, got 100");
        refuses(fresh().chunkedPrefillTokens(0), "--chunked-prefill-size");
        refuses(fresh().maxPrefillTokens(0), "--max-prefill-tokens");
        refuses(fresh().conservativeness(-0.1), "--schedule-conservativeness");
        refuses(fresh().decodeLogInterval(0), "--decode-log-interval");
        refuses(fresh().reservedDecodeTokens(-1), "--num-reserved-decode-tokens");
        refuses(fresh().maxQueuedRequests(0), "--max-queued-requests");
        refuses(fresh().streamInterval(0), "--stream-interval");
        refuses(fresh().watchdogSeconds(0), "--watchdog-timeout");
        refuses(fresh().microBatches(0), "--pp-async-batch-depth");
        refuses(fresh().maxMicroBatchRequests(0), "--pp-max-micro-batch-size must be at least 1, got 0");
        assertThatThrownBy(() -> SchedulePolicy.of("fifo")).hasMessageContaining("fcfs or lpm");
        assertThat(SchedulePolicy.of("lpm")).isEqualTo(SchedulePolicy.LPM);
        assertThat(fresh().chunkedPrefillTokens(-1).build().chunkedPrefillTokens())
                .isEqualTo(-1);
    }

    private static SchedulerConfig.Builder fresh() {
        return SchedulerConfig.DEFAULT.toBuilder();
    }

    private static void refuses(SchedulerConfig.Builder builder, String message) {
        assertThatThrownBy(builder::build)
                .isInstanceOfSatisfying(
                        EngineException.class, e -> assertThat(e.code()).isEqualTo(EngineException.Code.CONFIGURATION))
                .hasMessageContaining(message);
    }
}
