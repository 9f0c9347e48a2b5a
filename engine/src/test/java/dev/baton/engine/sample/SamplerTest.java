package dev.baton.engine.sample;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.baton.engine.EngineException;
import dev.baton.protocol.SamplingParams;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

class SamplerTest {
    private static final int[] NO_TOKENS = {0};

    /** A choice that only differs from the default where it says so. */
    private static SamplingParams params(float temperature, float topP, int topK, float minP) {
        return SamplingParams.DEFAULT.toBuilder()
                .maxNewTokens(100)
                .temperature(temperature)
                .topP(topP)
                .topK(topK)
                .minP(minP)
                .build();
    }

    private static SamplingParams penalties(
            float frequency, float presence, float repetition, Map<Integer, Float> bias) {
        return SamplingParams.DEFAULT.toBuilder()
                .maxNewTokens(100)
                .temperature(0)
                .frequencyPenalty(frequency)
                .presencePenalty(presence)
                .repetitionPenalty(repetition)
                .logitBias(bias)
                .build();
    }

    private static float[] randomLogits(Random random, int vocabulary, double spread) {
        float[] logits = new float[vocabulary];
        for (int i = 0; i < vocabulary; i++) {
            logits[i] = (float) (random.nextGaussian() * spread);
        }
        return logits;
    }

    /** Probabilities by sorting the whole vocabulary: the definition, in F64. */
    private static double[] bruteForce(float[] logits, SamplingParams p) {
        int n = logits.length;
        Integer[] order = new Integer[n];
        Arrays.setAll(order, i -> i);
        Arrays.sort(order, (a, b) -> logits[a] != logits[b] ? Float.compare(logits[b], logits[a]) : a - b);
        double[] probability = new double[n];
        double total = 0;
        for (int i = 0; i < n; i++) {
            probability[i] = Math.exp(((double) logits[i] - logits[order[0]]) / p.temperature());
            total += probability[i];
        }
        double before = 0;
        double kept = 0;
        double best = probability[order[0]];
        for (int rank = 0; rank < n; rank++) {
            int id = order[rank];
            double mine = probability[id];
            boolean stays = (p.topK() < 0 || rank < p.topK())
                    && (p.topP() >= 1 || before <= p.topP() * total)
                    && mine >= p.minP() * best;
            before += mine;
            probability[id] = stays ? mine : 0;
            kept += probability[id];
        }
        for (int i = 0; i < n; i++) {
            probability[i] /= kept;
        }
        return probability;
    }

    private static int[] draw(Sampler sampler, float[] logits, SamplingParams p, int draws) {
        int[] counts = new int[logits.length];
        for (int i = 0; i < draws; i++) {
            counts[sampler.choose(logits.clone(), p, new int[0], 0, 0, i)]++;
        }
        return counts;
    }

    /** Pearson's statistic over the tokens that can occur; counts of impossible ones must be 0. */
    private static double chiSquare(int[] counts, double[] expected, int draws) {
        double sum = 0;
        for (int i = 0; i < counts.length; i++) {
            if (expected[i] == 0) {
                assertThat(counts[i]).as("impossible token %d", i).isZero();
            } else {
                double mean = expected[i] * draws;
                sum += (counts[i] - mean) * (counts[i] - mean) / mean;
            }
        }
        return sum;
    }

    @Test
    void drawsFollowTheComputedDistribution() {
        float[] logits = {0.3f, 2.1f, -1f, 1.2f, 0.3f, -0.4f, 1.9f, 0.8f};
        int draws = 20_000;
        Sampler sampler = new Sampler(8, List.of());
        SamplingParams[] cases = {
            params(1, 1, -1, 0),
            params(0.7f, 1, -1, 0),
            params(1.5f, 0.8f, -1, 0),
            params(1, 1, 3, 0),
            params(1, 1, -1, 0.25f),
            params(0.9f, 0.9f, 5, 0.1f)
        };
        for (SamplingParams p : cases) {
            double[] expected = bruteForce(logits, p);
            int[] counts = draw(sampler, logits, p, draws);
            long possible = Arrays.stream(expected).filter(x -> x > 0).count();
            // 99.9% quantiles of chi-square for 1 to 7 degrees of freedom; the draws are the same each time.
            double[] quantiles = {10.83, 13.82, 16.27, 18.47, 20.52, 22.46, 24.32};
            assertThat(chiSquare(counts, expected, draws)).as("%s", p).isLessThan(quantiles[(int) possible - 2]);
        }
    }

