package dev.baton.serve.router;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class PolicyTest {
    private static final RouterConfig CONFIG = RouterConfig.of(Map.of("balance_abs_threshold", 4));

    private static List<Worker> workers(int count) {
        List<Worker> workers = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            workers.add(new Worker(
                    i, Worker.Role.REGULAR, WorkerAddress.of("http://w" + i + ":1"), CONFIG, new AtomicLong()::get));
        }
        return workers;
    }

    private static Policy.Prompt prompt(String text) {
        byte[] bytes = ("{\"text\":" + text + "}").getBytes(StandardCharsets.UTF_8);
        return new Policy.Prompt(bytes, 8, bytes.length - 1);
    }

    private static void load(Worker worker, int requests) {
        for (int i = 0; i < requests; i++) {
            worker.begin();
        }
    }

    @ParameterizedTest
    @EnumSource(PolicyName.class)
    void aChoiceIsAlwaysACandidateAndEveryCandidateIsChosen(PolicyName name) {
        for (long seed = 0; seed < 50; seed++) {
            Random random = new Random(seed);
            List<Worker> all = workers(1 + random.nextInt(6));
            Policy policy = Policy.of(name, CONFIG, all.size(), () -> random);
            Map<Worker, Integer> chosen = new HashMap<>();
            List<Worker> candidates = new ArrayList<>(all);
            candidates.removeIf(worker -> random.nextInt(3) == 0);
            if (candidates.isEmpty()) {
                continue;
            }
            for (int i = 0; i < 400; i++) {
                Worker worker = policy.choose(candidates, prompt("\"" + random.nextLong() + "\""));
                assertThat(candidates).contains(worker);
                chosen.merge(worker, 1, Integer::sum);
            }
            assertThat(chosen.keySet()).as("seed %s", seed).containsExactlyInAnyOrderElementsOf(candidates);
        }
    }

    @Test
    void roundRobinIsEven() {
        List<Worker> workers = workers(3);
        Policy policy = Policy.of(PolicyName.ROUND_ROBIN, CONFIG, 3, Random::new);
        for (int i = 0; i < 9; i++) {
            assertThat(policy.choose(workers, null).index()).isEqualTo(i % 3);
        }
    }

    @Test
    void powerOfTwoNeverTakesTheMostLoadedOfAll() {
        Random random = new Random(1);
        List<Worker> workers = workers(4);
        load(workers.get(2), 9);
        Policy policy = Policy.of(PolicyName.POWER_OF_TWO, CONFIG, 4, () -> random);
        for (int i = 0; i < 500; i++) {
            assertThat(policy.choose(workers, null)).isNotSameAs(workers.get(2));
        }
        // Tokens that all report count more than requests in flight.
        workers.forEach(worker -> worker.tokenLoad(worker.index() == 0 ? 100 : 1));
        for (int i = 0; i < 500; i++) {
            assertThat(policy.choose(workers, null)).isNotSameAs(workers.get(0));
        }
    }

    @Test
    void cacheAwareFollowsAPrefixUntilLoadsDiffer() {
        List<Worker> workers = workers(2);
        Policy policy = Policy.of(PolicyName.CACHE_AWARE, CONFIG, 2, Random::new);
        Worker home = policy.choose(workers, prompt("\"a long shared prefix 1\""));
        for (int i = 0; i < 10; i++) {
            assertThat(policy.choose(workers, prompt("\"a long shared prefix " + i + "\"")))
                    .isSameAs(home);
        }
        // Less than 30% in common: the least loaded.
        load(home, 2);
        Worker other = workers.get(1 - home.index());
        assertThat(policy.choose(workers, prompt("\"a l, and then something else\"")))
                .isSameAs(other);
        // More than 4 requests and 1.5 times apart: the prefix counts no more.
        load(home, 3);
        assertThat(policy.choose(workers, prompt("\"a long shared prefix 3\""))).isSameAs(other);
    }

    @Test
    void cacheAwareIgnoresAHolderThatIsNoCandidate() {
        List<Worker> workers = workers(3);
        Policy policy = Policy.of(PolicyName.CACHE_AWARE, CONFIG, 3, Random::new);
        Worker home = policy.choose(workers, prompt("\"a long shared prefix\""));
        List<Worker> others = new ArrayList<>(workers);
        others.remove(home);
        assertThat(policy.choose(others, prompt("\"a long shared prefix\""))).isNotSameAs(home);
    }
}
