package dev.baton.serve;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Bodies that cannot be served: each is 400 with a text that names the field, and leaves nothing with the engine. */
class BadInputTest {
    private static ServerFixture fixture;

    @BeforeAll
    static void start() {
        fixture = new ServerFixture();
    }

    @AfterAll
    static void close() {
        fixture.close();
    }

    private static Arguments bad(String path, String body, String... texts) {
        return Arguments.of(path, body, texts);
    }

    static Stream<Arguments> generate() {
        String path = "/generate";
        return Stream.of(
                bad(path, "", "JSON object"),
                bad(path, "{", "not valid JSON", "line 1"),
                bad(path, "{\"text\":\"a\"} x", "JSON"),
                bad(path, "[1]", "JSON object", "an array"),
                bad(path, "{\"text\":\"\\ud8", "not valid JSON"),
                bad(path, "[".repeat(5_000), "JSON"),
                bad(path, "{\"text\":\"a\",\"custom_labels\":" + "[".repeat(5_000), "nesting"),
                bad(path, "{}", "Either text, input_ids or input_embeds should be provided."),
                bad(path, "{\"text\":\"a\",\"input_ids\":[1]}", "Either text, input_ids or input_embeds"),
                bad(path, "{\"txt\":\"a\"}", "'txt'", "Did you mean 'text'?"),
                bad(path, "{\"text\":\"a\",\"image_data\":\"x.png\"}", "image_data", "not supported yet"),
                bad(path, "{\"text\":5}", "text must be a string, got 5"),
                bad(path, "{\"text\":{}}", "text must be a string, got an object"),
                bad(path, "{\"text\":[]}", "text is an empty list"),
                bad(path, "{\"text\":[\"a\",null]}", "text[1] is null"),
                bad(path, "{\"text\":\"\"}", "text is empty"),
                bad(path, "{\"text\":[\"a\",\"\"]}", "text[1] is empty"),
                bad(path, "{\"input_ids\":[]}", "input_ids is empty"),
                bad(path, "{\"input_ids\":\"1\"}", "input_ids must be an array of token ids"),
                bad(path, "{\"input_ids\":[1,-1]}", "input_ids[1] is -1", "vocabulary [0, 256)"),
                bad(path, "{\"input_ids\":[[1],[2,256]]}", "input_ids[1][1] is 256", "vocabulary [0, 256)"),
                bad(path, "{\"input_ids\":[1.5]}", "input_ids[0] must be an integer, got 1.5"),
                bad(path, "{\"input_ids\":[99999999999]}", "input_ids[0] must be a 32-bit integer"),
                bad(path, "{\"input_ids\":[1,[2]]}", "input_ids[1] must be an integer, got an array"),
                bad(
                        path,
                        "{\"text\":\"" + "x".repeat(4_096) + "\"}",
                        "The input (4096 tokens) is longer than the model's context length (4096 tokens)."),
                bad(
                        path,
                        sampling("\"max_new_tokens\":4096"),
                        "Requested token count exceeds the model's maximum context length of 4096"),
                bad(path, sampling("\"max_new_tokens\":-1"), "max_new_tokens must be at least 0, got -1"),
                bad(path, sampling("\"max_new_tokens\":1e99"), "sampling_params.max_new_tokens must be"),
                bad(path, sampling("\"max_new_tokens\":99999999999"), "max_new_tokens must be a 32-bit integer"),
                bad(path, sampling("\"max_new_tokens\":\"5\""), "max_new_tokens must be an integer, got \"5\""),
                bad(path, sampling("\"temperature\":-1"), "temperature must be non-negative, got -1.0"),
                bad(path, sampling("\"temperature\":\"hot\""), "temperature must be a number, got \"hot\""),
                bad(path, sampling("\"temperature\":1e999"), "temperature must be a finite number"),
                bad(path, sampling("\"temperature\":NaN"), "not valid JSON"),
                bad(path, sampling("\"temprature\":1"), "'temprature'", "Did you mean 'temperature'?"),
                bad(path, sampling("\"top_p\":0"), "top_p must be in (0, 1]"),
                bad(path, sampling("\"top_k\":0"), "top_k must be -1 (disable) or at least 1"),
                bad(path, sampling("\"n\":0"), "n must be at least 1"),
                bad(path, sampling("\"n\":1000000000"), "n must be at most"),
                bad(path, sampling("\"stop\":[1]"), "sampling_params.stop[0] must be a string"),
                bad(path, sampling("\"stop\":\"\""), "stop must not hold an empty string"),
                bad(path, sampling("\"stop_token_ids\":[300]"), "stop_token_ids", "300"),
                bad(path, sampling("\"logit_bias\":{\"x\":1}"), "logit_bias", "'x'"),
                bad(path, sampling("\"logit_bias\":{\"999\":1}"), "logit_bias", "999"),
                bad(
                        path,
                        sampling("\"custom_params\":{\"a\":1}"),
                        "sampling_params.custom_params is not supported yet"),
                bad(
                        path,
                        sampling("\"regex\":\"a\",\"ebnf\":\"b\""),
                        "Only one of regex, json_schema, or ebnf can be set."),
                bad(path, sampling("\"stream_interval\":0"), "stream_interval must be at least 1"),
                bad(path, "{\"text\":\"a\",\"sampling_params\":[{},{}]}", "sampling_params is a list"),
                bad(path, "{\"text\":[\"a\",\"b\"],\"rid\":[\"r\"]}", "rid has 1 entries for 2 prompts"),
                bad(path, "{\"text\":\"a\",\"stream\":\"yes\"}", "stream must be true or false"),
                bad(path, "{\"text\":\"a\",\"return_logprob\":1}", "return_logprob must be true or false"),
                bad(path, "{\"text\":\"a\",\"return_logprob\":true,\"top_logprobs_num\":-1}", "top_logprobs_num"),
                bad(
                        path,
                        "{\"text\":\"a\",\"return_logprob\":true,\"logprob_start_len\":9}",
                        "logprob_start_len must be at most"),
                bad(
                        path,
                        "{\"text\":\"a\",\"return_logprob\":true,\"token_ids_logprob\":[256]}",
                        "token_ids_logprob holds 256"),
                bad(path, "{\"text\":\"a\",\"data_parallel_rank\":1}", "data_parallel_rank must be in [0, 1)"));
    }

