package dev.baton.engine.disagg.transfer;

import dev.baton.tensor.SharedDeviceMemory;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** The first two messages of a connection, as JSON, so that two versions can tell each other what is wrong. */
final class Handshake {
    /** 2: a rank may hold some of the layers. */
    static final int PROTOCOL = 2;

    private static final JsonMapper JSON = new JsonMapper();

    private Handshake() {}

    /**
     * What a decode rank says to a prefill rank.
     *
     * @param server name of the decode server, for messages
     * @param instance changes with every start of the decode server
     * @param prefillRank the rank that is meant
     * @param decodeRank who asks
     * @param part the layers and heads wanted from that rank
     * @param backend what the decode server is set to
     * @param layout of the decode rank
     * @param pages pages of the decode rank's pool
     * @param shared where the pool can be mapped; null when it cannot
     * @param device where the pool can be opened on a device of this host; null when it cannot
     * @param offsets where each buffer begins in the shared memory, of the host or of the device
     */
    record Hello(
            String server,
            String instance,
            int prefillRank,
            int decodeRank,
            CachePairing.Part part,
            TransferBackend backend,
            KvLayout layout,
            int pages,
            SharedMemory.@Nullable Descriptor shared,
            @Nullable DeviceDescriptor device,
            long[] offsets) {}

    /**
     * @param hostId boot id of the owner's host
     * @param memory what to open there
     */
    record DeviceDescriptor(String hostId, SharedDeviceMemory memory) {}

    /**
     * @param server name of the prefill server
     * @param direct pages are written into the decode server's memory; otherwise they come over this connection
     * @param echo what was written in the shared memory of the host
     */
    record Welcome(String server, boolean direct, long echo) {}

    static ByteBuffer encode(Hello hello) {
        ObjectNode root = JSON.createObjectNode();
        root.put("protocol", PROTOCOL).put("server", hello.server).put("instance", hello.instance);
        root.put("prefill_rank", hello.prefillRank).put("decode_rank", hello.decodeRank);
        root.put("first_layer", hello.part.layers().first())
                .put("end_layer", hello.part.layers().end());
        root.put("first_head", hello.part.firstHead()).put("heads", hello.part.heads());
        root.put("backend", hello.backend.name()).put("pages", hello.pages);
        root.set("layout", layout(hello.layout));
        if (hello.shared != null) {
            ObjectNode shared = root.putObject("shared_memory");
            shared.put("host_id", hello.shared.hostId()).put("path", hello.shared.path());
            shared.put("bytes", hello.shared.bytes()).put("nonce", hello.shared.nonce());
            shared.put("echo_slot", hello.shared.echoSlot());
            putOffsets(shared, hello.offsets);
        }
        if (hello.device != null) {
            SharedDeviceMemory memory = hello.device.memory;
            ObjectNode device = root.putObject("device_memory");
            device.put("host_id", hello.device.hostId).put("process", memory.process());
            device.put("device", memory.device()).put("ordinal", memory.ordinal());
            device.put("address", memory.address()).put("bytes", memory.bytes());
            device.put("handle", HexFormat.of().formatHex(memory.handle()));
            putOffsets(device, hello.offsets);
        }
        return bytes(root);
    }

    private static void putOffsets(ObjectNode node, long[] values) {
        ArrayNode offsets = node.putArray("offsets");
        for (long offset : values) {
            offsets.add(offset);
        }
    }

    static ByteBuffer encode(Welcome welcome) {
        ObjectNode root = JSON.createObjectNode();
        root.put("server", welcome.server).put("direct", welcome.direct).put("echo", welcome.echo);
        return bytes(root);
    }

