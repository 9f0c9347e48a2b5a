package dev.baton.trace.read;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import tools.jackson.core.JacksonException;
import tools.jackson.core.json.JsonReadFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Collects what stands beside the events at the top of a trace. */
final class HeaderReader {
    private static final int MOST_BYTES = 16 << 20;
    private static final Set<String> KEYS =
            Set.of("baseTimeNanoseconds", "distributedInfo", "deviceProperties", "host_name", "baton_dropped_spans");
    private static final JsonMapper MAPPER = JsonMapper.builder()
            .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
            .enable(JsonReadFeature.ALLOW_BACKSLASH_ESCAPING_ANY_CHARACTER)
            .enable(JsonReadFeature.ALLOW_UNESCAPED_CONTROL_CHARS)
            .build();

    private final List<String> notes = new ArrayList<>();
    private final List<Map.Entry<String, byte[]>> said = new ArrayList<>();
    private final Map<Integer, String> devices = new HashMap<>();
    private int rank = -1;
    private int worldSize;
    private long baseNanos;
    private String backend = "";
    private String hostName = "";

    /** Takes what another reader took from a later part of the document. */
    void append(HeaderReader later) {
        later.said.forEach(s -> property(s.getKey(), s.getValue(), 0, s.getValue().length));
    }

    /** Takes one top-level value, {@code b[from, to)}. */
    void property(String key, byte[] b, int from, int to) {
        if (KEYS.contains(key) && to - from <= MOST_BYTES) {
            said.add(Map.entry(key, Arrays.copyOfRange(b, from, to)));
        }
        switch (key) {
            case "baseTimeNanoseconds" -> {
                long value = Numbers.whole(b, from, to);
                if (value == Numbers.NONE) {
                    notes.add("baseTimeNanoseconds is no whole number: times count from 0");
                }
                baseNanos = Math.max(0, value);
            }
            case "distributedInfo", "deviceProperties", "host_name" -> {
                JsonNode value = tree(key, b, from, to);
                if (value != null) {
                    described(key, value);
                }
            }
            case "baton_dropped_spans" ->
                notes.add(Json.text(b, from, to) + " older spans had been overwritten when this trace was written");
            case "baton_rehearsal" ->
                notes.add("recorded in a rehearsal (" + Json.text(b, from, to)
                        + "): times are the model's, not the machine's");
            default -> {}
        }
    }

    private @org.jspecify.annotations.Nullable JsonNode tree(String key, byte[] b, int from, int to) {
        if (to - from > MOST_BYTES) {
            notes.add(key + " is longer than 16 MiB and was passed over");
            return null;
        }
        try {
            return MAPPER.readTree(b, from, to - from);
        } catch (JacksonException e) {
            notes.add(key + " is damaged and was passed over");
            return null;
        }
    }

    private void described(String key, JsonNode value) {
        switch (key) {
            case "distributedInfo" -> {
                rank = value.path("rank").asInt(-1);
                worldSize = Math.max(0, value.path("world_size").asInt(0));
                backend = value.path("backend").asString("");
            }
            case "deviceProperties" ->
                value.forEach(device -> devices.put(
                        device.path("id").asInt(-1), device.path("name").asString("")));
            default -> hostName = value.asString("");
        }
    }

    TraceInfo info() {
        return new TraceInfo(rank, worldSize, baseNanos, backend, hostName, devices);
    }

    List<String> notes() {
        return notes;
    }
}
