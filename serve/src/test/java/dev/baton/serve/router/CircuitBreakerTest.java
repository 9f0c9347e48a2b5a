package dev.baton.serve.router;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class CircuitBreakerTest {
    private final AtomicLong now = new AtomicLong();
    private final CircuitBreaker breaker = new CircuitBreaker(3, 2, 100, now::get);

    @Test
    void opensAfterConsecutiveFailuresAndClosesAfterConsecutiveSuccesses() {
        breaker.record(false);
        breaker.record(false);
        breaker.record(true); // starts the count again
        breaker.record(false);
        breaker.record(false);
        assertThat(breaker.allows()).isTrue();
        breaker.record(false);
        assertThat(breaker.state()).isEqualTo(CircuitBreaker.State.OPEN);
        now.set(99);
        assertThat(breaker.allows()).isFalse();
        now.set(100);
        assertThat(breaker.state()).isEqualTo(CircuitBreaker.State.HALF_OPEN);
        breaker.record(true);
        assertThat(breaker.state()).isEqualTo(CircuitBreaker.State.HALF_OPEN);
        breaker.record(true);
        assertThat(breaker.state()).isEqualTo(CircuitBreaker.State.CLOSED);
        assertThat(breaker.transitions()).isEqualTo(3);
    }

    @Test
    void oneFailureInHalfOpenOpensAgain() {
        for (int i = 0; i < 3; i++) {
            breaker.record(false);
        }
        now.set(150);
        breaker.record(false);
        assertThat(breaker.allows()).isFalse();
        now.set(249);
        assertThat(breaker.allows()).isFalse();
        now.set(250);
        assertThat(breaker.allows()).isTrue();
    }

    /** The rules again, written as plainly as they are said. */
    @Test
    void agreesWithThePlainRulesOnRandomHistories() {
        for (long seed = 0; seed < 500; seed++) {
            Random random = new Random(seed);
            AtomicLong time = new AtomicLong();
            int failures = 1 + random.nextInt(4);
            int successes = 1 + random.nextInt(3);
            CircuitBreaker tested = new CircuitBreaker(failures, successes, 10, time::get);
            String state = "CLOSED";
            int run = 0;
            long opened = 0;
            for (int step = 0; step < 80; step++) {
                time.addAndGet(random.nextInt(6));
                if (state.equals("OPEN") && time.get() - opened >= 10) {
                    state = "HALF_OPEN";
                    run = 0;
                }
                assertThat(tested.state()).as("seed %s step %s", seed, step).hasToString(state);
                boolean success = random.nextInt(3) == 0;
                tested.record(success);
                if (state.equals("OPEN")) {
                    continue;
                }
                boolean counts = success == state.equals("HALF_OPEN");
                run = counts ? run + 1 : 0;
                if (state.equals("HALF_OPEN") && (!success || run == successes)) {
                    state = success ? "CLOSED" : "OPEN";
                    opened = time.get();
                    run = 0;
                } else if (state.equals("CLOSED") && run == failures) {
                    state = "OPEN";
                    opened = time.get();
                    run = 0;
                }
            }
        }
    }

    @Test
    void backoffGrowsIsCutAndJittersWithinItsShare() {
        RouterConfig config = RouterConfig.defaults();
        Random random = new Random(3);
        for (int retry = 1; retry <= 30; retry++) {
            double plain = Math.min(50 * Math.pow(1.5, retry - 1), 30_000);
            for (int i = 0; i < 50; i++) {
                assertThat(Backoff.millis(config, retry, random)).isBetween(plain * 0.8, plain * 1.2);
            }
        }
        assertThat(Backoff.retryable(503)).isTrue();
        assertThat(Backoff.retryable(400)).isFalse();
        assertThat(Backoff.retryable(501)).isFalse();
    }
}
