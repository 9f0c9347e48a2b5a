package dev.baton.engine.disagg;

import dev.baton.engine.arch.Layout;
import dev.baton.engine.disagg.transfer.HeadShare;
import dev.baton.engine.disagg.transfer.KvLayout;
import dev.baton.engine.disagg.transfer.KvRegion;
import dev.baton.engine.disagg.transfer.LayerRange;
import dev.baton.engine.forward.KvCache;
import dev.baton.engine.parallel.RankGroup;
import dev.baton.model.config.ModelConfig;
import dev.baton.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/** How the caches of a rank group look to transfers. */
final class KvLayouts {
    private KvLayouts() {}

    /** The KV memory of every rank of the group. */
    static List<KvRegion> regions(RankGroup group, int pageTokens, SharedKvMemory shared) {
        List<KvRegion> regions = new ArrayList<>();
        for (int rank = 0; rank < group.size(); rank++) {
            KvCache cache = group.runner(rank).cache();
            KvLayout layout = layout(group.config(), group.runner(rank).layout(), cache, pageTokens);
            List<MemorySegment> buffers = new ArrayList<>();
            for (Tensor tensor : ordered(cache)) {
                buffers.add(tensor.memory());
            }
            regions.add(new KvRegion(layout, buffers, shared.holding(buffers.getFirst())));
        }
        return regions;
    }

    /** Latents, or the keys and then the values of all layers of the stage. */
    static List<Tensor> ordered(KvCache cache) {
        List<Tensor> all = new ArrayList<>();
        int perLayer = cache.buffers(0).size();
        for (int i = 0; i < perLayer; i++) {
            for (int layer = 0; layer < cache.layers(); layer++) {
                all.add(cache.buffers(layer).get(i));
            }
        }
        return all;
    }

    private static KvLayout layout(ModelConfig config, Layout layout, KvCache cache, int pageTokens) {
        HeadShare heads = config.mla() != null
                ? HeadShare.whole(1)
                : new HeadShare(
                        config.kvHeads(), layout.firstKvHead(config.kvHeads()), layout.localKvHeads(config.kvHeads()));
        List<KvLayout.Buffer> buffers = new ArrayList<>();
        for (Tensor tensor : ordered(cache)) {
            buffers.add(
                    new KvLayout.Buffer(tensor.dtype().name(), (int) (KvCache.bytesPerSlot(tensor) / heads.count())));
        }
        int first = layout.stage().firstLayer(config.layers());
        LayerRange held = new LayerRange(first, first + cache.layers());
        return new KvLayout(name(config), config.layers(), held, pageTokens, heads, buffers);
    }

    /** What decides the meaning of cached values, as far as a configuration tells. */
    private static String name(ModelConfig config) {
        return config.architecture().className() + " hidden=" + config.hiddenSize() + " intermediate="
                + config.intermediateSize() + " heads=" + config.heads() + " kv_heads=" + config.kvHeads()
                + " head_dim=" + config.headDim() + " vocab=" + config.vocabSize() + " " + config.rope() + " "
                + config.mla();
    }
}
