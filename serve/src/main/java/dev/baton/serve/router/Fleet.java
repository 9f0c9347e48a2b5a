package dev.baton.serve.router;

import java.util.ArrayList;
import java.util.Collection;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/** The workers and how one is chosen. Thread-safe. */
final class Fleet {
    private final boolean disaggregated;
    private final Map<Worker.Role, List<Worker>> byRole = new EnumMap<>(Worker.Role.class);
    private final Map<Worker.Role, Policy> policies = new EnumMap<>(Worker.Role.class);
    private final List<Worker> all = new ArrayList<>();

    Fleet(RouterConfig config, LongSupplier clock) {
        disaggregated = config.pdDisaggregation();
        if (disaggregated) {
            add(Worker.Role.PREFILL, config.prefill(), config.prefillPolicy(), config, clock);
            add(Worker.Role.DECODE, config.decode(), config.decodePolicy(), config, clock);
        } else {
            add(Worker.Role.REGULAR, config.workerUrls(), null, config, clock);
        }
    }

    private void add(
            Worker.Role role,
            List<WorkerAddress> addresses,
            @Nullable PolicyName own,
            RouterConfig config,
            LongSupplier clock) {
        List<Worker> workers = new ArrayList<>();
        for (WorkerAddress address : addresses) {
            workers.add(new Worker(workers.size(), role, address, config, clock));
        }
        byRole.put(role, List.copyOf(workers));
        all.addAll(workers);
        policies.put(
                role,
                Policy.of(own != null ? own : config.policy(), config, workers.size(), ThreadLocalRandom::current));
    }

    boolean disaggregated() {
        return disaggregated;
    }

    /** Every worker, prefill before decode. */
    List<Worker> all() {
        return all;
    }

    List<Worker> of(Worker.Role role) {
        return byRole.getOrDefault(role, List.of());
    }

    Collection<Policy> policies() {
        return policies.values();
    }

    /** Whether choosing needs the prompt. */
    boolean needsPrompt() {
        return policies.values().stream().anyMatch(Policy::needsPrompt);
    }

    /** Whether loads are worth asking for. */
    boolean needsLoads() {
        return policies.values().stream().anyMatch(policy -> policy instanceof Policy.PowerOfTwo);
    }

    /** Whether a request could be served now. */
    boolean ready() {
        return byRole.values().stream().allMatch(workers -> workers.stream().anyMatch(Worker::available));
    }

    /** The first available worker of the role that answers for the model: a prefill server or a plain worker. */
    @Nullable
    Worker first() {
        List<Worker> workers = of(disaggregated ? Worker.Role.PREFILL : Worker.Role.REGULAR);
        for (Worker worker : workers) {
            if (worker.available()) {
                return worker;
            }
        }
        return null;
    }

    /**
     * An available worker of the role; one that this request has not failed on where there is a choice.
     *
     * @return null when none is available
     */
    @Nullable
    Worker choose(Worker.Role role, Policy.@Nullable Prompt prompt, Collection<Worker> failedOn) {
        List<Worker> workers = of(role);
        List<Worker> available = new ArrayList<>(workers.size());
        List<Worker> untried = new ArrayList<>(workers.size());
        for (Worker worker : workers) {
            if (worker.available()) {
                available.add(worker);
                if (!failedOn.contains(worker)) {
                    untried.add(worker);
                }
            }
        }
        List<Worker> candidates = untried.isEmpty() ? available : untried;
        return candidates.isEmpty()
                ? null
                : java.util.Objects.requireNonNull(policies.get(role)).choose(candidates, prompt);
    }

    /** Brings the prefix trees down to their limit. */
    void evict() {
        policies.forEach((role, policy) -> {
            if (policy instanceof Policy.CacheAware aware) {
                aware.evict(of(role).size());
            }
        });
    }
}
