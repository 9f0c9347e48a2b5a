package dev.baton.engine.node;

import dev.baton.tensor.parallel.Frame;
import dev.baton.tensor.parallel.FrameReceiver;
import dev.baton.tensor.parallel.NodeMesh;
import java.nio.ByteBuffer;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;

/** What nodes tell each other beside their ranks' collectives: in order, taken by a thread of its own. */
final class NodeMessages {
    /** The mesh's channel for them; groups of ranks have those after it. */
    static final int CHANNEL = 0;

    private static final int MOST_WAITING = 256;
    private static final long LONGEST_BYTES = 256L << 20;
    private static final Kind[] KINDS = Kind.values();

    /** What is said. */
    enum Kind {
        /** A node to node 0: KV slots that its ranks can have. */
        CAPACITY,
        /** Node 0 to the others: KV slots that all have. */
        AGREED,
        /** Node 0: the next step. */
        STEP,
        /** A node to node 0: what a rank of it has chosen. */
        RESULT,
        /** Node 0: record a profile. */
        PROFILE_START,
        /** Node 0: end it and write the files. */
        PROFILE_STOP,
        /** Node 0: what the other nodes do for their half of a prefill/decode pair. And a node to node 0: how it stands. */
        ROLE,
        /** As {@link #ROLE}, and node 0 waits until it is done. */
        ROLE_ASKED,
        /** A node to node 0: what its ranks have counted in a pass. */
        EXPERTS,
        /** Node 0: record passes under a number from here on. */
        EXPERTS_RECORD,
        /** Node 0: answer when every pass so far has been told. */
        EXPERTS_SETTLE,
        /** A node to node 0: what it was asked for is done, or why not. */
        DONE
    }

    /** Takes messages on their thread. */
    @FunctionalInterface
    interface Taker {
        void take(int node, Kind kind, WireBuffer body);
    }

    private record Message(int node, Kind kind, ByteBuffer body) {}

    private final NodeMesh mesh;
    private final BlockingQueue<Message> waiting = new ArrayBlockingQueue<>(MOST_WAITING);

    private NodeMessages(NodeMesh mesh) {
        this.mesh = mesh;
    }

    /** Begins to listen; messages wait until {@link #take}. */
    static NodeMessages open(NodeMesh mesh) {
        NodeMessages messages = new NodeMessages(mesh);
        mesh.open(CHANNEL, messages.new Receiver());
        return messages;
    }

    /** Hands messages on until the mesh is over; to be called once. */
    void take(Taker taker) {
        Thread thread = Thread.ofPlatform().daemon().name("node-messages").unstarted(() -> loop(taker));
        mesh.whenOver(end -> thread.interrupt());
        thread.start();
    }

    private void loop(Taker taker) {
        try {
            while (mesh.end() == null) {
                Message message = waiting.take();
                taker.take(message.node, message.kind, new WireBuffer(message.body));
            }
        } catch (InterruptedException e) {
            // The mesh is over: nothing more will come.
            Thread.currentThread().interrupt();
        } catch (RuntimeException e) {
            mesh.fail("node " + mesh.node() + " could not do what it was told: " + e, e);
        }
    }

    void send(int node, Kind kind, WireBuffer body) {
        ByteBuffer bytes = body.written();
        mesh.send(node, Frame.message(CHANNEL, kind.ordinal(), bytes.remaining()), bytes);
    }

    void sendAll(Kind kind, WireBuffer body) {
        for (int n = 0; n < mesh.nodes(); n++) {
            if (n != mesh.node()) {
                send(n, kind, body);
            }
        }
    }

    /** On the connections' threads, one for each node. */
    private final class Receiver implements FrameReceiver {
        private final ByteBuffer[] bodies = new ByteBuffer[mesh.nodes()];

        @Override
        public ByteBuffer buffer(int node, Frame frame) {
            if (frame.bytes() > LONGEST_BYTES) {
                throw new IllegalStateException("a message of " + frame.bytes() + " bytes");
            }
            bodies[node] = ByteBuffer.allocate((int) frame.bytes());
            return bodies[node].duplicate();
        }

        @Override
        public void received(int node, Frame frame) {
            ByteBuffer body = frame.bytes() == 0 ? ByteBuffer.allocate(0) : bodies[node];
            if (!waiting.offer(new Message(node, KINDS[frame.kind()], body))) {
                mesh.fail("more than " + MOST_WAITING + " messages wait on node " + mesh.node(), null);
            }
        }
    }
}
