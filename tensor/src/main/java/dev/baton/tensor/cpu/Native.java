package dev.baton.tensor.cpu;

import dev.baton.model.DType;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.TensorException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * Native memory by address. The kernels check shapes once a call and then read through {@link #ALL}, because a slice of
 * one constant segment is the form whose bounds checks and addressing the compiler reduces to nothing.
 */
final class Native {
    /** The whole address space. */
    static final MemorySegment ALL = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);

    static final ByteOrder ORDER = ByteOrder.nativeOrder();
    static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;
    static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED;

    private Native() {}

    /** Address of a tensor's element 0. */
    static long address(Tensor tensor) {
        MemorySegment memory = tensor.memory();
        if (!memory.isNative()) {
            throw new TensorException(
                    TensorException.Code.UNAVAILABLE,
                    "the CPU device needs native memory, " + tensor + " lies on the heap; place() copies it");
        }
        return memory.address();
    }

    /** Bytes from one row of a tensor to the next. */
    static long rowBytes(Tensor tensor) {
        return tensor.rowStride() * tensor.dtype().bytes();
    }

    static float floatAt(long address) {
        return ALL.get(FLOAT, address);
    }

    static void setFloat(long address, float value) {
        ALL.set(FLOAT, address, value);
    }

    /** One element of any floating-point format. */
    static float element(DType dtype, long address) {
        return Elements.get(ALL.asSlice(address, dtype.bytes()), dtype, 0);
    }

    static int intAt(long address) {
        return ALL.get(INT, address);
    }
}
