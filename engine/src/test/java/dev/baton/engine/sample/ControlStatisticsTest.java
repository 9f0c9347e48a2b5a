package dev.baton.engine.sample;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.protocol.SamplingParams;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Draws against the distribution that each control defines, worked out here in F64 from the definitions: Pearson's chi-square
 * over a vocabulary of eight. The draws hang on their numbers alone, so the statistic is the same in every run.
 */
class ControlStatisticsTest {
    private static final float[] LOGITS = {0.3f, 2.1f, -1f, 1.2f, 0.3f, -0.4f, 1.9f, 0.8f};
    /** Prompt 0, 3; output 1, 1, 6. */
    private static final int[] TOKENS = {0, 3, 1, 1, 6};

    private static final int PROMPT = 2;
    private static final int DRAWS = 30_000;
    /** 99.9% quantiles for 1 to 7 degrees of freedom. */
    private static final double[] QUANTILES = {10.83, 13.82, 16.27, 18.47, 20.52, 22.46, 24.32};

    private record Case(String name, SamplingParams params, long allowed) {
        @Override
        public String toString() {
            return name;
        }
    }

    private static Case control(String name, SamplingParams.Builder params, long allowed) {
        return new Case(name, params.maxNewTokens(50).build(), allowed);
    }

    private static SamplingParams.Builder with() {
        return SamplingParams.DEFAULT.toBuilder();
    }

    static List<Case> controls() {
        return List.of(
                control("temperature 0.5", with().temperature(0.5f), 0xFF),
                control("temperature 2", with().temperature(2), 0xFF),
                control("top-k", with().topK(4), 0xFF),
                control("top-p", with().topP(0.7f), 0xFF),
                control("min-p", with().minP(0.3f), 0xFF),
                control("frequency penalty", with().frequencyPenalty(0.8f), 0xFF),
                control("presence penalty", with().presencePenalty(1.1f), 0xFF),
                control("negative penalties", with().frequencyPenalty(-0.3f).presencePenalty(-0.4f), 0xFF),
                control("repetition penalty", with().repetitionPenalty(1.6f), 0xFF),
                control("repetition reward", with().repetitionPenalty(0.7f), 0xFF),
                control("logit bias", with().logitBias(Map.of(2, 2.5f, 1, -1f, 6, -100f)), 0xFF),
                control("end tokens held back", with().minNewTokens(9).stopTokenIds(List.of(3)), 0xFF),
                control("a grammar's mask", with(), 0b01101101),
                control("a mask of two", with().temperature(0.8f), 0b00100010),
                control(
                        "everything at once",
                        with().temperature(0.8f)
                                .topK(5)
                                .topP(0.95f)
                                .minP(0.05f)
                                .frequencyPenalty(0.5f)
                                .presencePenalty(0.2f)
                                .repetitionPenalty(1.2f)
                                .logitBias(Map.of(5, 1.5f))
                                .minNewTokens(9),
                        0b11111011));
    }

    /** End token 7. */
    private static double[] expected(SamplingParams p, long allowed) {
        double[] logits = new double[8];
        for (int id = 0; id < 8; id++) {
            double logit = LOGITS[id];
            int output = 0;
            boolean seen = false;
            for (int i = 0; i < TOKENS.length; i++) {
                seen |= TOKENS[i] == id;
                output += i >= PROMPT && TOKENS[i] == id ? 1 : 0;
            }
            if (seen) {
                logit = logit > 0 ? logit / p.repetitionPenalty() : logit * p.repetitionPenalty();
            }
            logit -= output * p.frequencyPenalty() + (output > 0 ? p.presencePenalty() : 0);
            logit += p.logitBias().getOrDefault(id, 0f);
            boolean held = TOKENS.length - PROMPT < p.minNewTokens()
                    && (id == 7 || p.stopTokenIds().contains(id));
            logits[id] = held || (allowed >>> id & 1) == 0 ? Double.NEGATIVE_INFINITY : logit / p.temperature();
        }
        double[] probability = softmax(logits);
        double[] kept = probability.clone();
        for (int id = 0; id < 8; id++) {
            int before = 0;
            double mass = 0;
            double best = 0;
            for (int other = 0; other < 8; other++) {
                best = Math.max(best, probability[other]);
                if (probability[other] > probability[id] || probability[other] == probability[id] && other < id) {
                    before++;
                    mass += probability[other];
                }
            }
            boolean cut = p.topK() > 0 && before >= p.topK()
                    || p.topP() < 1 && mass > p.topP()
                    || probability[id] < p.minP() * best;
            kept[id] = cut ? 0 : probability[id];
        }
        double sum = 0;
        for (double x : kept) {
            sum += x;
        }
        for (int id = 0; id < 8; id++) {
            kept[id] /= sum;
        }
        return kept;
    }

    private static double[] softmax(double[] logits) {
        double[] out = new double[logits.length];
        double sum = 0;
        for (int i = 0; i < logits.length; i++) {
            out[i] = Math.exp(logits[i]);
            sum += out[i];
        }
        for (int i = 0; i < logits.length; i++) {
            out[i] /= sum;
        }
        return out;
    }

    @ParameterizedTest
    @MethodSource("controls")
    void drawsFollowTheDefinition(Case control) {
        double[] expected = expected(control.params, control.allowed);
        Sampler sampler = new Sampler(8, List.of(7));
        int[] counts = new int[8];
        for (int i = 0; i < DRAWS; i++) {
            counts[
                    sampler.choose(
                            LOGITS.clone(),
                            control.params,
                            TOKENS,
                            PROMPT,
                            TOKENS.length,
                            i,
                            control.allowed == 0xFF ? null : new long[] {control.allowed})]++;
        }
        double statistic = 0;
        int possible = 0;
        for (int id = 0; id < 8; id++) {
            if (expected[id] == 0) {
                assertThat(counts[id]).as("token %d", id).isZero();
            } else {
                possible++;
                double mean = expected[id] * DRAWS;
                statistic += (counts[id] - mean) * (counts[id] - mean) / mean;
            }
        }
        assertThat(possible).isGreaterThan(1);
        assertThat(statistic).isLessThan(QUANTILES[possible - 2]);
    }

    @ParameterizedTest
    @MethodSource("controls")
    void aGrammarThatLeavesOnlyWhatIsHeldBackIsObeyed(Case control) {
        SamplingParams params = control.params.toBuilder().minNewTokens(9).build();
        int id = new Sampler(8, List.of(7))
                .choose(LOGITS.clone(), params, TOKENS, PROMPT, TOKENS.length, 1, new long[] {1L << 7});
        assertThat(id).isEqualTo(7);
    }
}
