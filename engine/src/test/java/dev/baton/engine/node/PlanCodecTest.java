package dev.baton.engine.node;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.engine.request.EngineRequest.LogprobSpec;
import dev.baton.engine.schedule.ForwardMode;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.protocol.GrammarSpec;
import dev.baton.protocol.SamplingParams;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

class PlanCodecTest {
    private static int[] ints(Random random, int length) {
        return random.ints(length, -1, 1_000_000).toArray();
    }

    private static SamplingParams params(Random random) {
        SamplingParams.Builder made = SamplingParams.DEFAULT.toBuilder()
                .maxNewTokens(random.nextInt(1000))
                .minNewTokens(random.nextInt(3))
                .temperature(random.nextFloat())
                .topP(random.nextFloat())
                .topK(random.nextInt(50))
                .minP(random.nextFloat())
                .frequencyPenalty(random.nextFloat())
                .presencePenalty(random.nextFloat())
                .repetitionPenalty(random.nextFloat())
                .stop(random.nextBoolean() ? List.of() : List.of("\n\n", "Übung"))
                .stopTokenIds(random.nextBoolean() ? List.of() : List.of(7, 9))
                .ignoreEos(random.nextBoolean())
                .n(1 + random.nextInt(3))
                .skipSpecialTokens(random.nextBoolean())
                .spacesBetweenSpecialTokens(random.nextBoolean())
                .noStopTrim(random.nextBoolean())
                .logitBias(random.nextBoolean() ? Map.of() : Map.of(3, 1.5f, 8, -100f))
                .stopRegex(random.nextBoolean() ? List.of() : List.of("[0-9]+"));
        if (random.nextBoolean()) {
            made.seed(random.nextLong());
        }
        if (random.nextBoolean()) {
            made.grammar(new GrammarSpec(GrammarSpec.Kind.values()[random.nextInt(4)], "a|b"));
        }
        return made.build();
    }

    private static StepPlan plan(Random random) {
        int sequences = random.nextInt(9);
        int tokens = random.nextInt(3000);
        boolean[] samples = new boolean[sequences];
        SamplingParams[] sampling = new SamplingParams[sequences];
        LogprobSpec[] logprobs = new LogprobSpec[sequences];
        for (int b = 0; b < sequences; b++) {
            samples[b] = random.nextBoolean();
            sampling[b] = b > 0 && random.nextBoolean() ? sampling[b - 1] : params(random);
            logprobs[b] = random.nextBoolean()
                    ? null
                    : new LogprobSpec(random.nextInt(9) - 1, random.nextInt(5), ints(random, random.nextInt(3)));
        }
        List<StepPlan.Prefix> prefixes = new ArrayList<>();
        for (int i = random.nextInt(3); i > 0; i--) {
            int length = random.nextInt(100);
            prefixes.add(new StepPlan.Prefix(i, ints(random, length), ints(random, length)));
        }
        return new StepPlan(
                random.nextLong(),
                ForwardMode.values()[random.nextInt(3)],
                ints(random, sequences),
                ints(random, sequences + 1),
                ints(random, sequences),
                ints(random, tokens),
                ints(random, tokens),
                prefixes,
                samples,
                sampling,
                random.longs(sequences).toArray(),
                logprobs,
                ints(random, sequences));
    }

    @Test
    void aPlanReadsAsItWasWritten() {
        Random random = new Random(1);
        for (int i = 0; i < 60; i++) {
            StepPlan plan = plan(random);
            WireBuffer out = new WireBuffer();
            PlanCodec.write(out, plan);
            WireBuffer in = new WireBuffer(out.written());
            assertThat(PlanCodec.read(in)).usingRecursiveComparison().isEqualTo(plan);
            assertThatThrownBy(in::byteValue).as("nothing is left over").isInstanceOf(RuntimeException.class);
        }
    }

    @Test
    void aPlanThatIsCutOffIsAnErrorAndNoHugeArray() {
        Random random = new Random(2);
        WireBuffer out = new WireBuffer();
        PlanCodec.write(out, plan(random));
        ByteBuffer whole = out.written();
        for (int length = 0; length < whole.remaining(); length += 1 + length / 10) {
            WireBuffer in = new WireBuffer(whole.slice(0, length));
            assertThatThrownBy(() -> PlanCodec.read(in)).isInstanceOf(RuntimeException.class);
        }
    }
}
