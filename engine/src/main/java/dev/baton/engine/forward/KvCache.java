package dev.baton.engine.forward;

import dev.baton.engine.EngineException;
import dev.baton.engine.arch.LayerCache;
import dev.baton.engine.arch.Layout;
import dev.baton.model.DType;
import dev.baton.model.config.MlaConfig;
import dev.baton.model.config.ModelConfig;
import dev.baton.tensor.Device;
import dev.baton.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/**
 * One rank's KV cache: for every layer the tensors that {@link LayerCache} names, a row a slot. Slot 0 belongs to
 * padding; slots 1 to {@link #capacityTokens} are given out by the scheduler.
 */
public final class KvCache {
    private final DType dtype;
    private final int capacityTokens;
    private final List<LayerCache> layers;

    /** Allocates {@code capacityTokens + 1} slots. */
    public KvCache(Device device, ModelConfig config, Layout layout, DType dtype, int capacityTokens) {
        requireCacheType(dtype);
        this.dtype = dtype;
        this.capacityTokens = capacityTokens;
        List<LayerCache> all = new ArrayList<>();
        long slots = capacityTokens + 1L;
        for (int layer = 0; layer < config.layers(); layer++) {
            MlaConfig mla = config.mla();
            if (mla != null) {
                all.add(new LayerCache.Latent(device.allocate(dtype, slots, mla.cacheDim())));
            } else {
                int heads = layout.localKvHeads(config.kvHeads());
                all.add(new LayerCache.Heads(
                        device.allocate(dtype, slots, (long) heads * config.headDim()),
                        device.allocate(dtype, slots, (long) heads * config.valueHeadDim())));
            }
        }
        this.layers = List.copyOf(all);
    }

    /** Bytes that one token takes on one rank, all layers. */
    public static long bytesPerToken(ModelConfig config, Layout layout, DType dtype) {
        MlaConfig mla = config.mla();
        long elements = mla != null
                ? mla.cacheDim()
                : (long) layout.localKvHeads(config.kvHeads()) * (config.headDim() + config.valueHeadDim());
        return elements * config.layers() * dtype.bytes();
    }

    private static void requireCacheType(DType dtype) {
        if (dtype != DType.F32 && dtype != DType.BF16) {
            throw new EngineException(
                    EngineException.Code.CONFIGURATION,
                    "the KV cache can be F32 or BF16, not " + dtype + " (--kv-cache-dtype)");
        }
    }

    /** Element type of every tensor. */
    public DType dtype() {
        return dtype;
    }

    /** Slots that can be given out. */
    public int capacityTokens() {
        return capacityTokens;
    }

    /** How many layers. */
    public int layers() {
        return layers.size();
    }

    /** One layer's tensors by their meaning. */
    public LayerCache layer(int layer) {
        return layers.get(layer);
    }

    /** One layer's tensors, [slots, width] each, in the order of a transfer. */
    public List<Tensor> buffers(int layer) {
        return layers.get(layer).buffers();
    }

    /** Bytes that a slot takes in one tensor of {@link #buffers}; slot s begins at s times as many bytes. */
    public static long bytesPerSlot(Tensor buffer) {
        return (long) buffer.columns() * buffer.dtype().bytes();
    }

    /** Bytes of a slot, all tensors of all layers. */
    public long bytesPerSlot() {
        long bytes = 0;
        for (LayerCache layer : layers) {
            for (Tensor buffer : layer.buffers()) {
                bytes += bytesPerSlot(buffer);
            }
        }
        return bytes;
    }

    /** Bytes of the whole cache. */
    public long bytes() {
        return bytesPerSlot() * (capacityTokens + 1L);
    }

    List<LayerCache> all() {
        return layers;
    }
}
