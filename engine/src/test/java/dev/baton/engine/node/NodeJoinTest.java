package dev.baton.engine.node;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.engine.EngineException;
import dev.baton.tensor.parallel.Frame;
import dev.baton.tensor.parallel.FrameReceiver;
import dev.baton.tensor.parallel.NodeMesh;
import java.io.IOException;
import java.net.ConnectException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class NodeJoinTest {
    private static final Map<String, String> FACTS = Map.of("--page-size", "1", "Baton", "1");
    private static final Duration LONG = Duration.ofSeconds(30);

    private final ExecutorService pool = Executors.newCachedThreadPool();
    private final List<NodeMesh> meshes = new ArrayList<>();
    private final int port;

    NodeJoinTest() throws IOException {
        try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            port = free.getLocalPort();
        }
    }

    @AfterEach
    void end() {
        meshes.forEach(NodeMesh::close);
        pool.shutdownNow();
    }

    private Future<NodeMesh> start(int node, int nodes, Duration limit, Map<String, String> facts) {
        Callable<NodeMesh> join = () -> {
            NodeMesh mesh = NodeJoin.join(NodeOptions.of(nodes, node, "127.0.0.1:" + port, limit), facts);
            synchronized (meshes) {
                meshes.add(mesh);
            }
            return mesh;
        };
        return pool.submit(join);
    }

    private static NodeMesh get(Future<NodeMesh> mesh) throws Exception {
        return mesh.get(40, TimeUnit.SECONDS);
    }

    private static void refused(Future<NodeMesh> mesh, EngineException.Code code, String... texts) {
        assertThatThrownBy(() -> get(mesh))
                .isInstanceOf(ExecutionException.class)
                .cause()
                .isInstanceOfSatisfying(
                        EngineException.class, e -> assertThat(e.code()).isEqualTo(code))
                .hasMessageContainingAll(texts);
    }

    /** Collects what comes on a channel. */
    private static BlockingQueue<String> listen(NodeMesh mesh) {
        BlockingQueue<String> heard = new LinkedBlockingQueue<>();
        mesh.open(3, new FrameReceiver() {
            private ByteBuffer payload = ByteBuffer.allocate(0);

            @Override
            public ByteBuffer buffer(int node, Frame frame) {
                payload = ByteBuffer.allocate((int) frame.bytes());
                return payload.duplicate();
            }

            @Override
            public void received(int node, Frame frame) {
                heard.add(node + " says " + frame.kind() + ": " + new String(payload.array()));
            }
        });
        return heard;
    }

    @Test
    void nodesThatComeInAnyOrderReachEachOther() throws Exception {
        Future<NodeMesh> two = start(2, 3, LONG, FACTS);
        Future<NodeMesh> one = start(1, 3, LONG, FACTS);
        Future<NodeMesh> zero = start(0, 3, LONG, FACTS);
        List<NodeMesh> all = List.of(get(zero), get(one), get(two));
        List<BlockingQueue<String>> heard =
                all.stream().map(NodeJoinTest::listen).toList();
        for (NodeMesh from : all) {
            for (int to = 0; to < 3; to++) {
                if (to != from.node()) {
                    from.send(to, Frame.message(3, 5, 5), ByteBuffer.wrap("hello".getBytes()));
                }
            }
        }
        for (int n = 0; n < 3; n++) {
            List<String> got = new ArrayList<>();
            for (int i = 0; i < 2; i++) {
                got.add(heard.get(n).poll(20, TimeUnit.SECONDS));
            }
            int self = n;
            assertThat(got)
                    .containsExactlyInAnyOrderElementsOf(List.of(0, 1, 2).stream()
                            .filter(o -> o != self)
                            .map(o -> o + " says 5: hello")
                            .toList());
        }
    }

    @Test
    void aNodeThatDoesNotComeIsNamedOnEveryNode() {
        Duration limit = Duration.ofSeconds(2);
        Future<NodeMesh> zero = start(0, 3, limit, FACTS);
        Future<NodeMesh> one = start(1, 3, Duration.ofSeconds(20), FACTS);
        refused(zero, EngineException.Code.UNAVAILABLE, "nodes [2] of 3 did not come", "within PT2S");
        refused(one, EngineException.Code.CONFIGURATION, "node 0 (127.0.0.1:", "nodes [2] of 3 did not come");
    }

    @Test
    void withoutNodeZeroTheOthersGiveUp() {
        refused(
                start(1, 2, Duration.ofSeconds(1), FACTS),
                EngineException.Code.UNAVAILABLE,
                "node 0 was not reached at --dist-init-addr 127.0.0.1:" + port,
                "--node-rank 0");
    }

    @Test
    void twoNodesWithOneRankAreRefusedOnEveryNode() {
        Future<NodeMesh> zero = start(0, 3, LONG, FACTS);
        List<Future<NodeMesh>> twins = List.of(start(1, 3, LONG, FACTS), start(1, 3, LONG, FACTS));
        refused(zero, EngineException.Code.CONFIGURATION, "two nodes with --node-rank 1");
        twins.forEach(t -> refused(t, EngineException.Code.CONFIGURATION, "two nodes with --node-rank 1"));
    }

    @Test
    void aSecondNodeZeroIsRefused() throws Exception {
        Future<NodeMesh> zero = start(0, 2, LONG, FACTS);
        get(start(1, 2, LONG, FACTS));
        get(zero);
        refused(start(0, 2, LONG, FACTS), EngineException.Code.CONFIGURATION, "cannot listen at --dist-init-addr");
    }

    @Test
    void otherFlagsAreNamedOnBothNodes() {
        Future<NodeMesh> zero = start(0, 2, LONG, FACTS);
        Future<NodeMesh> one = start(1, 2, LONG, Map.of("--page-size", "16", "Baton", "1"));
        refused(zero, EngineException.Code.CONFIGURATION, "node 1", "--page-size is 16 there and 1 on node 0");
        refused(one, EngineException.Code.CONFIGURATION, "--page-size is 16 there and 1 on node 0");
    }

    private SocketChannel call() throws Exception {
        while (true) {
            try {
                return SocketChannel.open(new InetSocketAddress("127.0.0.1", port));
            } catch (ConnectException e) {
                // Node 0 does not listen yet.
                Thread.sleep(5);
            }
        }
    }

    @Test
    void aNodeThatIsJustComingWhenOthersDoNotFitIsToldWhy() throws Exception {
        Future<NodeMesh> zero = start(0, 3, LONG, FACTS);
        // Its call is taken, its hello comes when there is no server any more.
        try (SocketChannel late = call()) {
            Future<NodeMesh> one = start(1, 3, LONG, Map.of("--page-size", "16", "Baton", "1"));
            refused(one, EngineException.Code.CONFIGURATION, "--page-size is 16 there and 1 on node 0");
            JoinMessage.send(late, new JoinMessage.Hello(2, 3, 1, FACTS));
            assertThat(JoinMessage.read(late, LONG))
                    .isInstanceOfSatisfying(
                            JoinMessage.Refused.class,
                            refused ->
                                    assertThat(refused.reason()).contains("--page-size is 16 there and 1 on node 0"));
        }
        refused(zero, EngineException.Code.CONFIGURATION, "--page-size is 16 there and 1 on node 0");
    }

    @Test
    void anotherNumberOfNodesIsRefused() {
        Future<NodeMesh> zero = start(0, 3, LONG, FACTS);
        Future<NodeMesh> one = start(1, 2, LONG, FACTS);
        refused(zero, EngineException.Code.CONFIGURATION, "has --nnodes 2, node 0 has 3");
        refused(one, EngineException.Code.CONFIGURATION, "has --nnodes 2, node 0 has 3");
    }

    @Test
    void aNodeThatComesTooLateIsToldSo() throws Exception {
        Future<NodeMesh> zero = start(0, 2, LONG, FACTS);
        NodeMesh one = get(start(1, 2, LONG, FACTS));
        get(zero);
        refused(start(1, 2, LONG, FACTS), EngineException.Code.CONFIGURATION, "--node-rank 1", "server is complete");
        assertThat(one.end()).as("those who are there go on").isNull();
    }

    @Test
    void strangersDoNotDisturb() throws Exception {
        Future<NodeMesh> zero = start(0, 2, LONG, FACTS);
        for (int tries = 0; tries < 100; tries++) {
            try (Socket stranger = new Socket("127.0.0.1", port)) {
                stranger.getOutputStream().write("GET / HTTP/1.0\r\n\r\n".getBytes());
                break;
            } catch (IOException e) {
                Thread.sleep(50);
            }
        }
        get(start(1, 2, LONG, FACTS));
        assertThat(get(zero).nodes()).isEqualTo(2);
    }

    @Test
    void aWrongAddressIsSaidWithTheValue() {
        assertThatThrownBy(() -> NodeOptions.of(2, 0, "somewhere", LONG))
                .hasMessageContaining("--dist-init-addr must be HOST:PORT of node 0, got 'somewhere'");
        assertThatThrownBy(() -> NodeOptions.of(2, 2, "a:1", LONG)).hasMessageContaining("--node-rank");
    }
}
