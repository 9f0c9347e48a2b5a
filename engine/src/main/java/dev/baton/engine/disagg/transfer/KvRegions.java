package dev.baton.engine.disagg.transfer;

import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * The caches of a group's ranks, as the transfers of one JVM see them.
 *
 * @param shares what rank 0, 1, ... caches, wherever it lives
 * @param here the KV memory of those that live in this JVM
 */
public record KvRegions(List<CacheShare> shares, Map<Integer, KvRegion> here) {
    public KvRegions {
        shares = List.copyOf(shares);
        here = Map.copyOf(here);
    }

    /** A group of which every rank is here. */
    public static KvRegions all(List<KvRegion> regions) {
        return new KvRegions(
                regions.stream()
                        .map(region -> new CacheShare(
                                region.layout().held(), region.layout().heads()))
                        .toList(),
                IntStream.range(0, regions.size()).boxed().collect(Collectors.toMap(rank -> rank, regions::get)));
    }

    /** A rank's memory; null when it does not live here. */
    public @Nullable KvRegion find(int rank) {
        return here.get(rank);
    }

    /** The memory of a rank that lives here. */
    public KvRegion get(int rank) {
        KvRegion region = here.get(rank);
        if (region == null) {
            throw new IllegalStateException("rank " + rank + " does not live here");
        }
        return region;
    }
}
