package dev.baton.engine.disagg.transfer;

import java.util.ArrayList;
import java.util.List;

/**
 * Which prefill ranks a decode rank takes its part of the cache from, when the two sides may have other tensor-parallel
 * sizes and other pipeline stages: each layer from the stage that holds it, each head from a rank of that stage.
 *
 * <p>A latent cache is the same on every rank of a stage, so each decode rank pulls all of it from one prefill rank a
 * stage and decode ranks spread over the prefill ranks; the other prefill ranks send nothing.
 */
final class CachePairing {
    private CachePairing() {}

    /**
     * What a decode rank takes from one prefill rank.
     *
     * @param prefillRank where it comes from
     * @param layers of the model
     * @param firstHead first head
     * @param heads how many; 0 for a connection that only tells a JVM of prefill ranks, none of which sends anything
     */
    record Part(int prefillRank, LayerRange layers, int firstHead, int heads) {
        /** Buffers that travel: of each kind one a layer. */
        int buffers(KvLayout layout) {
            return heads == 0 ? 0 : layout.kinds() * layers.count();
        }

        /** The layer of travelling buffer {@code i}. */
        int layer(int i) {
            return layers.first() + i % layers.count();
        }

        /** Which of a rank's own buffers travelling buffer {@code i} is. */
        int bufferIn(KvLayout layout, int i) {
            return layout.buffer(i / layers.count(), layer(i));
        }
    }

    /**
     * The parts of decode rank {@code rank}; each head of each of its layers is covered exactly once.
     *
     * @param decode share of decode rank 0, 1, ...
     * @param prefill share of prefill rank 0, 1, ...
     * @throws IllegalArgumentException when the prefill ranks together do not hold what is wanted
     */
    static List<Part> parts(List<CacheShare> decode, int rank, List<CacheShare> prefill) {
        CacheShare wanted = decode.get(rank);
        List<Integer> peers = ranksOf(decode, wanted.layers());
        List<Part> parts = new ArrayList<>();
        for (int layer = wanted.layers().first(); layer < wanted.layers().end(); ) {
            LayerRange stage = stageOf(layer, prefill);
            LayerRange taken =
                    new LayerRange(layer, Math.min(stage.end(), wanted.layers().end()));
            List<Integer> holders = ranksOf(prefill, stage);
            int preferred = (int) ((long) peers.indexOf(rank) * holders.size() / peers.size());
            heads(wanted.heads(), taken, preferred, holders, prefill, parts);
            layer = taken.end();
        }
        return parts;
    }

    private static LayerRange stageOf(int layer, List<CacheShare> prefill) {
        for (CacheShare share : prefill) {
            if (share.layers().contains(layer)) {
                return share.layers();
            }
        }
        throw new IllegalArgumentException("no prefill rank holds layer " + layer);
    }

    /** The ranks of one stage. */
    private static List<Integer> ranksOf(List<CacheShare> shares, LayerRange layers) {
        List<Integer> ranks = new ArrayList<>();
        for (int rank = 0; rank < shares.size(); rank++) {
            if (shares.get(rank).layers().equals(layers)) {
                ranks.add(rank);
            }
        }
        return ranks;
    }

    private static void heads(
            HeadShare wanted,
            LayerRange layers,
            int preferred,
            List<Integer> holders,
            List<CacheShare> prefill,
            List<Part> parts) {
        for (int head = wanted.first(); head < wanted.end(); ) {
            int source = holder(head, preferred, holders, prefill);
            int end = Math.min(wanted.end(), prefill.get(source).heads().end());
            parts.add(new Part(source, layers, head, end - head));
            head = end;
        }
    }

    private static int holder(int head, int preferred, List<Integer> holders, List<CacheShare> prefill) {
        for (int i = 0; i < holders.size(); i++) {
            int candidate = holders.get((preferred + i) % holders.size());
            HeadShare share = prefill.get(candidate).heads();
            if (share.first() <= head && head < share.end()) {
                return candidate;
            }
        }
        throw new IllegalArgumentException("no prefill rank holds head " + head);
    }
}