    private static String sampling(String fields) {
        return "{\"text\":\"a\",\"sampling_params\":{" + fields + "}}";
    }

    static Stream<Arguments> openAi() {
        String completions = "/v1/completions";
        String chat = "/v1/chat/completions";
        String user = "\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]";
        return Stream.of(
                bad(completions, "{", "not valid JSON"),
                bad(completions, "{}", "prompt is missing"),
                bad(completions, "{\"prompt\":[]}", "prompt is an empty list"),
                bad(completions, "{\"prompt\":\"\"}", "prompt is empty"),
                bad(completions, "{\"prompt\":7}", "prompt must be a string"),
                bad(completions, "{\"prompt\":[[1],[999]]}", "prompt[1][0] is 999"),
                bad(completions, "{\"prompt\":\"a\",\"max_tokens\":-3}", "max_new_tokens must be at least 0"),
                bad(completions, "{\"prompt\":\"a\",\"max_tokens\":5000}", "maximum context length of"),
                bad(completions, "{\"prompt\":\"a\",\"logprobs\":-1}", "logprobs must be in [0, 1000]"),
                bad(completions, "{\"prompt\":\"a\",\"best_of\":3}", "best_of"),
                bad(completions, "{\"prompt\":\"a\",\"response_format\":{\"type\":\"xml\"}}", "response_format"),
                bad(chat, "{}", "messages must be an array"),
                bad(chat, "{\"messages\":[]}", "messages must be an array with at least one"),
                bad(chat, "{\"messages\":\"hi\"}", "messages must be an array of messages"),
                bad(chat, "{\"messages\":[{\"content\":\"a\"}]}", "messages[0].role must be a string"),
                bad(chat, "{\"messages\":[{\"role\":\"user\",\"content\":3}]}", "messages[0].content"),
                bad(
                        chat,
                        "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]}]}",
                        "messages[0].content",
                        "not supported yet"),
                bad(chat, "{\"messages\":[{\"role\":\"alien\",\"content\":\"a\"}]}", "alien"),
                bad(chat, "{" + user + ",\"top_logprobs\":2}", "top_logprobs needs logprobs"),
                bad(chat, "{" + user + ",\"temperature\":\"x\"}", "temperature must be a number"),
                bad(chat, "{" + user + ",\"tools\":[{\"type\":\"function\"}]}", "tools[0].function.name"),
                bad(chat, "{" + user + ",\"stream_options\":true}", "stream_options must be an object"),
                bad(chat, "{" + user + ",\"n\":99999999}", "n must be at most"));
    }

    @ParameterizedTest
    @MethodSource({"generate", "openAi"})
    void isRefusedAndNamed(String path, String body, String[] texts) throws Exception {
        var reply = fixture.post(path, body);
        assertThat(reply.statusCode()).as(reply.body()).isEqualTo(400);
        var json = ServerFixture.JSON.readTree(reply.body());
        assertThat(json.get("message").asString()).contains(texts);
        assertThat(json.get("error").get("message")).isEqualTo(json.get("message"));
        assertThat(fixture.engine.liveRequests()).isZero();
    }

    @Test
    void unknownFieldsOfOpenAiBodiesArePassedOver() throws Exception {
        assertThat(fixture.post("/v1/completions", "{\"prompt\":\"a\",\"no_such_field\":{\"a\":[1]}}")
                        .statusCode())
                .isEqualTo(200);
    }

    @Test
    void openAiBodiesMustSayThatTheyAreJson() throws Exception {
        try (var socket = fixture.socket()) {
            ServerFixture.write(
                    socket,
                    ServerFixture.wire("/v1/completions", "{\"prompt\":\"a\"}")
                            .replace("application/json", "text/plain"));
            assertThat(ServerFixture.readUntil(socket, "}}"))
                    .startsWith("HTTP/1.1 400 ")
                    .contains("application/json");
        }
    }
}
