package dev.baton.lab.experiment;

import dev.baton.lab.client.ServingBenchmarkConfig;
import dev.baton.lab.report.Expectation;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * One declared experiment: cells that differ in their deployment, under the same seeded workload.
 *
 * @param name of the run's folder and the report's title
 * @param description what it asks, in a sentence or two
 * @param engine which program the servers are
 * @param model directory of the model
 * @param repeats runs of each cell
 * @param order how the cells of the repeats follow each other
 * @param flags launch flags of every server
 * @param workload what the benchmark client sends
 * @param warmup prompts sent before the measured run, same shape, other seed
 * @param evaluation questions with known answers; null asks none
 * @param saturation how the batch is filled before the profile; null profiles nothing
 * @param experts counts where tokens go while the batch is full; null counts nothing
 * @param cells what is compared
 * @param baseline the cell that others are compared with
 * @param quick what {@code --quick} changes
 * @param readyTimeoutSeconds a server that is not ready by then fails the cell
 * @param expectations what the report concludes from
 */
public record Experiment(
        String name,
        String description,
        Engine engine,
        Path model,
        int repeats,
        Order order,
        Map<String, Object> flags,
        ServingBenchmarkConfig workload,
        int warmup,
        @Nullable Evaluation evaluation,
        @Nullable Saturation saturation,
        @Nullable Experts experts,
        List<Cell> cells,
        String baseline,
        Quick quick,
        double readyTimeoutSeconds,
        List<Expectation> expectations) {
    public Experiment {
        cells = List.copyOf(cells);
        expectations = List.copyOf(expectations);
    }

    /** The program that serves. */
    public enum Engine {
        BATON,
        SGLANG
    }

    /** Order of the cells over the repeats. */
    public enum Order {
        /** A B, B A, A B: drift of the machine falls on both. */
        ALTERNATE,
        /** A B, A B, A B. */
        SAME
    }

    /** What a server does. */
    public enum Role {
        AGGREGATED,
        PREFILL,
        DECODE,
        ROUTER
    }

    /**
     * One way to deploy.
     *
     * @param name unique, a file name
     * @param servers its processes, in starting order
     * @param expertsFrom the cell by whose last recording the experts of this one are placed; null places nothing
     */
    public record Cell(
            String name, List<Server> servers, @Nullable String expertsFrom) {
        public Cell {
            servers = List.copyOf(servers);
        }

        /** Cores of all servers together; routers count none. */
        public int cores() {
            return servers.stream().mapToInt(s -> s.cores() * s.replicas()).sum();
        }
    }

    /**
     * @param role what it does
     * @param replicas how many of it
     * @param cores cores of each; 0 for a router, which shares
     * @param flags launch flags beside the experiment's
     * @param environment variables of the process
     */
    public record Server(
            Role role, int replicas, int cores, Map<String, Object> flags, Map<String, String> environment) {}

    /**
     * @param file JSON lines with prompt or messages, answer, domain
     * @param prompts how many are asked, spread over the domains
     */
    public record Evaluation(Path file, int prompts) {}

    /** Which steps are profiled, and with them which servers: those that prefill, or those that decode. */
    public enum Stage {
        PREFILL,
        DECODE;

        /** Whether servers of a role take such steps. */
        public boolean isOf(Role role) {
            return role == Role.AGGREGATED || role == (this == PREFILL ? Role.PREFILL : Role.DECODE);
        }
    }

    /**
     * How the batch is filled: the servers sleep at the head of each step while requests pile up, until every rank has
     * its cap of them; then the sleep ends and {@code steps} steps are profiled.
     *
     * @param stage what is profiled
     * @param forwardSleepSeconds sleep of each step
     * @param perRank the cap: requests that each rank must run (decode) or have waiting (prefill)
     * @param requestsPerRank filling requests that are sent for each rank
     * @param inputTokens prompt of a filling request
     * @param outputTokens answer, long enough to outlast the profile
     * @param steps steps of the profile
     * @param timeoutSeconds until the ranks must stand at the cap
     */
    public record Saturation(
            Stage stage,
            double forwardSleepSeconds,
            int perRank,
            int requestsPerRank,
            int inputTokens,
            int outputTokens,
            int steps,
            double timeoutSeconds) {}

    /** @param passes forward passes of a full batch, after its profile, in which experts' tokens are counted */
    public record Experts(int passes) {}

    /**
     * @param repeats runs of each cell
     * @param numPrompts of the workload
     * @param evaluationPrompts questions
     */
    public record Quick(int repeats, int numPrompts, int evaluationPrompts) {}

    /** What {@code --rehearse} models in a cell; empty for nothing. */
    public String rehearsal(Cell cell) {
        List<Object> given = new java.util.ArrayList<>();
        if (flags.get("rehearse") != null) {
            given.add(flags.get("rehearse"));
        }
        cell.servers().stream()
                .map(server -> server.flags().get("rehearse"))
                .filter(java.util.Objects::nonNull)
                .forEach(given::add);
        return given.isEmpty() ? "" : given.toString();
    }

    /** The same experiment, small: fewer repeats, prompts and questions. */
    public Experiment quickly() {
        return new Experiment(
                name,
                description,
                engine,
                model,
                quick.repeats(),
                order,
                flags,
                workload.with("num_prompts", quick.numPrompts()),
                Math.min(warmup, quick.numPrompts()),
                evaluation == null ? null : new Evaluation(evaluation.file(), quick.evaluationPrompts()),
                saturation,
                experts,
                cells,
                baseline,
                quick,
                readyTimeoutSeconds,
                expectations);
    }
}
