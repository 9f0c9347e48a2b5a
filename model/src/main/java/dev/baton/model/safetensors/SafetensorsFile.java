package dev.baton.model.safetensors;

import dev.baton.model.ModelException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Collections;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * One safetensors file, mapped read-only. Everything the header says is checked when the file is opened, so that a
 * corrupt or truncated file is refused before a weight is read.
 */
public final class SafetensorsFile implements WeightSource {
    private final Path path;
    private final Arena arena;
    private final Map<String, String> metadata;
    private final Map<String, StoredTensor> tensors;

    private SafetensorsFile(Path path, Arena arena, SafetensorsHeader header) {
        this.path = path;
        this.arena = arena;
        this.metadata = header.metadata();
        this.tensors = header.tensors();
    }

    /**
     * Maps and checks {@code path}.
     *
     * @throws ModelException NOT_FOUND, or INVALID_WEIGHTS naming the tensor and what is wrong with it
     */
    public static SafetensorsFile open(Path path) {
        Arena arena = Arena.ofShared();
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
            MemorySegment file = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
            return new SafetensorsFile(path, arena, SafetensorsHeader.parse(path, file));
        } catch (NoSuchFileException e) {
            arena.close();
            throw new ModelException(ModelException.Code.NOT_FOUND, "weights file " + path + " does not exist", e);
        } catch (IOException e) {
            arena.close();
            throw new ModelException(ModelException.Code.NOT_FOUND, "cannot map " + path + ": " + e.getMessage(), e);
        } catch (RuntimeException e) {
            arena.close();
            throw e;
        }
    }

    public Path path() {
        return path;
    }

    /** The {@code __metadata__} entry; empty when there is none. */
    public Map<String, String> metadata() {
        return metadata;
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
        if (arena.scope().isAlive()) {
            arena.close();
        }
    }

    @Override
    public String toString() {
        return path.toString();
    }
}
