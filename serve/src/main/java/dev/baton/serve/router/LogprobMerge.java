package dev.baton.serve.router;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Log-probabilities of the prompt are the prefill server's, those of the answer the decode server's: puts the former's
 * {@code meta_info.input_token_logprobs}, with the alternatives at each position, in front of the latter's, item by item of a batch, whole or streamed. Decode
 * frames that come before the prefill server has ended are held.
 */
final class LogprobMerge implements AutoCloseable {
    private static final JsonMapper JSON = JsonMapper.builder().build();
    private static final List<String> KEYS =
            List.of("input_token_logprobs", "input_top_logprobs", "input_token_ids_logprobs");

    private final boolean streams;
    /** By the item's number in the batch; 0 for a single request. Null until the prefill server has ended. */
    private @Nullable Map<Integer, Map<String, ArrayNode>> prompt;

    private final ByteArrayOutputStream pending = new ByteArrayOutputStream();

    LogprobMerge(boolean streams) {
        this.streams = streams;
    }

    boolean streams() {
        return streams;
    }

    /** The prefill server's whole answer. Returns decode frames that had to wait for it, or null. */
    @Nullable
    ByteBuf prefill(ByteBuf answer) {
        Map<Integer, Map<String, ArrayNode>> found = new HashMap<>();
        for (String line : answer.toString(StandardCharsets.UTF_8).split("\n")) {
            JsonNode json = parse(line.startsWith("data:") ? line.substring(5) : line);
            if (json != null && json.isArray()) {
                for (int i = 0; i < json.size(); i++) {
                    keep(found, i, json.path(i));
                }
            } else if (json != null) {
                keep(found, json.path("index").asInt(0), json);
            }
        }
        prompt = found;
        return streams ? drain() : null;
    }

    private static void keep(Map<Integer, Map<String, ArrayNode>> found, int item, JsonNode answer) {
        Map<String, ArrayNode> columns = new HashMap<>();
        for (String key : KEYS) {
            if (answer.path("meta_info").path(key) instanceof ArrayNode logprobs) {
                columns.put(key, logprobs);
            }
        }
        found.put(item, columns);
    }

    /** Bytes of the decode server's stream; takes them over. Returns what can go to the client, or null. */
    @Nullable
    ByteBuf decode(ByteBuf bytes) {
        pending.writeBytes(ByteBufUtil.getBytes(bytes));
        bytes.release();
        return prompt == null ? null : drain();
    }

    /** The decode server's whole answer with the prompt's log-probabilities in it; the argument stays the caller's. */
    ByteBuf whole(ByteBuf answer) {
        byte[] bytes = ByteBufUtil.getBytes(answer);
        JsonNode json = parse(new String(bytes, StandardCharsets.UTF_8));
        if (json == null) {
            return Unpooled.wrappedBuffer(bytes);
        }
        if (json.isArray()) {
            for (int i = 0; i < json.size(); i++) {
                merge(json.path(i), i);
            }
        } else {
            merge(json, 0);
        }
        return Unpooled.wrappedBuffer(JSON.writeValueAsBytes(json));
    }

    /** Whole lines of what is pending, merged. */
    private @Nullable ByteBuf drain() {
        byte[] bytes = pending.toByteArray();
        int end = bytes.length;
        while (end > 0 && bytes[end - 1] != '\n') {
            end--;
        }
        if (end == 0) {
            return null;
        }
        pending.reset();
        pending.write(bytes, end, bytes.length - end);
        StringBuilder out = new StringBuilder(end + 256);
        for (String line : new String(bytes, 0, end, StandardCharsets.UTF_8).split("\n", -1)) {
            out.append(frame(line)).append('\n');
        }
        out.setLength(out.length() - 1);
        return Unpooled.copiedBuffer(out, StandardCharsets.UTF_8);
    }

    private String frame(String line) {
        JsonNode json = line.startsWith("data:") ? parse(line.substring(5)) : null;
        if (json == null) {
            return line;
        }
        merge(json, json.path("index").asInt(0));
        return "data: " + JSON.writeValueAsString(json);
    }

    private void merge(JsonNode answer, int item) {
        Map<String, ArrayNode> columns = prompt == null ? null : prompt.get(item);
        if (columns != null && answer.path("meta_info") instanceof ObjectNode meta) {
            columns.forEach((key, first) -> {
                ArrayNode both = JSON.createArrayNode().addAll(first);
                if (meta.path(key) instanceof ArrayNode second) {
                    both.addAll(second);
                }
                meta.set(key, both);
            });
        }
    }

    private static @Nullable JsonNode parse(String text) {
        String trimmed = text.strip();
        if (!trimmed.startsWith("{") && !trimmed.startsWith("[{")) {
            return null;
        }
        try {
            return JSON.readTree(trimmed);
        } catch (JacksonException e) {
            return null;
        }
    }

    @Override
    public void close() {
        pending.reset();
    }
}
