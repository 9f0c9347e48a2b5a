package dev.baton.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.baton.engine.arch.RopePrecision;
import dev.baton.engine.forward.ReferenceForward;
import dev.baton.model.config.ModelConfig;
import dev.baton.model.safetensors.Checkpoint;
import dev.baton.model.safetensors.WeightSource;
import dev.baton.model.tokenizer.Tokenizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** Log probabilities as replies write them, in both wire forms, against the softmax of the scalar reference's logits. */
class WireLogprobsTest {
    private static final String PROMPT = "Question: what is Baton?";
    private static final int TOP = 4;
    private static final double TOLERANCE = 2e-3;

    private static ServerUnderTest server;
    private static Tokenizer tokenizer;
    private static int[] prompt;

    @BeforeAll
    static void start() {
        server = ServerUnderTest.serve("logprobs", ServerUnderTest.NANO, "--cpu-threads", "1");
        tokenizer = Tokenizer.load(ServerUnderTest.NANO);
        prompt = tokenizer.encode(PROMPT, true);
    }

    @AfterAll
    static void stop() {
        if (tokenizer != null) {
            tokenizer.close();
        }
        if (server != null) {
            server.close();
        }
    }

    /** [positions][vocabulary] log softmax of the logits behind each token. */
    private static double[][] reference(int[] ids) {
        try (WeightSource weights = Checkpoint.open(ServerUnderTest.NANO)) {
            ModelConfig config = ModelConfig.read(ServerUnderTest.NANO);
            float[][] logits = new ReferenceForward(config, weights, RopePrecision.F32).logits(ids);
            double[][] logprobs = new double[logits.length][];
            for (int i = 0; i < logits.length; i++) {
                double sum = 0;
                for (float logit : logits[i]) {
                    sum += Math.exp(logit);
                }
                logprobs[i] = new double[logits[i].length];
                for (int id = 0; id < logits[i].length; id++) {
                    logprobs[i][id] = logits[i][id] - Math.log(sum);
                }
            }
            return logprobs;
        }
    }

    private static int[] best(double[] logprobs) {
        Integer[] order = new Integer[logprobs.length];
        Arrays.setAll(order, i -> i);
        Arrays.sort(order, (a, b) -> Double.compare(logprobs[b], logprobs[a]));
        return Arrays.stream(order).limit(TOP).mapToInt(i -> i).toArray();
    }

    private static JsonNode post(String path, Object body) {
        return ServerUnderTest.json(server.post(path, body));
    }

    @Test
    void theNativeFormHoldsInputOutputAlternativesIdsAndText() {
        JsonNode meta = post(
                        "/generate",
                        Map.of(
                                "input_ids",
                                prompt,
                                "return_logprob",
                                true,
                                "logprob_start_len",
                                0,
                                "top_logprobs_num",
                                TOP,
                                "token_ids_logprob",
                                List.of(5, 77, 300),
                                "return_text_in_logprobs",
                                true,
                                "sampling_params",
                                Map.of(
                                        "max_new_tokens",
                                        6,
                                        "temperature",
                                        1.5,
                                        "sampling_seed",
                                        3,
                                        "ignore_eos",
                                        true,
                                        "repetition_penalty",
                                        1.3)))
                .path("meta_info");
        List<Integer> all = new ArrayList<>();
        for (int id : prompt) {
            all.add(id);
        }
        meta.path("output_token_logprobs")
                .forEach(triple -> all.add(triple.get(1).asInt()));
        double[][] expected = reference(all.stream().mapToInt(i -> i).toArray());
        assertThat(meta.path("input_token_logprobs").size()).isEqualTo(prompt.length);
        assertThat(meta.path("input_token_logprobs").get(0).get(0).isNull()).isTrue();
        for (int at = 1; at < all.size(); at++) {
            boolean input = at < prompt.length;
            int i = input ? at : at - prompt.length;
            String side = input ? "input" : "output";
            double[] truth = expected[at - 1];
            triple(meta.path(side + "_token_logprobs").get(i), all.get(at), truth);
            int[] best = best(truth);
            JsonNode top = meta.path(side + "_top_logprobs").get(i);
            assertThat(top.size()).isEqualTo(TOP);
            for (int rank = 0; rank < TOP; rank++) {
                int id = top.get(rank).get(1).asInt();
                triple(top.get(rank), id, truth);
                assertThat(truth[id]).isCloseTo(truth[best[rank]], within(TOLERANCE));
            }
            JsonNode asked = meta.path(side + "_token_ids_logprobs").get(i);
            int[] ids = {5, 77, 300};
            for (int k = 0; k < ids.length; k++) {
                triple(asked.get(k), ids[k], truth);
            }
        }
    }

    /** Raw log probabilities: neither temperature nor penalties change them. */
    private static void triple(JsonNode triple, int id, double[] truth) {
        assertThat(triple.get(1).asInt()).isEqualTo(id);
        assertThat(triple.get(0).asDouble()).isCloseTo(truth[id], within(TOLERANCE));
        assertThat(triple.get(2).asString()).isEqualTo(tokenizer.decode(new int[] {id}, false));
    }

    @Test
    void theOpenAiFormsHoldTheSame() {
        JsonNode logprobs = post(
                        "/v1/completions",
                        Map.of(
                                "prompt",
                                PROMPT,
                                "max_tokens",
                                5,
                                "temperature",
                                0,
                                "logprobs",
                                TOP,
                                "echo",
                                true,
                                "ignore_eos",
                                true))
                .path("choices")
                .get(0)
                .path("logprobs");
        JsonNode natively = post(
                        "/generate",
                        Map.of(
                                "input_ids",
                                prompt,
                                "return_logprob",
                                true,
                                "logprob_start_len",
                                0,
                                "sampling_params",
                                Map.of("max_new_tokens", 5, "temperature", 0, "ignore_eos", true)))
                .path("meta_info");
        List<JsonNode> triples = new ArrayList<>();
        natively.path("input_token_logprobs").forEach(triples::add);
        natively.path("output_token_logprobs").forEach(triples::add);
        assertThat(logprobs.path("token_logprobs").size()).isEqualTo(triples.size());
        for (int i = 1; i < triples.size(); i++) {
            double value = logprobs.path("token_logprobs").get(i).asDouble();
            assertThat(value).isCloseTo(triples.get(i).get(0).asDouble(), within(1e-4));
            assertThat(logprobs.path("tokens").get(i).asString())
                    .isEqualTo(tokenizer.decode(new int[] {triples.get(i).get(1).asInt()}, false));
        }
        JsonNode content = post(
                        "/v1/chat/completions",
                        Map.of(
                                "messages",
                                List.of(Map.of("role", "user", "content", "What is Baton?")),
                                "max_tokens",
                                5,
                                "temperature",
                                0,
                                "logprobs",
                                true,
                                "top_logprobs",
                                TOP))
                .path("choices")
                .get(0)
                .path("logprobs")
                .path("content");
        assertThat(content.size()).isEqualTo(5);
        for (JsonNode token : content) {
            assertThat(token.path("top_logprobs").size()).isEqualTo(TOP);
            assertThat(token.path("top_logprobs").get(0).path("logprob").asDouble())
                    .isEqualTo(token.path("logprob").asDouble());
            assertThat(token.path("bytes").size()).isPositive();
        }
    }
}
