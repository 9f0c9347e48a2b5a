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
 * One rank's KV cache: for every layer of its stage the tensors that {@link LayerCache} names, a row a slot. Slot 0 belongs to
 * padding; slots 1 to {@link #capacityTokens} are given out by the scheduler.
 */
public final class KvCache {
    private final DType dtype;
    private final int capacityTokens;
    private final List<LayerCache> layers;

    /** Allocates {@code capacityTokens + 1} slots on the device. */
    public KvCache(Device device, ModelConfig config, Layout layout, DType dtype, int capacityTokens) {
        this(device, config, layout, dtype, capacityTokens, KvMemory.DEVICE);
    }

    /** Allocates {@code capacityTokens + 1} slots in the given memory. */
    public KvCache(Device device, ModelConfig config, Layout layout, DType dtype, int capacityTokens, KvMemory memory) {
        requireCacheType(dtype);
        this.dtype = dtype;
        this.capacityTokens = capacityTokens;
        List<LayerCache> all = new ArrayList<>();
        MlaConfig mla = config.mla();
        int heads = mla != null ? 0 : layout.localKvHeads(config.kvHeads());
        int perLayer = mla != null ? 1 : 2;
        int count = layout.stage().layers(config.layers());
        int[] widths = new int[count * perLayer];
        for (int i = 0; i < widths.length; i++) {
            widths[i] = mla != null ? mla.cacheDim() : heads * (i % 2 == 0 ? config.headDim() : config.valueHeadDim());
        }
        List<Tensor> tensors = memory.allocate(device, dtype, capacityTokens + 1L, widths);
        for (int layer = 0; layer < count; layer++) {
            all.add(
                    mla != null
                            ? new LayerCache.Latent(tensors.get(layer))
                            : new LayerCache.Heads(tensors.get(2 * layer), tensors.get(2 * layer + 1)));
        }
        this.layers = List.copyOf(all);
    }

    /** Bytes that one token takes on one rank, all layers of its stage. */
    public static long bytesPerToken(ModelConfig config, Layout layout, DType dtype) {
        MlaConfig mla = config.mla();
        long elements = mla != null
                ? mla.cacheDim()
                : (long) layout.localKvHeads(config.kvHeads()) * (config.headDim() + config.valueHeadDim());
        return elements * layout.stage().layers(config.layers()) * dtype.bytes();
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
