package dev.baton.engine.node;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What nodes say before they are one server. On the wire, big endian: u32 magic "BNJ1", u32 bytes, u8 kind, fields
 * (strings as {@link DataOutputStream#writeUTF} writes them).
 */
sealed interface JoinMessage {
    int MAGIC = 0x424E4A31;
    int LONGEST_BYTES = 1 << 20;

    /**
     * A node to node 0.
     *
     * @param port where it takes the connections of other nodes
     * @param facts what must be the same on all nodes, by name
     */
    record Hello(int node, int nodes, int port, Map<String, String> facts) implements JoinMessage {}

    /**
     * Node 0 to a node, when all have come.
     *
     * @param token proves to other nodes that one belongs to this server
     * @param addresses host:port of each node, in order; of node 0 an empty string
     */
    record Welcome(long token, List<String> addresses) implements JoinMessage {}

    /** Node 0 to a node that cannot be part of the server, or when there is none. */
    record Refused(String reason) implements JoinMessage {}

    /** A node to another one but node 0. */
    record Peer(long token, int node) implements JoinMessage {}

    /** A node is connected to all others. */
    record Connected() implements JoinMessage {}

    /** All are. */
    record Go() implements JoinMessage {}

    /** Sends a message at once. */
    static void send(SocketChannel socket, JoinMessage message) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (DataOutputStream out = new DataOutputStream(bytes)) {
            write(out, message);
        }
        ByteArrayOutputStream framed = new ByteArrayOutputStream();
        try (DataOutputStream out = new DataOutputStream(framed)) {
            out.writeInt(MAGIC);
            out.writeInt(bytes.size());
            bytes.writeTo(out);
        }
        socket.socket().getOutputStream().write(framed.toByteArray());
    }

    private static void write(DataOutputStream out, JoinMessage message) throws IOException {
        switch (message) {
            case Hello m -> {
                out.writeByte(1);
                out.writeInt(m.node);
                out.writeInt(m.nodes);
                out.writeInt(m.port);
                out.writeInt(m.facts.size());
                for (Map.Entry<String, String> fact : m.facts.entrySet()) {
                    out.writeUTF(fact.getKey());
                    out.writeUTF(fact.getValue());
                }
            }
            case Welcome m -> {
                out.writeByte(2);
                out.writeLong(m.token);
                out.writeInt(m.addresses.size());
                for (String address : m.addresses) {
                    out.writeUTF(address);
                }
            }
            case Refused m -> {
                out.writeByte(3);
                out.writeUTF(m.reason.substring(0, Math.min(m.reason.length(), 10_000)));
            }
            case Peer m -> {
                out.writeByte(4);
                out.writeLong(m.token);
                out.writeInt(m.node);
            }
            case Connected m -> out.writeByte(5);
            case Go m -> out.writeByte(6);
        }
    }

    /**
     * Waits for a message.
     *
     * @throws java.net.SocketTimeoutException when none comes in time
     * @throws java.io.EOFException when the other end closes
     * @throws IOException when it is no message
     */
    static JoinMessage read(SocketChannel socket, Duration limit) throws IOException {
        socket.socket().setSoTimeout(Math.clamp(limit.toMillis(), 1, Integer.MAX_VALUE));
        DataInputStream stream = new DataInputStream(socket.socket().getInputStream());
        int magic = stream.readInt();
        int size = stream.readInt();
        if (magic != MAGIC || size < 1 || size > LONGEST_BYTES) {
            throw new IOException("not a node of Baton, or one of another version");
        }
        byte[] bytes = new byte[size];
        stream.readFully(bytes);
        DataInputStream in = new DataInputStream(new ByteArrayInputStream(bytes));
        int kind = in.readByte();
        return switch (kind) {
            case 1 -> new Hello(in.readInt(), in.readInt(), in.readInt(), facts(in));
            case 2 -> new Welcome(in.readLong(), addresses(in));
            case 3 -> new Refused(in.readUTF());
            case 4 -> new Peer(in.readLong(), in.readInt());
            case 5 -> new Connected();
            case 6 -> new Go();
            default -> throw new IOException("a message of unknown kind " + kind);
        };
    }

    private static Map<String, String> facts(DataInputStream in) throws IOException {
        Map<String, String> facts = new LinkedHashMap<>();
        for (int left = in.readInt(); left > 0; left--) {
            facts.put(in.readUTF(), in.readUTF());
        }
        return facts;
    }

    private static List<String> addresses(DataInputStream in) throws IOException {
        List<String> addresses = new ArrayList<>();
        for (int left = in.readInt(); left > 0; left--) {
            addresses.add(in.readUTF());
        }
        return addresses;
    }
}
