package dev.baton.engine.sample;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.baton.engine.request.TokenLogprob;
import java.util.Random;
import org.junit.jupiter.api.Test;

class LogprobsTest {
    @Test
    void logProbabilitiesAreTheLogSoftmaxOfTheLogits() {
        Random random = new Random(2);
        float[] logits = new float[5000];
        double sum = 0;
        for (int i = 0; i < logits.length; i++) {
            logits[i] = (float) (random.nextGaussian() * 4);
            sum += Math.exp(logits[i]);
        }
        TokenLogprob told = new Logprobs(5000).of(logits, 17, 0, new int[] {3, 4999});
        assertThat(told.tokenId()).isEqualTo(17);
        assertThat((double) told.logprob()).isCloseTo(logits[17] - Math.log(sum), within(1e-5));
        assertThat((double) told.chosenLogprobs()[0]).isCloseTo(logits[3] - Math.log(sum), within(1e-5));
        assertThat((double) told.chosenLogprobs()[1]).isCloseTo(logits[4999] - Math.log(sum), within(1e-5));
        assertThat(told.topIds()).isEmpty();
    }

    @Test
    void alternativesComeBestFirstAndTiesByTheLowerId() {
        float[] logits = {1, 5, 2, 5, 3, 5, 0};
        Logprobs logprobs = new Logprobs(7);
        assertThat(logprobs.of(logits, 0, 5, new int[0]).topIds()).containsExactly(1, 3, 5, 4, 2);
        TokenLogprob all = logprobs.of(logits, 0, 9, new int[0]);
        assertThat(all.topIds()).containsExactly(1, 3, 5, 4, 2, 0, 6);
        assertThat(all.topLogprobs()[5]).isEqualTo(all.logprob());
    }

    @Test
    void longListsOfAlternativesEqualShortOnes() {
        Random random = new Random(8);
        float[] logits = new float[900];
        for (int i = 0; i < logits.length; i++) {
            logits[i] = random.nextInt(100);
        }
        Logprobs logprobs = new Logprobs(900);
        int[] sorted = logprobs.of(logits, 0, 600, new int[0]).topIds();
        int[] inserted = logprobs.of(logits, 0, 256, new int[0]).topIds();
        assertThat(inserted).containsExactly(java.util.Arrays.copyOf(sorted, 256));
    }
}
