package dev.baton.model.safetensors;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** Writes safetensors files: widest elements first, then by name, the data aligned to 8 bytes. */
public final class SafetensorsWriter {
    private static final int CHUNK_BYTES = 1 << 20;

    private SafetensorsWriter() {}

    /** Writes {@code tensors} to {@code path}; {@code metadata} may be empty. */
    public static void write(Path path, Map<String, String> metadata, List<StoredTensor> tensors) {
        List<StoredTensor> ordered = tensors.stream()
                .sorted(Comparator.comparingInt((StoredTensor t) -> -t.dtype().bytes())
                        .thenComparing(StoredTensor::name))
                .toList();
        byte[] header = header(metadata, ordered);
        try (OutputStream out = new BufferedOutputStream(Files.newOutputStream(path), CHUNK_BYTES)) {
            for (int shift = 0; shift < 64; shift += 8) {
                out.write((int) ((long) header.length >>> shift));
            }
            out.write(header);
            for (StoredTensor tensor : ordered) {
                copy(tensor.data(), out);
            }
        } catch (IOException e) {
            throw new UncheckedIOException("cannot write " + path, e);
        }
    }

    /** Writes one file a list element, named as Hugging Face names shards, and the index. */
    public static void writeShards(Path folder, List<List<StoredTensor>> shards) {
        JsonMapper json = new JsonMapper();
        ObjectNode index = json.createObjectNode();
        long bytes = 0;
        ObjectNode metadata = index.putObject("metadata");
        ObjectNode weightMap = index.putObject("weight_map");
        for (int i = 0; i < shards.size(); i++) {
            String file = "model-%05d-of-%05d.safetensors".formatted(i + 1, shards.size());
            write(folder.resolve(file), Map.of("format", "pt"), shards.get(i));
            for (StoredTensor tensor : shards.get(i)) {
                weightMap.put(tensor.name(), file);
                bytes += tensor.data().byteSize();
            }
        }
        metadata.put("total_size", bytes);
        try {
            Files.write(folder.resolve("model.safetensors.index.json"), json.writeValueAsBytes(index));
        } catch (IOException e) {
            throw new UncheckedIOException("cannot write the index of " + folder, e);
        }
    }

    private static byte[] header(Map<String, String> metadata, List<StoredTensor> tensors) {
        JsonMapper json = new JsonMapper();
        ObjectNode root = json.createObjectNode();
        if (!metadata.isEmpty()) {
            ObjectNode node = root.putObject("__metadata__");
            metadata.forEach(node::put);
        }
        long offset = 0;
        for (StoredTensor tensor : tensors) {
            ObjectNode node = root.putObject(tensor.name());
            node.put("dtype", tensor.dtype().name());
            var shape = node.putArray("shape");
            for (long dimension : tensor.shape()) {
                shape.add(dimension);
            }
            long bytes = tensor.data().byteSize();
            if (bytes != tensor.elements() * tensor.dtype().bytes()) {
                throw new IllegalArgumentException(tensor + " has " + bytes + " bytes of data");
            }
            node.putArray("data_offsets").add(offset).add(offset + bytes);
            offset += bytes;
        }
        String text = json.writeValueAsString(root);
        int length = text.getBytes(StandardCharsets.UTF_8).length;
        return (text + " ".repeat(-length & 7)).getBytes(StandardCharsets.UTF_8);
    }

    private static void copy(MemorySegment data, OutputStream out) throws IOException {
        byte[] chunk = new byte[(int) Math.min(CHUNK_BYTES, data.byteSize())];
        for (long at = 0; at < data.byteSize(); at += chunk.length) {
            int count = (int) Math.min(chunk.length, data.byteSize() - at);
            MemorySegment.copy(data, ValueLayout.JAVA_BYTE, at, chunk, 0, count);
            out.write(chunk, 0, count);
        }
    }
}
