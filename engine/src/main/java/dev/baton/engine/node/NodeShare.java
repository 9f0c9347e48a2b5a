package dev.baton.engine.node;

import dev.baton.engine.EngineException;
import dev.baton.engine.arch.StepShape;
import dev.baton.engine.balance.NodePass;
import dev.baton.engine.node.NodeMessages.Kind;
import dev.baton.engine.parallel.CommunicatorSupplier;
import dev.baton.engine.parallel.ParallelShape;
import dev.baton.engine.parallel.RankShare;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.engine.schedule.StepResult;
import dev.baton.tensor.TensorException;
import dev.baton.tensor.parallel.NodeMesh;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * One node's part of a replica: every node has as many ranks, one after the other. Node 0 has the scheduler; it tells
 * each step to the other nodes before it queues it on its own ranks.
 */
public final class NodeShare implements RankShare, AutoCloseable {
    /** Weights are read between the nodes' meeting and this agreement. */
    private static final Duration LOAD_LIMIT = Duration.ofHours(1);
    /** Only the schedulers want results, and they are on node 0. */
    private static final CompletableFuture<StepResult> NOT_HERE =
            CompletableFuture.failedFuture(new IllegalStateException("results go to node 0"));

    private final NodeMesh mesh;
    private final NodeMessages messages;
    private final int ranks;
    private final CompletableFuture<Integer> capacity = new CompletableFuture<>();
    private final AtomicInteger smallest = new AtomicInteger(Integer.MAX_VALUE);
    private final AtomicInteger absent;
    private final Map<Long, CompletableFuture<Void>> asked = new HashMap<>();
    private final AtomicLong questions = new AtomicLong();
    private final Map<Chosen, CompletableFuture<StepResult>> results = new HashMap<>();
    private volatile Duration resultLimit = LOAD_LIMIT;
    private volatile @Nullable RoleListener roles;
    private volatile @Nullable Consumer<NodePass> passes;

    /** Takes what the role of another node says, on the messages' thread. */
    @FunctionalInterface
    public interface RoleListener {
        void said(int node, WireBuffer body);
    }

    /** A step of a group whose tokens are chosen on another node. */
    private record Chosen(long step, int group) {}

    /**
     * @param mesh the nodes, connected; closed with this
     * @throws EngineException CONFIGURATION when the ranks do not divide over the nodes
     */
    public NodeShare(NodeMesh mesh, ParallelShape shape) {
        requireDivides(shape, mesh.nodes());
        this.mesh = mesh;
        this.ranks = shape.replicaRanks();
        this.absent = new AtomicInteger(mesh.nodes());
        this.messages = NodeMessages.open(mesh);
        if (mesh.node() == 0) {
            messages.take(this::answered);
        }
        mesh.whenOver(this::over);
    }

    /** @throws EngineException CONFIGURATION when the ranks do not divide over the nodes, with the arithmetic */
    public static void requireDivides(ParallelShape shape, int nodes) {
        int ranks = shape.replicaRanks();
        if (ranks % nodes != 0) {
            throw new EngineException(
                    EngineException.Code.CONFIGURATION,
                    "--nnodes " + nodes + " does not divide the ranks: tp * pp = " + shape.tensorParallel() + " * "
                            + shape.pipelineParallel() + " = " + ranks + " = " + ranks / nodes + " * " + nodes + " + "
                            + ranks % nodes);
        }
    }

    NodeMesh mesh() {
        return mesh;
    }

    NodeMessages messages() {
        return messages;
    }

    @Override
    public int first() {
        return mesh.node() * (ranks / mesh.nodes());
    }

    @Override
    public int count(int all) {
        return ranks / mesh.nodes();
    }

    private int nodeOf(int rank) {
        return rank / (ranks / mesh.nodes());
    }

    /**
     * The groups of this node's ranks.
     *
     * @param stageMessages messages that may be under way from one pipeline stage to another
     * @param deadline how long a rank waits for the others in one collective or message
     */
    public CommunicatorSupplier communicators(ParallelShape shape, int stageMessages, Duration deadline) {
        resultLimit = deadline;
        return NodeCommunicators.open(mesh, shape, this::nodeOf, stageMessages, deadline);
    }

