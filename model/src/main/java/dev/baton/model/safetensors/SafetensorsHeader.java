package dev.baton.model.safetensors;

import dev.baton.model.DType;
import dev.baton.model.ModelException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.Map;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * The checked header of a file: 8 bytes of little-endian length, that many bytes of JSON, then the data without holes.
 *
 * @param tensors by name, in the order of the header
 */
record SafetensorsHeader(Map<String, String> metadata, Map<String, StoredTensor> tensors) {
    /** The limit of the reference implementation. */
    private static final long MAX_HEADER_BYTES = 100_000_000;

    private static final JsonMapper JSON = JsonMapper.builder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .build();

    private record Extent(String name, long begin, long end) {}

    static SafetensorsHeader parse(Path path, MemorySegment file) {
        if (file.byteSize() < 8) {
            throw invalid(path, "is " + file.byteSize() + " bytes long; a header length takes 8: truncated or empty");
        }
        long headerBytes = file.get(ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN), 0);
        if (headerBytes < 2 || headerBytes > MAX_HEADER_BYTES) {
            throw invalid(
                    path,
                    "states a header length of " + Long.toUnsignedString(headerBytes) + " bytes; 2 to "
                            + MAX_HEADER_BYTES + " are possible: not a safetensors file");
        }
        if (headerBytes > file.byteSize() - 8) {
            throw invalid(
                    path,
                    "states a header length of " + headerBytes + " bytes, but only " + (file.byteSize() - 8)
                            + " follow: truncated");
        }
        JsonNode root;
        try {
            root = JSON.readTree(file.asSlice(8, headerBytes).toArray(ValueLayout.JAVA_BYTE));
        } catch (JacksonException e) {
            throw invalid(path, "has a header that is not valid JSON: " + e.getOriginalMessage());
        }
        if (root == null || !root.isObject()) {
            throw invalid(path, "has a header that is not a JSON object");
        }
        return read(path, root, file.asSlice(8 + headerBytes));
    }

    private static SafetensorsHeader read(Path path, JsonNode root, MemorySegment data) {
        Map<String, String> metadata = new LinkedHashMap<>();
        Map<String, StoredTensor> tensors = new LinkedHashMap<>();
        Extent[] extents = new Extent[root.size()];
        int count = 0;
        for (Map.Entry<String, JsonNode> entry : root.properties()) {
            if (entry.getKey().equals("__metadata__")) {
                readMetadata(path, entry.getValue(), metadata);
            } else {
                Extent extent = extent(path, entry.getKey(), entry.getValue(), data.byteSize());
                extents[count++] = extent;
                tensors.put(entry.getKey(), tensor(path, extent, entry.getValue(), data));
            }
        }
        checkCoverage(path, Arrays.copyOf(extents, count), data.byteSize());
        return new SafetensorsHeader(Map.copyOf(metadata), tensors);
    }

    private static void readMetadata(Path path, JsonNode node, Map<String, String> metadata) {
        if (!node.isObject()) {
            throw invalid(path, "has a __metadata__ that is not an object");
        }
        for (Map.Entry<String, JsonNode> entry : node.properties()) {
            if (!entry.getValue().isString()) {
                throw invalid(path, "has a __metadata__ entry \"" + entry.getKey() + "\" that is not a string");
            }
            metadata.put(entry.getKey(), entry.getValue().stringValue());
        }
    }

    private static Extent extent(Path path, String name, JsonNode node, long dataBytes) {
        JsonNode offsets = node.get("data_offsets");
        if (offsets == null
                || !offsets.isArray()
                || offsets.size() != 2
                || !offsets.get(0).canConvertToLong()
                || !offsets.get(1).canConvertToLong()) {
            throw invalid(path, "tensor \"" + name + "\": data_offsets is " + offsets + ", not two integers");
        }
        long begin = offsets.get(0).longValue();
        long end = offsets.get(1).longValue();
        if (begin < 0 || end < begin) {
            throw invalid(path, "tensor \"" + name + "\": data_offsets is " + offsets + ", not a range");
        }
        if (end > dataBytes) {
            throw invalid(
                    path,
                    "tensor \"" + name + "\": data_offsets " + offsets + " end past the " + dataBytes
                            + " bytes of data: truncated");
        }
        return new Extent(name, begin, end);
    }

    private static StoredTensor tensor(Path path, Extent extent, JsonNode node, MemorySegment data) {
        DType dtype = dtype(path, extent.name, node.get("dtype"));
        long[] shape = shape(path, extent.name, node.get("shape"));
        long bytes = dtype.bytes();
        for (long dimension : shape) {
            if (dimension != 0 && bytes > Long.MAX_VALUE / dimension) {
                throw invalid(
                        path, "tensor \"" + extent.name + "\": shape " + Arrays.toString(shape) + " is too large");
            }
            bytes *= dimension;
        }
        if (bytes != extent.end - extent.begin) {
            throw invalid(
                    path,
                    "tensor \"" + extent.name + "\": shape " + Arrays.toString(shape) + " of " + dtype + " takes "
                            + bytes
                            + " bytes, but data_offsets [" + extent.begin + ", " + extent.end + "] hold "
                            + (extent.end - extent.begin));
        }
        return new StoredTensor(extent.name, dtype, shape, data.asSlice(extent.begin, bytes));
    }

    private static DType dtype(Path path, String name, JsonNode node) {
        if (node != null && node.isString()) {
            for (DType dtype : DType.values()) {
                if (dtype.name().equals(node.stringValue())) {
                    return dtype;
                }
            }
        }
        throw invalid(
                path, "tensor \"" + name + "\": unknown dtype " + node + "; known: " + Arrays.toString(DType.values()));
    }

    private static long[] shape(Path path, String name, JsonNode node) {
        if (node == null || !node.isArray()) {
            throw invalid(path, "tensor \"" + name + "\": shape is " + node + ", not a list");
        }
        long[] shape = new long[node.size()];
        for (int i = 0; i < shape.length; i++) {
            JsonNode dimension = node.get(i);
            if (!dimension.canConvertToLong() || !dimension.isIntegralNumber() || dimension.longValue() < 0) {
                throw invalid(path, "tensor \"" + name + "\": shape is " + node + ", not a list of sizes");
            }
            shape[i] = dimension.longValue();
        }
        return shape;
    }

    /** The format allows neither overlap nor holes nor bytes after the last tensor. */
    private static void checkCoverage(Path path, Extent[] extents, long dataBytes) {
        Arrays.sort(extents, Comparator.comparingLong(Extent::begin).thenComparingLong(Extent::end));
        long covered = 0;
        String previous = "";
        for (Extent extent : extents) {
            if (extent.begin < covered) {
                throw invalid(
                        path,
                        "tensors \"" + previous + "\" and \"" + extent.name + "\" overlap at byte " + extent.begin);
            }
            if (extent.begin > covered) {
                throw invalid(
                        path,
                        "has a hole of " + (extent.begin - covered) + " bytes before tensor \"" + extent.name + "\"");
            }
            covered = extent.end;
            previous = extent.name;
        }
        if (covered != dataBytes) {
            throw invalid(path, "has " + (dataBytes - covered) + " bytes after the last tensor");
        }
    }

    private static ModelException invalid(Path path, String what) {
        return new ModelException(ModelException.Code.INVALID_WEIGHTS, path + " " + what);
    }
}
