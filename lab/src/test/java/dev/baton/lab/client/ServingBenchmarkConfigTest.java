package dev.baton.lab.client;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.lab.LabException;
import java.time.LocalDate;
import java.util.Map;
import org.junit.jupiter.api.Test;

class ServingBenchmarkConfigTest {
    @Test
    void everyDefaultIsPinned() {
        assertThat(ServingBenchmarkConfig.defaults().toJson().toString())
                .isEqualTo("{\"backend\":\"sglang\",\"base_url\":null,\"host\":\"0.0.0.0\",\"port\":null,"
                        + "\"dataset_name\":\"sharegpt\",\"dataset_path\":\"\",\"model\":null,"
                        + "\"served_model_name\":null,\"tokenizer\":null,\"num_prompts\":1000,"
                        + "\"sharegpt_output_len\":null,\"sharegpt_context_len\":null,\"random_input_len\":1024,"
                        + "\"random_output_len\":1024,\"random_range_ratio\":0.0,\"request_rate\":\"Infinity\","
                        + "\"max_concurrency\":null,\"output_file\":null,\"output_details\":false,"
                        + "\"print_requests\":false,\"disable_tqdm\":false,\"disable_stream\":false,"
                        + "\"return_logprob\":false,\"seed\":1,\"disable_ignore_eos\":false,"
                        + "\"extra_request_body\":null,\"apply_chat_template\":false,\"profile\":false,"
                        + "\"profile_activities\":[\"CPU\",\"GPU\"],\"profile_num_steps\":null,"
                        + "\"profile_by_stage\":false,\"profile_stages\":null,\"prompt_suffix\":\"\","
                        + "\"pd_separated\":false,\"profile_prefill_url\":null,\"profile_decode_url\":null,"
                        + "\"flush_cache\":false,\"warmup_requests\":1,\"tokenize_prompt\":false,"
                        + "\"gsp_num_groups\":64,\"gsp_prompts_per_group\":16,\"gsp_system_prompt_len\":2048,"
                        + "\"gsp_question_len\":128,\"gsp_output_len\":256,\"gsp_range_ratio\":1.0,\"tag\":null,"
                        + "\"profile_start_step\":null,\"profile_prefix\":null,\"profile_output_dir\":null,"
                        + "\"cell\":null,\"request_timeout_seconds\":21600.0,\"vocab_size\":null,"
                        + "\"warmup_pause_seconds\":1.0}");
    }

    @Test
    void keysAreSetByTheirFlagNames() {
        ServingBenchmarkConfig config = ServingBenchmarkConfig.of(Map.of(
                "backend",
                "vllm-chat",
                "random-input-len",
                12,
                "request_rate",
                "inf",
                "extra_request_body",
                Map.of("a", Map.of("b", 1))));
        assertThat(config.backend()).isEqualTo(Backend.VLLM_CHAT);
        assertThat(config.randomInputLen()).isEqualTo(12);
        assertThat(config.target()).hasToString("http://127.0.0.1:8000");
        assertThat(config.extraRequestBody()).isEqualTo(Map.of("a", Map.of("b", 1)));
        assertThat(config.with("base_url", "http://h:1/").target()).hasToString("http://h:1");
    }

    @Test
    void whatIsWrongIsNamed() {
        assertRefused("num_promts", 3, "unknown key 'num_promts'; did you mean 'num_prompts'?");
        assertRefused("num_prompts", 0, "num_prompts is 0; give 1 or more");
        assertRefused("num_prompts", "many", "num_prompts: ");
        assertRefused("random_range_ratio", 1.5, "random_range_ratio is 1.5");
        assertRefused("request_rate", 0, "request_rate is 0.0");
        assertRefused("backend", "trt", "backend 'trt' is not one of sglang");
        assertRefused("dataset_name", "mmmu", "dataset_name 'mmmu' is not one of sharegpt");
        assertThatThrownBy(() ->
                        ServingBenchmarkConfig.of(Map.of("base_url", "host:1")).target())
                .hasMessageContaining("http://host:port");
    }

    private static void assertRefused(String key, Object value, String message) {
        assertThatThrownBy(() -> ServingBenchmarkConfig.defaults().with(key, value))
                .isInstanceOfSatisfying(
                        LabException.class, e -> assertThat(e.code()).isEqualTo(LabException.Code.INVALID_CONFIG))
                .hasMessageContaining(message);
    }

    @Test
    void resultFilesAreNamedLikeSglangs() {
        LocalDate day = LocalDate.of(2026, 3, 9);
        ServingBenchmarkConfig config = ServingBenchmarkConfig.defaults();
        assertThat(ServingRecord.defaultFile(config, day)).isEqualTo("sglang_0309_1000_sharegpt.jsonl");
        assertThat(ServingRecord.defaultFile(config.with("dataset_name", "random"), day))
                .isEqualTo("sglang_0309_1000_1024_1024.jsonl");
    }
}
