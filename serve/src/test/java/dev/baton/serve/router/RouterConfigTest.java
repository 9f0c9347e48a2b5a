package dev.baton.serve.router;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class RouterConfigTest {
    @Test
    void everyDefaultIsPinned() {
        assertThat(RouterConfig.defaults().toJson().toString())
                .isEqualTo("{\"host\":\"0.0.0.0\",\"port\":30000,\"worker_urls\":[],\"pd_disaggregation\":false,"
                        + "\"prefill\":[],\"decode\":[],\"policy\":\"cache_aware\",\"prefill_policy\":null,"
                        + "\"decode_policy\":null,\"cache_threshold\":0.3,\"balance_abs_threshold\":64,"
                        + "\"balance_rel_threshold\":1.5,\"eviction_interval_secs\":120.0,"
                        + "\"max_tree_size\":67108864,\"max_payload_size\":536870912,"
                        + "\"request_timeout_secs\":1800.0,\"max_concurrent_requests\":-1,\"queue_size\":100,"
                        + "\"queue_timeout_secs\":60.0,\"retry_max_retries\":5,\"retry_initial_backoff_ms\":50.0,"
                        + "\"retry_max_backoff_ms\":30000.0,\"retry_backoff_multiplier\":1.5,"
                        + "\"retry_jitter_factor\":0.2,\"disable_retries\":false,\"cb_failure_threshold\":10,"
                        + "\"cb_success_threshold\":3,\"cb_timeout_duration_secs\":60.0,"
                        + "\"disable_circuit_breaker\":false,\"health_failure_threshold\":3,"
                        + "\"health_success_threshold\":2,\"health_check_timeout_secs\":5.0,"
                        + "\"health_check_interval_secs\":60.0,\"health_check_endpoint\":\"/health\","
                        + "\"api_key\":null,\"event_loops\":0}");
    }
}
