package dev.baton.engine.arch;

import dev.baton.tensor.Tensor;
import java.util.List;

/** One layer's part of the KV cache, a row a slot. */
public sealed interface LayerCache {
    /** Every tensor of the layer, [slots, width], in the order in which a transfer sends them. */
    List<Tensor> buffers();

    /**
     * Keys and values of grouped-query attention.
     *
     * @param keys [slots, kvHeadsLocal * headDim], after rope
     * @param values [slots, kvHeadsLocal * valueDim]
     */
    record Heads(Tensor keys, Tensor values) implements LayerCache {
        @Override
        public List<Tensor> buffers() {
            return List.of(keys, values);
        }
    }

    /**
     * The latent of MLA, the same on every tensor-parallel rank.
     *
     * @param rows [slots, kvLoraRank + ropeDim]: the latent after its norm, then the key after rope
     */
    record Latent(Tensor rows) implements LayerCache {
        @Override
        public List<Tensor> buffers() {
            return List.of(rows);
        }
    }
}
