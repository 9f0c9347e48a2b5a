package dev.baton.engine.balance;

import dev.baton.model.DType;
import dev.baton.tensor.Device;
import dev.baton.tensor.ExpertWeights;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.Weight;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Memory of one rank's expert slots, where experts move: one block a slot, so that an expert travels as one message. A
 * slot that is given up becomes the buffer of a later move. The rank's thread only.
 */
final class SlotMemory {
    private static final int ALIGNMENT_BYTES = 64;

    private final Device device;
    /** By the form of their blocks. */
    private final Map<String, Deque<Slot>> spare = new HashMap<>();

    private long spareBytes;

    /**
     * One expert's parameters.
     *
     * @param block U8 [bytes], which holds all of them
     * @param form types and shapes of what lies in it
     */
    record Slot(Tensor block, Weight gate, Weight up, Weight down, String form) {}

    SlotMemory(Device device) {
        this.device = device;
    }

    /** Bytes allocated beside the slots themselves. */
    long spareBytes() {
        return spareBytes;
    }

    /** Copies a layer's experts to memory of their own and sees to it that as many can be received at once. */
    List<Slot> own(ExpertWeights loaded) {
        List<Slot> slots = new ArrayList<>();
        for (int e = 0; e < loaded.count(); e++) {
            Weight gate = loaded.gate().get(e);
            Weight up = loaded.up().get(e);
            Weight down = loaded.down().get(e);
            Slot slot = allocate(gate, up, down);
            copy(gate, slot.gate());
            copy(up, slot.up());
            copy(down, slot.down());
            slots.add(slot);
        }
        Slot first = slots.getFirst();
        Deque<Slot> own = spare.computeIfAbsent(first.form(), form -> new ArrayDeque<>());
        while (own.size() < slots.size()) {
            Slot made = allocate(first.gate(), first.up(), first.down());
            own.add(made);
            spareBytes += made.block().elements();
        }
        return slots;
    }

    private void copy(Weight from, Weight to) {
        List<Tensor> source = parts(from);
        List<Tensor> target = parts(to);
        for (int i = 0; i < source.size(); i++) {
            device.copy(source.get(i), target.get(i));
        }
    }

    private static List<Tensor> parts(Weight weight) {
        List<Tensor> parts = new ArrayList<>();
        parts.add(weight.matrix());
        if (weight.blockScales() != null) {
            parts.add(weight.blockScales());
        }
        if (weight.bias() != null) {
            parts.add(weight.bias());
        }
        return parts;
    }

    /** A buffer for an expert of the same form; its contents are old. */
    Slot take(Slot like) {
        Deque<Slot> own = spare.get(like.form());
        Slot taken = own == null ? null : own.poll();
        return taken != null ? taken : allocate(like.gate(), like.up(), like.down());
    }

    /** A copy of an expert in another slot. */
    Slot duplicate(Slot of) {
        Slot copy = take(of);
        device.copy(of.block(), copy.block());
        return copy;
    }

    /** Nothing reads the slot any more. */
    void giveBack(Slot slot) {
        spare.computeIfAbsent(slot.form(), form -> new ArrayDeque<>()).add(slot);
    }

    private Slot allocate(Weight gate, Weight up, Weight down) {
        List<Tensor> all = new ArrayList<>(parts(gate));
        all.addAll(parts(up));
        all.addAll(parts(down));
        long bytes = 0;
        for (Tensor part : all) {
            bytes += aligned(part);
        }
        Tensor block = device.allocate(DType.U8, bytes);
        Cutter cutter = new Cutter(block);
        return new Slot(block, cutter.like(gate), cutter.like(up), cutter.like(down), all.toString());
    }

    private static long aligned(Tensor part) {
        long bytes = part.elements() * part.dtype().bytes();
        return (bytes + ALIGNMENT_BYTES - 1) / ALIGNMENT_BYTES * ALIGNMENT_BYTES;
    }

    /** Cuts dense tensors out of a block, one after the other. */
    private static final class Cutter {
        private final Tensor block;
        private long at;

        Cutter(Tensor block) {
            this.block = block;
        }

        Weight like(Weight weight) {
            return new Weight(cut(weight.matrix()), orNull(weight.blockScales()), orNull(weight.bias()));
        }

        private @Nullable Tensor orNull(@Nullable Tensor part) {
            return part == null ? null : cut(part);
        }

        private Tensor cut(Tensor part) {
            long bytes = part.elements() * part.dtype().bytes();
            Tensor made = Tensor.dense(block.memory().asSlice(at, bytes), part.dtype(), part.shape());
            at += aligned(part);
            return made;
        }
    }
}
