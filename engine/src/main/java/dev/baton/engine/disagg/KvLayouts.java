package dev.baton.engine.disagg;

import dev.baton.engine.arch.Layout;
import dev.baton.engine.disagg.transfer.CacheShare;
import dev.baton.engine.disagg.transfer.HeadShare;
import dev.baton.engine.disagg.transfer.KvLayout;
import dev.baton.engine.disagg.transfer.KvRegion;
import dev.baton.engine.disagg.transfer.KvRegions;
import dev.baton.engine.disagg.transfer.LayerRange;
import dev.baton.engine.forward.KvCache;
import dev.baton.engine.parallel.RankGroup;
import dev.baton.model.config.ModelConfig;
import dev.baton.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** How the caches of a rank group look to transfers. */
final class KvLayouts {
    private KvLayouts() {}

    /** What every rank of the group caches, and the KV memory of those that live here. */
    static KvRegions regions(RankGroup group, int pageTokens, SharedKvMemory shared) {
        List<CacheShare> shares = new ArrayList<>();
        Map<Integer, KvRegion> here = new HashMap<>();
        for (int rank = 0; rank < group.size(); rank++) {
            CacheShare share = share(group.config(), group.layout(rank));
            shares.add(share);
            if (!group.isHere(rank)) {
                continue;
            }
            KvCache cache = group.runner(rank).cache();
            List<MemorySegment> buffers = new ArrayList<>();
            for (Tensor tensor : ordered(cache)) {
                buffers.add(tensor.memory());
            }
            KvLayout layout = layout(group.config(), share, cache, pageTokens);
            MemorySegment first = buffers.getFirst();
            here.put(
                    rank,
                    new KvRegion(
                            layout,
                            buffers,
                            shared.holding(first),
                            shared.pool(group.runner(rank).device(), first)));
        }
        return new KvRegions(shares, here);
    }

    private static CacheShare share(ModelConfig config, Layout layout) {
        HeadShare heads = config.mla() != null
                ? HeadShare.whole(1)
                : new HeadShare(
                        config.kvHeads(), layout.firstKvHead(config.kvHeads()), layout.localKvHeads(config.kvHeads()));
        int first = layout.stage().firstLayer(config.layers());
        return new CacheShare(new LayerRange(first, first + layout.stage().layers(config.layers())), heads);
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

    private static KvLayout layout(ModelConfig config, CacheShare share, KvCache cache, int pageTokens) {
        List<KvLayout.Buffer> buffers = new ArrayList<>();
        for (Tensor tensor : ordered(cache)) {
            int headBytes = (int) (KvCache.bytesPerSlot(tensor) / share.heads().count());
            buffers.add(new KvLayout.Buffer(tensor.dtype().name(), headBytes));
        }
        return new KvLayout(name(config), config.layers(), share.layers(), pageTokens, share.heads(), buffers);
    }

    /** What decides the meaning of cached values, as far as a configuration tells. */
    private static String name(ModelConfig config) {
        return config.architecture().className() + " hidden=" + config.hiddenSize() + " intermediate="
                + config.intermediateSize() + " heads=" + config.heads() + " kv_heads=" + config.kvHeads()
                + " head_dim=" + config.headDim() + " vocab=" + config.vocabSize() + " " + config.rope() + " "
                + config.mla();
    }
}
