package dev.baton.engine.arch;

import dev.baton.model.DType;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Collects which buffers the blocks of a model need while it is built. */
public final class WorkspacePlan {
    private final Map<String, Integer> indices = new HashMap<>();
    private final List<BufferSpec> widest = new ArrayList<>();
    private final DType activationType;

    /** @param activationType what blocks hand to each other, see {@link dev.baton.tensor.Device#activationType} */
    public WorkspacePlan(DType activationType) {
        this.activationType = activationType;
    }

    /** A buffer [tokens, columns]; the same name gives the same memory, as wide as its widest user. */
    public BufferSpec reserve(String name, DType dtype, int columns) {
        Integer known = indices.get(name);
        if (known == null) {
            BufferSpec spec = new BufferSpec(widest.size(), name, dtype, columns, 0);
            indices.put(name, spec.index());
            widest.add(spec);
            return spec;
        }
        BufferSpec buffer = widest.get(known);
        if (buffer.dtype() != dtype) {
            throw new IllegalArgumentException("buffer " + name + " is " + buffer.dtype() + ", not " + dtype);
        }
        BufferSpec spec = new BufferSpec(known, name, dtype, columns, buffer.fixedRows());
        if (columns > buffer.columns()) {
            widest.set(known, spec);
        }
        return spec;
    }

    /** A buffer [rows, columns], whatever the tokens of a step; one size a name. */
    public BufferSpec fixed(String name, DType dtype, int columns, int rows) {
        Integer known = indices.get(name);
        if (known != null) {
            return widest.get(known);
        }
        BufferSpec spec = new BufferSpec(widest.size(), name, dtype, columns, rows);
        indices.put(name, spec.index());
        widest.add(spec);
        return spec;
    }

    DType activationType() {
        return activationType;
    }

    /** Of the device's activation type, as {@link #reserve}. */
    public BufferSpec activations(String name, int columns) {
        return reserve(name, activationType, columns);
    }

    /** F32 as {@link #reserve}. */
    public BufferSpec floats(String name, int columns) {
        return reserve(name, DType.F32, columns);
    }

    /** Every buffer at its full width, in the order of their indices. */
    List<BufferSpec> buffers() {
        return List.copyOf(widest);
    }

    /** Bytes of a workspace of {@code tokens} rows. */
    public long bytes(long tokens) {
        long bytes = 0;
        for (BufferSpec spec : widest) {
            bytes += (spec.fixedRows() > 0 ? spec.fixedRows() : tokens)
                    * spec.columns()
                    * spec.dtype().bytes();
        }
        return bytes;
    }
}
