package dev.baton.trace.expert;

import dev.baton.trace.TraceException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Reads files with expert counts or placements: JSON ({@code logical_count}, {@code physical_to_logical_map}, a recorder's
 * {@code records}) and what {@code torch.save} made of the same ({@code .pt}).
 */
public final class ExpertFile {
    private ExpertFile() {}

    /**
     * Reads counts from a file: {@code logical_count} of [layers][experts] or [steps][layers][experts], or a recorder's
     * records per pass.
     *
     * @throws TraceException IO or MALFORMED naming the file and what is missing
     */
    public static ExpertCounts read(Path file) {
        String name = String.valueOf(file.getFileName());
        ExpertCounts counts = counts(content(file), name);
        if (counts == null) {
            throw malformed(
                    file + " holds neither logical_count [layers][experts] nor records with global_physical_count",
                    null);
        }
        return counts;
    }

    /**
     * What each rank computed in a recording of Baton's: {@code rank_load} [layers][ranks]; null in others' files, which do
     * not say.
     *
     * @throws TraceException IO or MALFORMED naming the file
     */
    public static double @Nullable [][] rankLoads(Path file) {
        if (!(content(file).get("rank_load") instanceof TorchFile.Tensor loads) || loads.shape().length != 2) {
            return null;
        }
        int ranks = loads.shape()[1];
        double[][] rows = new double[loads.shape()[0]][];
        for (int layer = 0; layer < rows.length; layer++) {
            rows[layer] = Arrays.copyOfRange(loads.values(), layer * ranks, (layer + 1) * ranks);
        }
        return rows;
    }

    /**
     * What {@code --init-expert-location} says: {@code trivial}, JSON text, or a file.
     *
     * @throws TraceException IO or MALFORMED naming the file and what is missing
     */
    public static InitialLocation location(String text) {
        if (text.equals("trivial")) {
            return new InitialLocation.Trivial();
        }
        boolean inline = text.stripLeading().startsWith("{");
        String source = inline ? "the JSON of --init-expert-location" : text;
        Map<?, ?> content = inline ? json(text, source) : content(Path.of(text));
        if (content.get("physical_to_logical_map") instanceof TorchFile.Tensor map) {
            if (map.shape().length != 2) {
                throw malformed(
                        source + ": physical_to_logical_map must be [layers][slots], it has "
                                + Arrays.toString(map.shape()),
                        null);
            }
            int[][] rows = new int[map.shape()[0]][map.shape()[1]];
            for (int i = 0; i < map.values().length; i++) {
                rows[i / map.shape()[1]][i % map.shape()[1]] = (int) map.values()[i];
            }
            return new InitialLocation.Map(source, rows);
        }
        ExpertCounts counts = counts(content, source);
        if (counts == null) {
            throw malformed(source + " has neither physical_to_logical_map nor logical_count", null);
        }
        return new InitialLocation.Counts(counts);
    }

    /** The top level of a file, arrays of numbers as tensors. */
    private static Map<?, ?> content(Path file) {
        if (!Files.isRegularFile(file)) {
            throw new TraceException(
                    TraceException.Code.IO, file + ": there is no such file", new java.io.FileNotFoundException());
        }
        if (String.valueOf(file.getFileName()).endsWith(".json")) {
            try {
                return tensors(JsonMapper.shared().readTree(file.toFile()), file.toString());
            } catch (JacksonException e) {
                throw malformed(file + " is no JSON: " + e.getOriginalMessage(), e);
            }
        }
        return TorchFile.read(file) instanceof Map<?, ?> map ? map : Map.of();
    }

    private static Map<?, ?> json(String text, String source) {
        try {
            return tensors(JsonMapper.shared().readTree(text), source);
        } catch (JacksonException e) {
            throw malformed(source + " is no JSON: " + e.getOriginalMessage(), e);
        }
    }

