package dev.baton.engine.arch;

import dev.baton.model.DType;
import dev.baton.tensor.AttentionBatch;
import dev.baton.tensor.Device;
import dev.baton.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The activation buffers of one rank, allocated once for the largest step. A step of T tokens uses the first T rows as
 * dense views; views are kept from step to step while T stays the same. One thread.
 */
public final class Workspace {
    private final int maxTokens;
    private final List<BufferSpec> specs;
    /** [buffers] flat memory of maxTokens * columns elements. */
    private final Tensor[] memory;
    /** [buffers] the last view handed out. */
    private final @Nullable Tensor[] views;

    private final Device device;
    /** I32 [1, maxTokens]: 0, 1, 2, ... */
    private final Tensor identity;
    /** I32 [2], [1], [1]: the batch of one sequence that attends to its own tokens only. */
    private final Tensor queryStart;

    private final Tensor context;
    private final Tensor row;
    private int ownTokens = -1;
    private final MemorySegment staging = Arena.ofAuto().allocate(8, 8);
    private final Filler zeros = new Filler(0);
    private final Filler minusOnes = new Filler(-1);

    public Workspace(Device device, WorkspacePlan plan, int maxTokens) {
        this.maxTokens = maxTokens;
        List<BufferSpec> buffers = plan.buffers();
        this.specs = buffers;
        this.memory = new Tensor[buffers.size()];
        this.views = new Tensor[buffers.size()];
        this.device = device;
        this.queryStart = device.allocate(DType.I32, 2);
        this.context = device.allocate(DType.I32, 1);
        this.row = device.allocate(DType.I32, 1);
        this.identity = identity(device, maxTokens);
        for (int i = 0; i < memory.length; i++) {
            BufferSpec spec = buffers.get(i);
            int rows = spec.fixedRows() > 0 ? spec.fixedRows() : maxTokens;
            memory[i] = device.allocate(spec.dtype(), (long) rows * spec.columns());
            if (spec.fixedRows() > 0) {
                views[i] = Tensor.dense(memory[i].memory(), spec.dtype(), rows, spec.columns());
            }
        }
    }

    /** Most rows of a view. */
    public int maxTokens() {
        return maxTokens;
    }

    /** Every buffer as a dense [rows, its columns], in the plan's order. */
    public List<Tensor> allRows(int rows) {
        return specs.stream().map(spec -> rows(spec, rows)).toList();
    }

    /** A buffer of a fixed number of rows, whole. */
    Tensor fixedRows(BufferSpec spec) {
        return Objects.requireNonNull(views[spec.index()]);
    }

    /** The buffer as a dense [rows, spec.columns]. */
    public Tensor rows(BufferSpec spec, int rows) {
        Tensor view = views[spec.index()];
        if (view == null || view.size(0) != rows || view.size(1) != spec.columns()) {
            if (rows > maxTokens) {
                throw new IllegalArgumentException(
                        "a step of " + rows + " rows is larger than the workspace of " + maxTokens);
            }
            view = Tensor.dense(memory[spec.index()].memory(), spec.dtype(), rows, spec.columns());
            views[spec.index()] = view;
        }
        return view;
    }

    /**
     * One sequence of {@code count} new tokens without cached ones, whose keys and values lie at rows 0 to count - 1 of
     * what is given as its cache.
     */
    AttentionBatch ownTokens(int count) {
        if (count != ownTokens) {
            staging.set(ValueLayout.JAVA_INT, 0, 0);
            staging.set(ValueLayout.JAVA_INT, 4, count);
            device.toDevice(staging, queryStart);
            device.toDevice(staging.asSlice(4, 4), context);
            ownTokens = count;
        }
        return new AttentionBatch(1, queryStart, context, row, identity, count, count);
    }

    /** Fills a dense tensor with zeros. */
    void zero(Tensor target) {
        fill(target, zeros.grownTo(target));
    }

    /** Fills a dense I32 tensor with -1. */
    void fillMinusOne(Tensor target) {
        fill(target, minusOnes.grownTo(target));
    }

    private void fill(Tensor target, MemorySegment bytes) {
        if (target.elements() > 0) {
            device.toDevice(bytes, target);
        }
    }

    /** Host memory of one byte repeated, as large as it had to be so far. */
    private static final class Filler {
        private final byte value;
        private MemorySegment memory = MemorySegment.NULL;

        Filler(int value) {
            this.value = (byte) value;
        }

        MemorySegment grownTo(Tensor target) {
            long bytes = target.elements() * target.dtype().bytes();
            if (memory.byteSize() < bytes) {
                memory = Arena.ofAuto().allocate(bytes, 64).fill(value);
            }
            return memory.asSlice(0, bytes);
        }
    }

    private static Tensor identity(Device device, int tokens) {
        Tensor table = device.allocate(DType.I32, 1, tokens);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment host = arena.allocate(4L * tokens, 64);
            for (int i = 0; i < tokens; i++) {
                host.setAtIndex(ValueLayout.JAVA_INT, i, i);
            }
            device.toDevice(host, table);
        }
        return table;
    }
}