    static Hello hello(String json) throws IOException {
        JsonNode root = parse(json);
        int protocol = integer(root, "protocol");
        if (protocol != PROTOCOL) {
            throw new IOException("the decode server speaks transfer protocol " + protocol + ", this server " + PROTOCOL
                    + ": run the same version on both");
        }
        try {
            SharedMemory.Descriptor shared = null;
            long[] offsets = new long[0];
            JsonNode memory = root.get("shared_memory");
            if (memory != null) {
                shared = new SharedMemory.Descriptor(
                        text(memory, "host_id"),
                        text(memory, "path"),
                        number(memory, "bytes"),
                        number(memory, "nonce"),
                        integer(memory, "echo_slot"));
                offsets = offsets(memory);
            }
            DeviceDescriptor device = null;
            JsonNode onDevice = root.get("device_memory");
            if (onDevice != null) {
                device = device(onDevice);
                offsets = offsets(onDevice);
            }
            return new Hello(
                    text(root, "server"),
                    text(root, "instance"),
                    integer(root, "prefill_rank"),
                    integer(root, "decode_rank"),
                    new CachePairing.Part(
                            integer(root, "prefill_rank"),
                            layers(root),
                            integer(root, "first_head"),
                            integer(root, "heads")),
                    TransferBackend.valueOf(text(root, "backend")),
                    layout(field(root, "layout")),
                    integer(root, "pages"),
                    shared,
                    device,
                    offsets);
        } catch (IllegalArgumentException e) {
            throw new IOException("malformed handshake: " + e.getMessage(), e);
        }
    }

    private static DeviceDescriptor device(JsonNode node) throws IOException {
        return new DeviceDescriptor(
                text(node, "host_id"),
                new SharedDeviceMemory(
                        number(node, "process"),
                        text(node, "device"),
                        integer(node, "ordinal"),
                        number(node, "address"),
                        number(node, "bytes"),
                        HexFormat.of().parseHex(text(node, "handle"))));
    }

    private static long[] offsets(JsonNode node) throws IOException {
        JsonNode list = field(node, "offsets");
        long[] offsets = new long[list.size()];
        for (int i = 0; i < offsets.length; i++) {
            offsets[i] = list.get(i).asLong();
        }
        return offsets;
    }

    static Welcome welcome(String json) throws IOException {
        JsonNode root = parse(json);
        return new Welcome(text(root, "server"), field(root, "direct").asBoolean(), number(root, "echo"));
    }

    private static ObjectNode layout(KvLayout layout) {
        ObjectNode node = JSON.createObjectNode();
        node.put("model", layout.model()).put("layers", layout.layers()).put("page_size", layout.pageTokens());
        node.put("first_layer", layout.held().first())
                .put("end_layer", layout.held().end());
        HeadShare heads = layout.heads();
        node.put("heads_total", heads.total()).put("heads_first", heads.first()).put("heads_count", heads.count());
        ArrayNode buffers = node.putArray("buffers");
        for (KvLayout.Buffer buffer : layout.buffers()) {
            buffers.addObject().put("dtype", buffer.dtype()).put("head_bytes", buffer.headBytes());
        }
        return node;
    }

    private static KvLayout layout(JsonNode node) throws IOException {
        List<KvLayout.Buffer> buffers = new ArrayList<>();
        for (JsonNode buffer : field(node, "buffers")) {
            buffers.add(new KvLayout.Buffer(text(buffer, "dtype"), integer(buffer, "head_bytes")));
        }
        return new KvLayout(
                text(node, "model"),
                integer(node, "layers"),
                layers(node),
                integer(node, "page_size"),
                new HeadShare(integer(node, "heads_total"), integer(node, "heads_first"), integer(node, "heads_count")),
                buffers);
    }

    private static LayerRange layers(JsonNode node) throws IOException {
        return new LayerRange(integer(node, "first_layer"), integer(node, "end_layer"));
    }

    private static JsonNode parse(String json) throws IOException {
        try {
            return JSON.readTree(json);
        } catch (JacksonException e) {
            throw new IOException("malformed handshake: " + e.getOriginalMessage(), e);
        }
    }

    private static JsonNode field(JsonNode node, String name) throws IOException {
        JsonNode value = node.get(name);
        if (value == null || value.isNull()) {
            throw new IOException("malformed handshake: " + name + " is missing");
        }
        return value;
    }

    private static String text(JsonNode node, String name) throws IOException {
        return field(node, name).asString();
    }

    private static long number(JsonNode node, String name) throws IOException {
        JsonNode value = field(node, name);
        if (!value.isIntegralNumber() || !value.canConvertToLong()) {
            throw new IOException("malformed handshake: " + name + " is not a whole number");
        }
        return value.asLong();
    }

    private static int integer(JsonNode node, String name) throws IOException {
        return Math.toIntExact(number(node, name));
    }

    private static ByteBuffer bytes(ObjectNode root) {
        return ByteBuffer.wrap(JSON.writeValueAsString(root).getBytes(StandardCharsets.UTF_8));
    }
}
