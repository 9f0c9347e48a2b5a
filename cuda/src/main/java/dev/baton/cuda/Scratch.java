package dev.baton.cuda;

import dev.baton.model.DType;
import dev.baton.tensor.Tensor;
import java.util.HashMap;
import java.util.Map;

/** Device memory that operators use within one call, a piece a purpose, as large as its largest use so far. */
final class Scratch {
    private final CudaDevice device;
    private final Map<String, Tensor> pieces = new HashMap<>();

    Scratch(CudaDevice device) {
        this.device = device;
    }

    /** Address of at least {@code bytes}. Work that is queued on a smaller piece stays valid: nothing is freed. */
    long address(String purpose, long bytes) {
        Tensor piece = pieces.get(purpose);
        if (piece == null || piece.elements() < bytes) {
            piece = device.allocate(DType.U8, Math.max(bytes, piece == null ? 0 : 2 * piece.elements()));
            pieces.put(purpose, piece);
        }
        return piece.memory().address();
    }
}
