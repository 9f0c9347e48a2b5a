package dev.baton.bench.parallel;

import dev.baton.bench.Figures;
import dev.baton.model.DType;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.parallel.Communicator;
import dev.baton.tensor.parallel.NodeCommunicator;
import dev.baton.tensor.parallel.NodeMesh;
import dev.baton.tensor.parallel.NodePointToPoint;
import dev.baton.tensor.parallel.PointToPoint;
import dev.baton.tensor.parallel.Transfer;
import java.io.EOFException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.List;
import java.util.Locale;

/**
 * What two nodes exchange over a connection of this host, against plain sockets that move as many bytes the same way: an
 * all-reduce and an all-to-all send both ways at once, a message one way. All take turns; least times and medians are
 * compared. The nodes are parts of one JVM, with a rank each; nothing but the connection joins them.
 *
 * <pre>
 * NodesBench [ROWS] [COLUMNS] [ROUNDS]
 * </pre>
 */
public final class NodesBench {
    private static final Duration LIMIT = Duration.ofSeconds(60);

    private NodesBench() {}

    public static void main(String[] arguments) throws Exception {
        int rows = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 1024;
        int columns = arguments.length > 1 ? Integer.parseInt(arguments[1]) : 2048;
        int rounds = arguments.length > 2 ? Integer.parseInt(arguments[2]) : 40;
        SocketChannel[] nodes = pair();
        SocketChannel[] plain = pair();
        Thread[] ranks = new Thread[2];
        for (int r = 0; r < 2; r++) {
            NodeMesh mesh = NodeMesh.of(r, 2, List.of(new NodeMesh.Peer(1 - r, "loopback", nodes[r])), LIMIT);
            SocketChannel socket = plain[r];
            int rank = r;
            ranks[r] = Thread.ofPlatform().start(() -> new Rank(rank, mesh, socket, rows, columns).run(rounds));
        }
        for (Thread rank : ranks) {
            rank.join();
        }
        // The mesh's threads are daemons: the JVM ends with this thread.
    }

    private static SocketChannel[] pair() throws IOException {
        try (ServerSocketChannel listener = ServerSocketChannel.open()) {
            listener.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
            SocketChannel[] ends = {SocketChannel.open(listener.getLocalAddress()), listener.accept()};
            for (SocketChannel end : ends) {
                end.setOption(StandardSocketOptions.TCP_NODELAY, true);
                end.setOption(StandardSocketOptions.SO_SNDBUF, 1 << 20);
                end.setOption(StandardSocketOptions.SO_RCVBUF, 1 << 20);
            }
            return ends;
        }
    }

    /** One rank's tensors and measurements. */
    private static final class Rank {
        private final int rank;
        private final Communicator group;
        private final PointToPoint links;
        private final SocketChannel socket;
        private final Tensor x;
        private final Tensor out;
        private final ByteBuffer sent;
        private final ByteBuffer received;
        private final int[] counts;

        Rank(int rank, NodeMesh mesh, SocketChannel socket, int rows, int columns) {
            this.rank = rank;
            this.group =
                    NodeCommunicator.group(mesh, 1, new int[] {0, 1}, LIMIT).getFirst();
            this.links =
                    NodePointToPoint.group(mesh, 2, new int[] {0, 1}, 1, LIMIT).getFirst();
            this.socket = socket;
            this.x = tensor(rows, columns);
            this.out = tensor(rows, columns);
            this.sent = ByteBuffer.allocateDirect(Math.toIntExact(4 * x.elements()));
            this.received = ByteBuffer.allocateDirect(sent.capacity());
            this.counts = new int[] {rows / 2, rows / 2};
        }

        private static Tensor tensor(int rows, int columns) {
            return Tensor.dense(Arena.ofAuto().allocate(4L * rows * columns, 64), DType.F32, rows, columns);
        }

        void run(int rounds) {
            int bytes = sent.capacity();
            double[][] seconds = new double[6][rounds];
            for (int i = -5; i < rounds; i++) {
                time(seconds[0], i, () -> both(bytes));
                time(seconds[1], i, () -> group.allReduce(x));
                time(seconds[2], i, () -> both(bytes / 2));
                time(seconds[3], i, () -> group.allToAll(x, counts, out, counts));
                time(seconds[4], i, () -> oneWay(bytes));
                time(seconds[5], i, this::message);
            }
            if (rank == 0) {
                print("all-reduce", bytes, seconds[1], seconds[0]);
                print("all-to-all", bytes / 2, seconds[3], seconds[2]);
                print("message", bytes, seconds[5], seconds[4]);
            }
        }

        /** Both send and read so many bytes at once. */
        private void both(int bytes) {
            Thread reader = Thread.ofPlatform().start(() -> read(bytes));
            write(bytes);
            try {
                reader.join();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }

        private void oneWay(int bytes) {
            if (rank == 0) {
                write(bytes);
                read(1);
            } else {
                read(bytes);
                write(1);
            }
        }

        /** One way, and the end of it back. */
        private void message() {
            if (rank == 0) {
                Transfer end = links.receive(1, List.of(out.rowRange(0, 1)));
                links.send(1, List.of(x)).await();
                end.await();
            } else {
                links.receive(0, List.of(out)).await();
                links.send(0, List.of(x.rowRange(0, 0))).await();
            }
        }

        private void write(int bytes) {
            try {
                sent.clear().limit(bytes);
                while (sent.hasRemaining()) {
                    socket.write(sent);
                }
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }

        private void read(int bytes) {
            try {
                received.clear().limit(bytes);
                while (received.hasRemaining()) {
                    if (socket.read(received) < 0) {
                        throw new EOFException();
                    }
                }
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }

        private void time(double[] into, int round, Runnable work) {
            group.barrier();
            long start = System.nanoTime();
            work.run();
            if (round >= 0) {
                into[round] = (System.nanoTime() - start) / 1e9;
            }
        }

        /** GB/s that leave one node. */
        private static void print(String what, long bytes, double[] seconds, double[] socket) {
            int middle = seconds.length / 2;
            System.out.printf(
                    Locale.ROOT,
                    "%-10s %6.1f MiB from each node  least %7.2f ms = %5.2f GB/s, %.2f of the socket's; median %7.2f ms,"
                            + " %.2f of the socket's (%.2f ms)%n",
                    what,
                    bytes / 1048576.0,
                    Figures.at(seconds, 0) * 1e3,
                    bytes / Figures.at(seconds, 0) / 1e9,
                    Figures.at(socket, 0) / Figures.at(seconds, 0),
                    Figures.at(seconds, middle) * 1e3,
                    Figures.at(socket, middle) / Figures.at(seconds, middle),
                    Figures.at(socket, middle) * 1e3);
        }
    }
}