    private static Map<String, Object> tensors(JsonNode root, String source) {
        Map<String, Object> map = new java.util.HashMap<>();
        for (String key :
                List.of("logical_count", "physical_to_logical_map", "last_physical_to_logical_map", "rank_load")) {
            if (root.path(key).isArray()) {
                map.put(key, tensor(root.path(key), source + ": " + key));
            }
        }
        if (root.path("records").isArray()) {
            List<Object> records = new ArrayList<>();
            for (JsonNode pass : root.path("records")) {
                JsonNode count = pass.path("global_physical_count");
                records.add(
                        count.isArray()
                                ? Map.of("global_physical_count", tensor(count, source + ": global_physical_count"))
                                : Map.of());
            }
            map.put("records", records);
        }
        return map;
    }

    /** Nested arrays of one depth and lengths that agree. */
    private static TorchFile.Tensor tensor(JsonNode array, String what) {
        List<Integer> shape = new ArrayList<>();
        for (JsonNode node = array; node.isArray(); node = node.get(0)) {
            shape.add(node.size());
            if (node.isEmpty()) {
                throw malformed(what + " has an empty array", null);
            }
        }
        int[] sizes = shape.stream().mapToInt(Integer::intValue).toArray();
        long total = 1;
        for (int size : sizes) {
            total *= size;
        }
        if (total > 1 << 27) {
            throw malformed(what + " has " + total + " numbers", null);
        }
        double[] values = new double[(int) total];
        int filled = fill(array, sizes, 0, values, 0, what);
        if (filled != values.length) {
            throw uneven(what);
        }
        return new TorchFile.Tensor(sizes, values);
    }

    private static int fill(JsonNode node, int[] sizes, int depth, double[] values, int at, String what) {
        if (depth == sizes.length) {
            if (!node.isNumber()) {
                throw malformed(what + " holds " + node + " where a number belongs", null);
            }
            values[at] = node.asDouble();
            return at + 1;
        }
        if (!node.isArray() || node.size() != sizes[depth]) {
            throw uneven(what);
        }
        int next = at;
        for (JsonNode child : node) {
            next = fill(child, sizes, depth + 1, values, next, what);
        }
        return next;
    }

    private static TraceException uneven(String what) {
        return malformed(what + " has rows of different lengths", null);
    }

    private static @Nullable ExpertCounts counts(Map<?, ?> content, String name) {
        if (content.get("logical_count") instanceof TorchFile.Tensor tensor) {
            int[] shape = tensor.shape();
            if (shape.length == 2) {
                return summed(name, new int[] {1, shape[0], shape[1]}, tensor.values());
            }
            if (shape.length == 3) {
                return summed(name, shape, tensor.values());
            }
        }
        return perPass(content, name);
    }

    /** Records of single passes count physical slots; the last placement says which expert each slot held. */
    private static @Nullable ExpertCounts perPass(Map<?, ?> map, String name) {
        if (!(map.get("records") instanceof List<?> records)
                || !(map.get("last_physical_to_logical_map") instanceof TorchFile.Tensor placement)
                || placement.shape().length != 2) {
            return null;
        }
        int layers = placement.shape()[0];
        int slots = placement.shape()[1];
        int experts = 1 + (int) Arrays.stream(placement.values()).max().orElse(-1);
        double[][] counts = new double[layers][experts];
        int passes = 0;
        for (Object record : records) {
            if (record instanceof Map<?, ?> pass
                    && pass.get("global_physical_count") instanceof TorchFile.Tensor physical
                    && physical.values().length == layers * slots) {
                for (int i = 0; i < physical.values().length; i++) {
                    int expert = (int) placement.values()[i];
                    if (expert < 0) {
                        throw malformed(name + ": last_physical_to_logical_map names expert " + expert, null);
                    }
                    counts[i / slots][expert] += physical.values()[i];
                }
                passes++;
            }
        }
        return passes == 0 ? null : new ExpertCounts(name, counts, passes);
    }

    private static ExpertCounts summed(String name, int[] shape, double[] values) {
        double[][] counts = new double[shape[1]][shape[2]];
        for (int i = 0; i < values.length; i++) {
            counts[i / shape[2] % shape[1]][i % shape[2]] += values[i];
        }
        return new ExpertCounts(name, counts, shape[0]);
    }

    private static TraceException malformed(String what, @Nullable Exception cause) {
        return new TraceException(
                TraceException.Code.MALFORMED, what, cause == null ? new IllegalArgumentException(what) : cause);
    }
}
