package dev.baton.engine.node;

import dev.baton.engine.ProfileControl;
import dev.baton.engine.forward.Golden;
import dev.baton.engine.forward.KvMemory;
import dev.baton.engine.parallel.LoadOptions;
import dev.baton.engine.parallel.ModelLoader;
import dev.baton.engine.parallel.RankGroup;
import dev.baton.tensor.cpu.CpuKernels;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.function.IntFunction;

/** The nodes of one server as parts of this JVM: they share no memory and talk over connections, as processes do. */
public final class Nodes implements AutoCloseable {
    private final List<ModelLoader> loaders = new ArrayList<>();
    private final List<NodeShare> shares = new ArrayList<>();
    /** By node, by attention group. */
    private final List<List<RankGroup>> groups = new ArrayList<>();

    /** What a node has beside its ranks, if the server is half of a prefill/decode pair. */
    public interface Half {
        /** No half. */
        Half NONE = new Half() {};

        /** Where KV caches must lie. */
        default KvMemory kvMemory() {
            return KvMemory.DEVICE;
        }

        /** Of a node that is not node 0. */
        default NodeRole follow(List<RankGroup> groups, NodeShare share) {
            return NodeRole.NONE;
        }
    }

    private record Node(ModelLoader loader, NodeShare share, List<RankGroup> groups) {}

    static Nodes start(Path folder, LoadOptions options, int nodes) throws Exception {
        return start(folder, options, nodes, node -> Half.NONE);
    }

    public static Nodes start(Path folder, LoadOptions options, int nodes, IntFunction<Half> halves) throws Exception {
        String address;
        try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            address = "127.0.0.1:" + free.getLocalPort();
        } catch (IOException e) {
            throw new AssertionError(e);
        }
        Nodes started = new Nodes();
        try (ExecutorService pool = Executors.newFixedThreadPool(nodes)) {
            List<Future<Node>> futures = new ArrayList<>();
            for (int n = 0; n < nodes; n++) {
                NodeOptions node = NodeOptions.of(nodes, n, address, Duration.ofSeconds(60));
                Half half = halves.apply(n);
                LoadOptions own = options.with().kvMemory(half.kvMemory()).build();
                Callable<Node> call = () -> start(folder, own, node, half);
                futures.add(pool.submit(call));
            }
            for (Future<Node> future : futures) {
                Node node = future.get(90, TimeUnit.SECONDS);
                started.loaders.add(node.loader);
                started.shares.add(node.share);
                started.groups.add(node.groups);
            }
        }
        return started;
    }

    private static Node start(Path folder, LoadOptions options, NodeOptions node, Half half) {
        NodeShare share = new NodeShare(NodeJoin.join(node, Map.of()), options.shape());
        NodeFollower follower = node.node() == 0 ? null : NodeFollower.listen(share);
        ModelLoader loader = ModelLoader.open(folder, options.format(), options.seed());
        List<RankGroup> group = loader.startGroups(
                options,
                Golden.cpu(CpuKernels.VECTOR, 1),
                share.communicators(options.shape(), options.pipeline().messages(), options.collectiveDeadline()),
                share);
        if (follower != null) {
            follower.follow(
                    group,
                    ProfileControl.NONE,
                    spec -> {
                        throw new AssertionError("no grammar was asked for");
                    },
                    half.follow(group, share));
        }
        return new Node(loader, share, group);
    }

    /** The ranks of a node; node 0 is told what to do. */
    public RankGroup node(int n) {
        return groups.get(n).getFirst();
    }

    /** The attention groups of node 0. */
    public List<RankGroup> attentionGroups() {
        return groups.getFirst();
    }

    /** Node 0's. */
    public ModelLoader loader() {
        return loaders.getFirst();
    }

    public NodeShare share(int n) {
        return shares.get(n);
    }

    @Override
    public void close() {
        groups.forEach(node -> node.forEach(RankGroup::close));
        shares.forEach(NodeShare::close);
        loaders.forEach(ModelLoader::close);
    }
}