    @Test
    void onlyTokensThatTheDefinitionKeepsAreDrawnFromALargeVocabulary() {
        Random random = new Random(3);
        for (int round = 0; round < 60; round++) {
            int vocabulary = 200 + random.nextInt(3000);
            Sampler sampler = new Sampler(vocabulary, List.of());
            float[] logits = randomLogits(random, vocabulary, 0.2 + random.nextDouble() * 6);
            SamplingParams p = params(
                    0.3f + random.nextFloat(),
                    random.nextBoolean() ? 1 : 0.05f + 0.9f * random.nextFloat(),
                    random.nextBoolean() ? -1 : 1 + random.nextInt(60),
                    random.nextInt(3) > 0 ? 0 : 0.3f * random.nextFloat());
            double[] expected = bruteForce(logits, p);
            for (int i = 0; i < 50; i++) {
                int id = sampler.choose(logits.clone(), p, new int[0], 0, 0, round * 1000L + i);
                assertThat(expected[id]).as("token %d with %s", id, p).isPositive();
            }
        }
    }

    /** With u the draw's number, the token is where the cumulated probability, by id, passes u. */
    @Test
    void theDrawIsTheInverseOfTheCumulatedProbability() {
        Random random = new Random(5);
        int wrong = 0;
        int draws = 0;
        for (int round = 0; round < 40; round++) {
            float[] logits = randomLogits(random, 777, 2);
            SamplingParams p = params(1, 0.9f, 100, 0);
            double[] expected = bruteForce(logits, p);
            Sampler sampler = new Sampler(777, List.of());
            for (int i = 0; i < 50; i++, draws++) {
                double u = CounterRandom.uniform(i, 0);
                int id = -1;
                double sum = 0;
                while (sum <= u && id + 1 < 777) {
                    sum += expected[++id];
                }
                if (sampler.choose(logits.clone(), p, new int[0], 0, 0, i) != id) {
                    wrong++;
                }
            }
        }
        // F32 sums may place a draw that falls on a border on its other side.
        assertThat(wrong).isLessThanOrEqualTo(draws / 500);
    }

    @Test
    void tiesGoToTheLowerId() {
        Sampler sampler = new Sampler(6, List.of());
        float[] logits = {1, 3, 3, 0, 3, -1};
        assertThat(sampler.choose(logits.clone(), SamplingParams.greedy(1), NO_TOKENS, 1, 1, 0))
                .isEqualTo(1);
        SamplingParams two = params(1, 1, 2, 0);
        int[] counts = draw(sampler, logits, two, 400);
        assertThat(counts[1] + counts[2]).isEqualTo(400);
        assertThat(counts[1]).isPositive();
        assertThat(counts[2]).isPositive();
    }

    @Test
    void whatARequestDrawsHangsOnItsSeedAndPositionOnly() {
        float[] logits = randomLogits(new Random(1), 500, 1);
        SamplingParams p = params(1, 0.95f, -1, 0);
        int[] tokens = new int[64];
        Sampler sampler = new Sampler(500, List.of());
        int[] alone = new int[32];
        for (int i = 0; i < 32; i++) {
            alone[i] = sampler.choose(logits.clone(), p, tokens, 4, 4 + i, 99);
        }
        Sampler other = new Sampler(500, List.of());
        for (int i = 31; i >= 0; i--) {
            other.choose(randomLogits(new Random(i), 500, 3), params(2, 1, 7, 0), tokens, 4, 4 + i, i);
            assertThat(other.choose(logits.clone(), p, tokens, 4, 4 + i, 99)).isEqualTo(alone[i]);
        }
        assertThat(Arrays.stream(alone).distinct().count()).isGreaterThan(8);
    }