    @Override
    public int agreeOnCapacity(int capacityTokens) {
        if (mesh.node() == 0) {
            counted(capacityTokens);
        } else {
            WireBuffer mine = new WireBuffer();
            mine.putInt(capacityTokens);
            messages.send(0, Kind.CAPACITY, mine);
        }
        try {
            return capacity.get(LOAD_LIMIT.toSeconds(), TimeUnit.SECONDS);
        } catch (ExecutionException e) {
            throw new EngineException(
                    EngineException.Code.UNAVAILABLE,
                    String.valueOf(
                            e.getCause() == null ? e.getMessage() : e.getCause().getMessage()),
                    e);
        } catch (TimeoutException e) {
            throw new EngineException(
                    EngineException.Code.UNAVAILABLE, "another node did not load its weights within " + LOAD_LIMIT, e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new EngineException(EngineException.Code.UNAVAILABLE, "interrupted while other nodes load", e);
        }
    }

    /** Told by node 0. */
    void agreed(int capacityTokens) {
        capacity.complete(capacityTokens);
    }

    /** On node 0, once for each node. */
    private void counted(int capacityTokens) {
        smallest.accumulateAndGet(capacityTokens, Math::min);
        if (absent.decrementAndGet() == 0) {
            WireBuffer all = new WireBuffer();
            all.putInt(smallest.get());
            messages.sendAll(Kind.AGREED, all);
            capacity.complete(smallest.get());
        }
    }

    @Override
    public void announce(List<StepPlan> plans, StepShape shape) {
        if (mesh.node() == 0) {
            WireBuffer body = new WireBuffer();
            body.putInts(shape.tokens());
            body.putInts(shape.wanted());
            body.putBoolean(shape.prefills());
            body.putBoolean(shape.halves());
            body.putList(plans, plan -> PlanCodec.write(body, plan));
            messages.sendAll(Kind.STEP, body);
        }
    }

    @Override
    public void report(long step, int group, StepResult result) {
        if (mesh.node() > 0) {
            WireBuffer body = new WireBuffer();
            body.putLong(step);
            body.putInt(group);
            ResultCodec.write(body, result);
            messages.send(0, Kind.RESULT, body);
        }
    }

    @Override
    public CompletableFuture<StepResult> resultOf(long step, int group) {
        if (mesh.node() > 0) {
            return NOT_HERE;
        }
        CompletableFuture<StepResult> result;
        synchronized (results) {
            result = results.computeIfAbsent(new Chosen(step, group), chosen -> new CompletableFuture<>());
        }
        NodeMesh.End end = mesh.end();
        if (end != null) {
            result.completeExceptionally(new EngineException(EngineException.Code.UNAVAILABLE, end.text()));
        }
        return result.orTimeout(resultLimit.toMillis(), TimeUnit.MILLISECONDS).whenComplete((done, error) -> {
            synchronized (results) {
                results.remove(new Chosen(step, group));
            }
        });
    }

    /** A result has come: before or after it was asked for. */
    private void chosen(WireBuffer body) {
        Chosen chosen = new Chosen(body.longValue(), body.intValue());
        StepResult result = ResultCodec.read(body);
        CompletableFuture<StepResult> asked;
        synchronized (results) {
            asked = results.computeIfAbsent(chosen, none -> new CompletableFuture<>());
        }
        asked.complete(result);
    }

    @Override
    public void failed(Throwable cause) {
        mesh.fail("a rank of node " + mesh.node() + " has failed: " + text(cause), cause);
    }

    private static String text(Throwable cause) {
        return cause instanceof EngineException || cause instanceof TensorException
                ? String.valueOf(cause.getMessage())
                : cause.toString();
    }

    @Override
    public void whenLost(Consumer<String> action) {
        mesh.whenOver(end -> action.accept(end.text()));
    }

    /** Told once why the nodes are no longer connected. */
    public void whenOver(Consumer<NodeMesh.End> listener) {
        mesh.whenOver(listener);
    }

    /** Asks every other node for something; completes when all have done it, with the first refusal. */
    CompletableFuture<Void> ask(Kind kind, Consumer<WireBuffer> writer) {
        return ask(kind, IntStream.range(1, mesh.nodes()).toArray(), writer);
    }

    private CompletableFuture<Void> ask(Kind kind, int[] nodes, Consumer<WireBuffer> writer) {
        List<CompletableFuture<Void>> all = new ArrayList<>();
        for (int n : nodes) {
            long question = questions.incrementAndGet();
            CompletableFuture<Void> answer = new CompletableFuture<>();
            all.add(answer);
            synchronized (asked) {
                asked.put(question, answer);
            }
            WireBuffer body = new WireBuffer();
            body.putLong(question);
            writer.accept(body);
            try {
                messages.send(n, kind, body);
            } catch (TensorException e) {
                answer.completeExceptionally(
                        new EngineException(EngineException.Code.UNAVAILABLE, String.valueOf(e.getMessage()), e));
            }
        }
        return CompletableFuture.allOf(all.toArray(CompletableFuture[]::new));
    }

    /** On node 0: takes what the roles of other nodes say; told once, before anything is asked of them. */
    public void whenRoleSpeaks(RoleListener listener) {
        roles = listener;
    }

    /** On node 0: takes what other nodes have counted; told once, before a step is run. */
    void whenPassesEnd(Consumer<NodePass> listener) {
        passes = listener;
    }

    /** Tells the roles of other nodes something; it is taken between the same steps everywhere. */
    public void tellRole(int[] nodes, Consumer<WireBuffer> writer) {
        WireBuffer body = new WireBuffer();
        writer.accept(body);
        for (int n : nodes) {
            messages.send(n, Kind.ROLE, body);
        }
    }

    /** As {@link #tellRole}; completes when all have done it. */
    public CompletableFuture<Void> askRole(int[] nodes, Consumer<WireBuffer> writer) {
        return ask(Kind.ROLE_ASKED, nodes, writer);
    }

    /** Other nodes that have some of these ranks. */
    public int[] othersOf(int... some) {
        return IntStream.of(some)
                .map(this::nodeOf)
                .distinct()
                .filter(n -> n != mesh.node())
                .toArray();
    }

    /** On node 0. */
    private void answered(int node, Kind kind, WireBuffer body) {
        switch (kind) {
            case CAPACITY -> counted(body.intValue());
            case DONE -> {
                CompletableFuture<Void> answer;
                synchronized (asked) {
                    answer = asked.remove(body.longValue());
                }
                String refusal = body.nullable(body::text);
                if (answer != null && refusal == null) {
                    answer.complete(null);
                } else if (answer != null) {
                    answer.completeExceptionally(new EngineException(
                            EngineException.Code.INVALID_REQUEST, mesh.name(node) + ": " + refusal));
                }
            }
            case RESULT -> chosen(body);
            case ROLE ->
                Objects.requireNonNull(roles, "nobody listens to roles").said(node, body);
            case EXPERTS ->
                Objects.requireNonNull(passes, "nobody listens to passes").accept(PassCodec.read(body));
            case EXPERTS_RECORD, EXPERTS_SETTLE, ROLE_ASKED, AGREED, STEP, PROFILE_START, PROFILE_STOP ->
                throw new IllegalStateException("only node 0 says " + kind);
        }
    }

    private void over(NodeMesh.End end) {
        EngineException gone = new EngineException(EngineException.Code.UNAVAILABLE, end.text());
        capacity.completeExceptionally(gone);
        synchronized (asked) {
            asked.values().forEach(answer -> answer.completeExceptionally(gone));
            asked.clear();
        }
        List<CompletableFuture<StepResult>> open;
        synchronized (results) {
            open = List.copyOf(results.values());
        }
        open.forEach(result -> result.completeExceptionally(gone));
    }

    /** Tells the other nodes that this one ends. */
    @Override
    public void close() {
        mesh.close("the server was told to end");
    }
}
