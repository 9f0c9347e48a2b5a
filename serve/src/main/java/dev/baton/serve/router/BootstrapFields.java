package dev.baton.serve.router;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.nio.charset.StandardCharsets;
import java.util.random.RandomGenerator;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** Puts the fields into a body by which prefill and decode find each other. */
final class BootstrapFields {
    private static final JsonMapper JSON = JsonMapper.builder().build();

    private BootstrapFields() {}

    /**
     * The body with {@code bootstrap_host}, {@code bootstrap_port} and fresh {@code bootstrap_room}s, one of each a batch
     * item. The bytes of the body are shared, not copied, unless it already has such fields.
     *
     * @param body the request body; stays the caller's
     * @return a new reference, the caller's
     */
    static ByteBuf add(ByteBuf body, BodyScan scan, WorkerAddress prefill, RandomGenerator random) {
        if (scan.bootstrap()) {
            return replaced(scan, prefill, random);
        }
        StringBuilder fields = new StringBuilder(160);
        fields.append(scan.empty() ? "" : ",").append("\"bootstrap_host\":");
        append(fields, scan.batch(), "\"" + prefill.host() + "\"");
        fields.append(",\"bootstrap_port\":");
        append(fields, scan.batch(), String.valueOf(prefill.bootstrapPort()));
        fields.append(",\"bootstrap_room\":");
        if (scan.batch() < 0) {
            fields.append(room(random));
        } else {
            for (int i = 0; i < scan.batch(); i++) {
                fields.append(i == 0 ? '[' : ',').append(room(random));
            }
            fields.append(']');
        }
        ByteBuf tail = Unpooled.wrappedBuffer(fields.append('}').toString().getBytes(StandardCharsets.US_ASCII));
        return Unpooled.wrappedBuffer(body.retainedSlice(body.readerIndex(), scan.close()), tail);
    }

    /** An integer in [0, 2^63). */
    private static long room(RandomGenerator random) {
        return random.nextLong() >>> 1;
    }

    private static void append(StringBuilder out, int batch, String value) {
        if (batch < 0) {
            out.append(value);
            return;
        }
        for (int i = 0; i < batch; i++) {
            out.append(i == 0 ? '[' : ',').append(value);
        }
        out.append(']');
    }

    private static ByteBuf replaced(BodyScan scan, WorkerAddress prefill, RandomGenerator random) {
        ObjectNode json = (ObjectNode) JSON.readTree(scan.bytes(), 0, scan.close() + 1);
        json.remove("bootstrap_host");
        json.remove("bootstrap_port");
        json.remove("bootstrap_room");
        byte[] bytes = JSON.writeValueAsBytes(json);
        BodyScan again = new BodyScan(
                bytes,
                bytes.length - 1,
                json.isEmpty(),
                scan.stream(),
                scan.returnLogprob(),
                scan.batch(),
                false,
                null);
        ByteBuf plain = Unpooled.wrappedBuffer(bytes);
        try {
            return add(plain, again, prefill, random);
        } finally {
            plain.release();
        }
    }
}