    @Test
    void penaltiesAndBiasChangeLogitsAsDefined() {
        Sampler sampler = new Sampler(5, List.of());
        // Prompt 0, 1; output 2, 2, 3.
        int[] tokens = {0, 1, 2, 2, 3, 0, 0};
        float[] logits = {1, -1, 4, 2, 0.5f};
        float[] changed = logits.clone();
        LogitChanges changes = new LogitChanges(5, new int[0]);
        changes.apply(changed, penalties(0.5f, 0.25f, 2, Map.of(4, 1f)), tokens, 2, 5);
        assertThat(changed)
                .containsExactly(new float[] {0.5f, -2, 4 / 2f - 2 * 0.5f - 0.25f, 2 / 2f - 0.5f - 0.25f, 1.5f});
        float[] again = logits.clone();
        changes.apply(again, penalties(0.5f, 0.25f, 2, Map.of(4, 1f)), tokens, 2, 5);
        assertThat(again).containsExactly(changed);
        assertThat(sampler.choose(logits.clone(), penalties(0.5f, 0.25f, 2, Map.of(4, 1f)), tokens, 2, 5, 0))
                .isEqualTo(4);
    }

    @Test
    void endTokensAreHeldBackUntilTheLeastLength() {
        SamplingParams atLeastTwo = SamplingParams.DEFAULT.toBuilder()
                .maxNewTokens(10)
                .minNewTokens(2)
                .temperature(0)
                .stopTokenIds(List.of(3))
                .build();
        Sampler sampler = new Sampler(5, List.of(1));
        float[] logits = {0, 9, 1, 8, 2};
        int[] tokens = {0, 0, 4, 4, 0};
        assertThat(sampler.choose(logits.clone(), atLeastTwo, tokens, 2, 2, 0)).isEqualTo(4);
        assertThat(sampler.choose(logits.clone(), atLeastTwo, tokens, 2, 3, 0)).isEqualTo(4);
        assertThat(sampler.choose(logits.clone(), atLeastTwo, tokens, 2, 4, 0)).isEqualTo(1);
        assertThat(Sampler.isPlainGreedy(atLeastTwo, 1)).isFalse();
        assertThat(Sampler.isPlainGreedy(atLeastTwo, 2)).isTrue();
    }

    @Test
    void brokenLogitsAreAnErrorAndNotAToken() {
        Sampler sampler = new Sampler(3, List.of());
        float[] broken = {0, Float.NaN, 1};
        assertThatThrownBy(() -> sampler.choose(broken, params(1, 1, -1, 0), NO_TOKENS, 1, 1, 0))
                .isInstanceOf(EngineException.class)
                .hasMessageContaining("NaN");
        float[] none = {Float.NEGATIVE_INFINITY, Float.NEGATIVE_INFINITY, Float.NEGATIVE_INFINITY};
        assertThatThrownBy(() -> sampler.choose(none, params(1, 1, -1, 0), NO_TOKENS, 1, 1, 0))
                .isInstanceOf(EngineException.class)
                .hasMessageContaining("-Infinity");
    }

    @Test
    void maskedTokensAreNeverDrawn() {
        float[] logits = new float[300];
        Arrays.fill(logits, Float.NEGATIVE_INFINITY);
        logits[250] = -3;
        logits[251] = -3;
        int[] counts = draw(new Sampler(300, List.of()), logits, params(5, 1, -1, 0), 500);
        assertThat(counts[250] + counts[251]).isEqualTo(500);
        counts = draw(new Sampler(300, List.of()), logits, params(5, 0.99f, 200, 0), 500);
        assertThat(counts[250] + counts[251]).isEqualTo(500);
    }

    @Test
    void fastExponentialIsCloseToTheExactOne() {
        for (float x = -80; x <= 0; x += 0.0137f) {
            assertThat(FastExp.exp(x) / Math.exp(x)).as("x = %f", x).isCloseTo(1, within(3e-7));
        }
        assertThat(FastExp.exp(0)).isEqualTo(1);
    }

