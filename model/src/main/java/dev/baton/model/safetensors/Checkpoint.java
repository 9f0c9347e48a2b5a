package dev.baton.model.safetensors;

import dev.baton.model.ModelException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * All weights of a model folder: the shards that {@code model.safetensors.index.json} lists, or {@code
 * model.safetensors}, or every {@code *.safetensors} file.
 */
public final class Checkpoint implements WeightSource {
    private static final String INDEX = "model.safetensors.index.json";
    private static final String SINGLE = "model.safetensors";

    private final Path folder;
    private final List<SafetensorsFile> files;
    private final Map<String, StoredTensor> tensors;

    private Checkpoint(Path folder, List<SafetensorsFile> files, Map<String, StoredTensor> tensors) {
        this.folder = folder;
        this.files = files;
        this.tensors = tensors;
    }

    /**
     * Maps and checks every shard of {@code folder}.
     *
     * @throws ModelException NOT_FOUND when a shard is missing; INVALID_WEIGHTS when a file is corrupt, two shards hold
     *     one name, or the index names a tensor that its shard does not hold
     */
    public static Checkpoint open(Path folder) {
        if (!Files.isDirectory(folder)) {
            throw new ModelException(ModelException.Code.NOT_FOUND, "model path " + folder + " is not a folder");
        }
        Map<String, String> weightMap = weightMap(folder.resolve(INDEX));
        List<SafetensorsFile> files = new ArrayList<>();
        try {
            for (String name :
                    weightMap != null ? weightMap.values().stream().distinct().toList() : unlisted(folder)) {
                files.add(openShard(folder, name, weightMap != null));
            }
            Map<String, StoredTensor> tensors = merge(files);
            if (weightMap != null) {
                checkIndex(folder, weightMap, files);
            }
            return new Checkpoint(folder, files, tensors);
        } catch (RuntimeException e) {
            files.forEach(SafetensorsFile::close);
            throw e;
        }
    }

    private static @Nullable Map<String, String> weightMap(Path index) {
        if (!Files.exists(index)) {
            return null;
        }
        JsonNode map;
        try {
            map = new JsonMapper().readTree(Files.readAllBytes(index)).get("weight_map");
        } catch (JacksonException e) {
            throw new ModelException(
                    ModelException.Code.INVALID_WEIGHTS, index + " is not valid JSON: " + e.getOriginalMessage(), e);
        } catch (IOException e) {
            throw new ModelException(ModelException.Code.NOT_FOUND, "cannot read " + index + ": " + e.getMessage(), e);
        }
        if (map == null || !map.isObject() || map.isEmpty()) {
            throw new ModelException(
                    ModelException.Code.INVALID_WEIGHTS, index + " has no \"weight_map\" of tensor names to files");
        }
        Map<String, String> names = new LinkedHashMap<>();
        for (Map.Entry<String, JsonNode> entry : map.properties()) {
            JsonNode file = entry.getValue();
            // A shard lies beside its index: a name with a path in it would read files elsewhere.
            if (!file.isString()
                    || file.stringValue().contains("/")
                    || file.stringValue().contains("\\")) {
                throw new ModelException(
                        ModelException.Code.INVALID_WEIGHTS,
                        index + ": the file of \"" + entry.getKey() + "\" is " + file + ", not a file name");
            }
            names.put(entry.getKey(), file.stringValue());
        }
        return names;
    }

    private static SafetensorsFile openShard(Path folder, String name, boolean listed) {
        Path file = folder.resolve(name);
        if (listed && !Files.exists(file)) {
            throw new ModelException(
                    ModelException.Code.NOT_FOUND,
                    folder.resolve(INDEX) + " lists shard " + name + ", which is missing");
        }
        return SafetensorsFile.open(file);
    }

    private static List<String> unlisted(Path folder) {
        if (Files.exists(folder.resolve(SINGLE))) {
            return List.of(SINGLE);
        }
        try (Stream<Path> entries = Files.list(folder)) {
            List<String> names = entries.map(p -> p.getFileName().toString())
                    .filter(name -> name.endsWith(".safetensors"))
                    .sorted()
                    .toList();
            if (names.isEmpty()) {
                throw new ModelException(
                        ModelException.Code.NOT_FOUND,
                        "model folder " + folder + " has no *.safetensors file; use --load-format dummy for random"
                                + " weights");
            }
            return names;
        } catch (IOException e) {
            throw new ModelException(ModelException.Code.NOT_FOUND, "cannot list " + folder + ": " + e.getMessage(), e);
        }
    }

    private static Map<String, StoredTensor> merge(List<SafetensorsFile> files) {
        Map<String, StoredTensor> tensors = new LinkedHashMap<>();
        Map<String, SafetensorsFile> owners = new HashMap<>();
        for (SafetensorsFile file : files) {
            for (String name : file.names()) {
                SafetensorsFile other = owners.put(name, file);
                if (other != null) {
                    throw new ModelException(
                            ModelException.Code.INVALID_WEIGHTS,
                            "tensor \"" + name + "\" is in two shards: " + other.path() + " and " + file.path());
                }
                tensors.put(name, Objects.requireNonNull(file.find(name)));
            }
        }
        return tensors;
    }

    private static void checkIndex(Path folder, Map<String, String> weightMap, List<SafetensorsFile> files) {
        Map<String, SafetensorsFile> byName = new HashMap<>();
        files.forEach(file -> byName.put(file.path().getFileName().toString(), file));
        weightMap.forEach((tensor, file) -> {
            SafetensorsFile shard = byName.get(file);
            if (shard == null || !shard.contains(tensor)) {
                throw new ModelException(
                        ModelException.Code.INVALID_WEIGHTS,
                        folder.resolve(INDEX) + " puts tensor \"" + tensor + "\" into " + file
                                + ", which does not hold it");
            }
        });
    }

    @Override
    public Set<String> names() {
        return Collections.unmodifiableSet(tensors.keySet());
    }

    @Override
    public boolean contains(String name) {
        return tensors.containsKey(name);
    }

    @Override
    public @Nullable StoredTensor find(String name) {
        return tensors.get(name);
    }

    @Override
    public void close() {
        files.forEach(SafetensorsFile::close);
    }

    @Override
    public String toString() {
        return folder.toString();
    }
}
