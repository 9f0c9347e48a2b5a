package dev.baton.serve.router;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/** Chooses a worker of one role. Implementations are thread-safe. */
sealed interface Policy {
    /**
     * One of the candidates.
     *
     * @param candidates available workers, not empty
     * @param prompt the prompt's bytes as they stand in the body; null when the body was not looked at
     */
    Worker choose(List<Worker> candidates, @Nullable Prompt prompt);

    /** Whether {@link #choose} looks at the prompt. */
    default boolean needsPrompt() {
        return false;
    }

    /** Bytes {@code [from, to)} of a request body. */
    @SuppressWarnings("ArrayRecordComponent")
    record Prompt(byte[] bytes, int from, int to) {
        int length() {
            return to - from;
        }
    }

    /** The policy of a name for workers of one role. */
    static Policy of(PolicyName name, RouterConfig config, int workers, Supplier<RandomGenerator> random) {
        return switch (name) {
            case RANDOM -> new Random(random);
            case ROUND_ROBIN -> new RoundRobin(new AtomicLong());
            case POWER_OF_TWO -> new PowerOfTwo(random);
            case CACHE_AWARE -> new CacheAware(config, new PrefixTree(workers), new AtomicLong());
        };
    }

    /** The worker with the fewest requests in flight; the first of equals, counted from {@code start}. */
    static Worker leastLoaded(List<Worker> candidates, int start) {
        Worker best = candidates.get(Math.floorMod(start, candidates.size()));
        for (int i = 1; i < candidates.size(); i++) {
            Worker other = candidates.get(Math.floorMod(start + i, candidates.size()));
            if (other.inFlight() < best.inFlight()) {
                best = other;
            }
        }
        return best;
    }

    /** Any, evenly. */
    record Random(Supplier<RandomGenerator> random) implements Policy {
        @Override
        public Worker choose(List<Worker> candidates, @Nullable Prompt prompt) {
            return candidates.get(random.get().nextInt(candidates.size()));
        }
    }

    /** One after the other. */
    record RoundRobin(AtomicLong next) implements Policy {
        @Override
        public Worker choose(List<Worker> candidates, @Nullable Prompt prompt) {
            return candidates.get((int) Math.floorMod(next.getAndIncrement(), (long) candidates.size()));
        }
    }

    /** Two at random, the less loaded of them: by the tokens both report, else by requests in flight. */
    record PowerOfTwo(Supplier<RandomGenerator> random) implements Policy {
        @Override
        public Worker choose(List<Worker> candidates, @Nullable Prompt prompt) {
            int size = candidates.size();
            if (size == 1) {
                return candidates.getFirst();
            }
            RandomGenerator generator = random.get();
            int first = generator.nextInt(size);
            int second = (first + 1 + generator.nextInt(size - 1)) % size;
            Worker a = candidates.get(first);
            Worker b = candidates.get(second);
            boolean tokens = a.tokenLoad() >= 0 && b.tokenLoad() >= 0;
            long loadA = tokens ? a.tokenLoad() : a.inFlight();
            long loadB = tokens ? b.tokenLoad() : b.inFlight();
            return loadB < loadA ? b : a;
        }
    }

    /** Follows the prompt's prefix while loads are balanced. */
    record CacheAware(RouterConfig config, PrefixTree tree, AtomicLong next) implements Policy {
        @Override
        public boolean needsPrompt() {
            return true;
        }

        @Override
        public Worker choose(List<Worker> candidates, @Nullable Prompt prompt) {
            int least = Integer.MAX_VALUE;
            int most = 0;
            for (Worker worker : candidates) {
                least = Math.min(least, worker.inFlight());
                most = Math.max(most, worker.inFlight());
            }
            int start = (int) (next.getAndIncrement() & Integer.MAX_VALUE);
            if (prompt == null || prompt.length() == 0) {
                return leastLoaded(candidates, start);
            }
            boolean unbalanced =
                    most - least > config.balanceAbsThreshold() && most > least * config.balanceRelThreshold();
            Worker chosen = unbalanced ? leastLoaded(candidates, start) : byPrefix(candidates, prompt, start);
            tree.insert(prompt.bytes(), prompt.from(), prompt.to(), chosen.index());
            if (tree.size(chosen.index()) > 2 * config.maxTreeSize()) {
                tree.evict(chosen.index(), config.maxTreeSize());
            }
            return chosen;
        }

        private Worker byPrefix(List<Worker> candidates, Prompt prompt, int start) {
            List<Integer> eligible = new ArrayList<>(candidates.size());
            candidates.forEach(worker -> eligible.add(worker.index()));
            PrefixTree.Match match = tree.match(prompt.bytes(), prompt.from(), prompt.to(), eligible::contains);
            if (match.worker() >= 0 && match.matched() > config.cacheThreshold() * prompt.length()) {
                return candidates.get(eligible.indexOf(match.worker()));
            }
            return leastLoaded(candidates, start);
        }

        /** Brings every worker's share of the tree down to its limit. */
        void evict(int workers) {
            for (int worker = 0; worker < workers; worker++) {
                tree.evict(worker, config.maxTreeSize());
            }
        }
    }
}