    @Test
    void vectorPassesEqualTheirScalarTwins() {
        Random random = new Random(21);
        for (int length : new int[] {1, 7, 15, 16, 17, 31, 33, 100, 1023, 4096}) {
            float[] x = randomLogits(random, length, 20);
            x[length / 2] = Float.NEGATIVE_INFINITY;
            float max = Float.NEGATIVE_INFINITY;
            for (float value : x) {
                max = Math.max(max, value);
            }
            int best = RowMath.best(x, null);
            assertThat(best < 0 ? Float.NEGATIVE_INFINITY : x[best]).isEqualTo(max);
            float top = length == 1 ? 0 : max;
            float[] exponentials = new float[length];
            RowMath.scaledExp(x, top, 0.7f, exponentials);
            double sum = 0;
            for (int i = 0; i < length; i++) {
                assertThat(exponentials[i]).isEqualTo(FastExp.exp((x[i] - top) * 0.7f));
                sum += i > 0 ? exponentials[i] : 0;
            }
            assertThat(RowMath.sum(exponentials, Math.min(1, length), length, RowMath.lanes()))
                    .isCloseTo(sum, within(1e-6 * sum));
            x[length - 1] = Float.NaN;
            assertThat(x[RowMath.best(x, null)]).isNaN();
        }
    }

    @Test
    void theBestOfTheAllowedIsTheFirstLargestOneWhateverTheMaskIsMadeOf() {
        Random random = new Random(22);
        for (int round = 0; round < 400; round++) {
            int length = random.nextInt(1, round % 4 == 0 ? 12_000 : 300);
            float[] x = new float[length];
            // Few values, so that there are ties; all of them the lowest one in some rounds.
            for (int i = 0; i < length; i++) {
                x[i] = random.nextInt(round % 3 == 0 ? 4 : 40) == 0 ? random.nextInt(-3, 3) : Float.NEGATIVE_INFINITY;
            }
            long[] allowed = new long[(length + 63) / 64];
            for (int word = 0; word < allowed.length; word++) {
                allowed[word] = switch (random.nextInt(5)) {
                    case 0 -> 0;
                    case 1 -> -1;
                    case 2 -> 1L << random.nextInt(64);
                    default -> random.nextLong();
                };
            }
            int expected = -1;
            float[] kept = x.clone();
            for (int i = 0; i < length; i++) {
                if ((allowed[i / 64] >>> i % 64 & 1) == 0) {
                    kept[i] = Float.NEGATIVE_INFINITY;
                } else if (x[i] > (expected < 0 ? Float.NEGATIVE_INFINITY : x[expected])) {
                    expected = i;
                }
            }
            assertThat(RowMath.best(x, allowed)).isEqualTo(expected);
            RowMath.keep(x, allowed);
            assertThat(x).isEqualTo(kept);
            int broken = random.nextInt(length);
            x[broken] = Float.NaN;
            int best = RowMath.best(x, allowed);
            assertThat(best == broken).isEqualTo((allowed[broken / 64] >>> broken % 64 & 1) != 0);
        }
    }

    @Test
    void randomNumbersAreUniformOverSeedsAndPositions() {
        int cells = 64;
        int[] byPosition = new int[cells];
        int[] bySeed = new int[cells];
        int[] pairs = new int[cells];
        int draws = 64_000;
        for (int i = 0; i < draws; i++) {
            byPosition[(int) (CounterRandom.uniform(7, i) * cells)]++;
            bySeed[(int) (CounterRandom.uniform(i, 7) * cells)]++;
            int first = (int) (CounterRandom.uniform(i, 0) * 8);
            int second = (int) (CounterRandom.uniform(i, 1) * 8);
            pairs[first * 8 + second]++;
        }
        double[] even = new double[cells];
        Arrays.fill(even, 1.0 / cells);
        // 99.9% quantile of chi-square with 63 degrees of freedom.
        assertThat(chiSquare(byPosition, even, draws)).isLessThan(103.4);
        assertThat(chiSquare(bySeed, even, draws)).isLessThan(103.4);
        assertThat(chiSquare(pairs, even, draws)).isLessThan(103.4);
    }
}
