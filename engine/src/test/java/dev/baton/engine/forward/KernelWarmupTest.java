package dev.baton.engine.forward;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.engine.request.TokenLogprob;
import dev.baton.engine.schedule.ForwardMode;
import dev.baton.engine.schedule.StepExecutor;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.engine.schedule.StepResult;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;

/** The warm-up goes on while steps get faster, ends when they do not, and asks for no more than there is. */
class KernelWarmupTest {
    private static final Duration LONG = Duration.ofMinutes(5);

    /** Each of the first so many steps takes a tenth less than the one before. */
    private static final class Ranks implements StepExecutor {
        final List<StepPlan> plans = new ArrayList<>();
        final int rows;
        final int capacity;
        final int context;
        final long gainingSteps;

        Ranks(int rows, int capacity, int context, long gainingSteps) {
            this.rows = rows;
            this.capacity = capacity;
            this.context = context;
            this.gainingSteps = gainingSteps;
        }

        @Override
        public int capacityTokens() {
            return capacity;
        }

        @Override
        public int maxRows() {
            return rows;
        }

        @Override
        public int contextTokens() {
            return context;
        }

        @Override
        @SuppressWarnings({"unchecked", "rawtypes"})
        public CompletableFuture<StepResult> run(StepPlan plan) {
            plans.add(plan);
            long nanos = (long) (1e9 * Math.pow(0.9, Math.min(plans.size(), gainingSteps)));
            int sequences = plan.sequences();
            return CompletableFuture.completedFuture(new StepResult(
                    plan.step(),
                    new int[sequences],
                    new TokenLogprob[sequences],
                    (List<TokenLogprob>[]) new List[sequences],
                    0,
                    nanos));
        }

        @Override
        public CompletableFuture<Void> runBetweenSteps(RankTask task) {
            return CompletableFuture.completedFuture(null);
        }

        @Override
        public void close() {}

        int largestBatch() {
            return plans.stream().mapToInt(StepPlan::sequences).max().orElse(0);
        }
    }

    @Test
    void goesOnWhileStepsGetFasterAndEndsWhenTheyDoNot() {
        Ranks young = new Ranks(64, 10_000, 2_048, 60);
        Ranks warm = new Ranks(64, 10_000, 2_048, 0);
        KernelWarmup.Outcome gained = KernelWarmup.run(young, 1_024, 100, LONG);
        KernelWarmup.Outcome atOnce = KernelWarmup.run(warm, 1_024, 100, LONG);
        assertThat(atOnce.rounds()).isEqualTo(6);
        assertThat(gained.rounds()).isGreaterThan(atOnce.rounds());
        assertThat(gained.lastMillis()).isLessThan(1e3 * Math.pow(0.9, 59));
        assertThat(young.largestBatch()).isEqualTo(16);
        assertThat(young.plans).anyMatch(p -> p.mode() == ForwardMode.EXTEND && p.tokens() > 16);
        assertThat(young.plans).anyMatch(p -> p.mode() == ForwardMode.DECODE && p.sequences() == 1);
    }

    @Test
    void runsEachSizeOnceWhenThereIsNoTime() {
        assertThat(KernelWarmup.run(new Ranks(64, 10_000, 2_048, 1_000), 1_024, 100, Duration.ZERO)
                        .rounds())
                .isEqualTo(2);
    }

    @Test
    void staysWithinWhatTheRanksHold() {
        Ranks few = new Ranks(3, 10_000, 2_048, 0);
        KernelWarmup.run(few, 1_024, 100, LONG);
        assertThat(few.largestBatch()).isEqualTo(3);
        Ranks narrow = new Ranks(64, 31, 2_048, 0);
        KernelWarmup.run(narrow, 1_024, 100, LONG);
        assertThat(narrow.largestBatch()).isEqualTo(1);
        Ranks shortContext = new Ranks(64, 1_000, 8, 0);
        KernelWarmup.run(shortContext, 16, 100, LONG);
        assertThat(shortContext.plans).allMatch(p -> {
            for (int b = 0; b < p.sequences(); b++) {
                if (p.contextLength(b) > 8) {
                    return false;
                }
            }
            return true;
        });
        Ranks tiny = new Ranks(64, 10, 2, 0);
        assertThat(KernelWarmup.run(tiny, 16, 100, LONG).rounds()).isZero();
    }
}
