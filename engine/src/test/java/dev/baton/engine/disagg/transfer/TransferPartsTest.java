package dev.baton.engine.disagg.transfer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.engine.EngineException;
import dev.baton.engine.request.TokenLogprob;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The small parts of a transfer. */
class TransferPartsTest {
    @Test
    void everyHeadOfEveryLayerOfADecodeRankIsTakenOnceFromARankThatHoldsIt() {
        int[] sizes = {1, 2, 4, 8, 16};
        for (int heads : new int[] {1, 2, 4, 8}) {
            for (int prefillRanks : sizes) {
                for (int decodeRanks : sizes) {
                    for (int[][] cuts : STAGES) {
                        requireEachOnce(shares(heads, decodeRanks, cuts[1]), shares(heads, prefillRanks, cuts[0]));
                    }
                }
            }
        }
    }

    /** Where stages begin and where the last one ends, at prefill and at decode. */
    private static final int[][][] STAGES = {
        {{0, 5}, {0, 5}}, {{0, 2, 5}, {0, 5}}, {{0, 5}, {0, 1, 5}}, {{0, 2, 5}, {0, 2, 5}}, {{0, 1, 2, 5}, {0, 3, 5}}
    };

    /** Ranks stage by stage. */
    private static List<CacheShare> shares(int heads, int ranks, int[] bounds) {
        List<CacheShare> shares = new ArrayList<>();
        for (int s = 1; s < bounds.length; s++) {
            for (int r = 0; r < ranks; r++) {
                shares.add(new CacheShare(new LayerRange(bounds[s - 1], bounds[s]), HeadShare.of(heads, ranks, r)));
            }
        }
        return shares;
    }

    private static void requireEachOnce(List<CacheShare> decode, List<CacheShare> prefill) {
        for (int rank = 0; rank < decode.size(); rank++) {
            CacheShare wanted = decode.get(rank);
            List<String> taken = new ArrayList<>();
            List<Integer> sources = new ArrayList<>();
            for (CachePairing.Part part : CachePairing.parts(decode, rank, prefill)) {
                CacheShare source = prefill.get(part.prefillRank());
                sources.add(part.prefillRank());
                assertThat(source.layers().containsAll(part.layers())).isTrue();
                assertThat(part.firstHead())
                        .isGreaterThanOrEqualTo(source.heads().first());
                assertThat(part.firstHead() + part.heads())
                        .isLessThanOrEqualTo(source.heads().end());
                for (int layer = part.layers().first(); layer < part.layers().end(); layer++) {
                    for (int h = 0; h < part.heads(); h++) {
                        taken.add(layer + "/" + (part.firstHead() + h));
                    }
                }
            }
            List<String> all = new ArrayList<>();
            for (int layer = wanted.layers().first(); layer < wanted.layers().end(); layer++) {
                for (int h = wanted.heads().first(); h < wanted.heads().end(); h++) {
                    all.add(layer + "/" + h);
                }
            }
            assertThat(taken).containsExactlyInAnyOrderElementsOf(all);
            assertThat(sources).doesNotHaveDuplicates();
        }
    }

    @Test
    void aLatentCacheIsPulledFromOneRankAStageAndDecodeRanksSpread() {
        List<CacheShare> prefill = shares(1, 2, new int[] {0, 3, 5});
        List<CacheShare> decode = shares(1, 4, new int[] {0, 5});
        for (int rank = 0; rank < 4; rank++) {
            assertThat(CachePairing.parts(decode, rank, prefill))
                    .containsExactly(
                            new CachePairing.Part(rank / 2, new LayerRange(0, 3), 0, 1),
                            new CachePairing.Part(2 + rank / 2, new LayerRange(3, 5), 0, 1));
        }
    }

    @Test
    void aLayerThatNoPrefillRankHoldsIsNamed() {
        List<CacheShare> prefill = shares(1, 1, new int[] {0, 3});
        assertThatThrownBy(() -> CachePairing.parts(shares(1, 1, new int[] {0, 5}), 0, prefill))
                .hasMessage("no prefill rank holds layer 3");
    }

    @Test
    void headsThatDoNotDivideAreRefused() {
        assertThatThrownBy(() -> HeadShare.of(6, 4, 0)).hasMessageContaining("cannot be split evenly");
        assertThatThrownBy(() -> HeadShare.of(3, 4, 0)).hasMessageContaining("cannot be repeated evenly");
    }

    @Test
    void theRecordBehindThePagesSurvivesItsEncoding() throws IOException {
        for (AuxRecord record : List.of(
                new AuxRecord(0, 0, null),
                new AuxRecord(
                        5, 2, new TokenLogprob(5, -0.25f, new int[] {1, 2}, new float[] {-1, -2}, new float[] {-3})))) {
            assertThat(AuxRecord.decode(record.encode()))
                    .usingRecursiveComparison()
                    .isEqualTo(record);
        }
    }

    @Test
    void aTruncatedOrAbsurdRecordIsAnError() {
        ByteBuffer whole = new AuxRecord(
                        5, 2, new TokenLogprob(5, -1, new int[] {1, 2}, new float[] {-1, -2}, new float[] {-3}))
                .encode();
        for (int bytes = 0; bytes < whole.limit(); bytes++) {
            ByteBuffer cut = whole.duplicate().limit(bytes);
            assertThatThrownBy(() -> AuxRecord.decode(cut)).isInstanceOf(IOException.class);
        }
        ByteBuffer absurd = whole.putInt(20, Integer.MAX_VALUE);
        assertThatThrownBy(() -> AuxRecord.decode(absurd)).hasMessageContaining("entries");
    }

    @Test
    void sharedMemoryIsOneMemoryUnderTwoMappings() throws IOException {
        try (SharedMemory own = SharedMemory.create(100_000)) {
            SharedMemory.Descriptor descriptor = own.descriptor(3);
            SharedMemory.Mapping peer = SharedMemory.map(descriptor);
            assertThat(own.echo(3)).isEqualTo(peer.echo());
            peer.memory().set(java.lang.foreign.ValueLayout.JAVA_INT, 99_996, 42);
            assertThat(own.memory().get(java.lang.foreign.ValueLayout.JAVA_INT, 99_996))
                    .isEqualTo(42);
            peer.close();
            assertThatThrownBy(() -> SharedMemory.map(new SharedMemory.Descriptor(
                            descriptor.hostId(), descriptor.path(), 100_000, descriptor.nonce() + 1, 0)))
                    .hasMessageContaining("nonce differs");
            assertThatThrownBy(() -> SharedMemory.map(new SharedMemory.Descriptor(
                            descriptor.hostId(), descriptor.path(), 200_000, descriptor.nonce(), 0)))
                    .hasMessageContaining("the peer said");
            assertThatThrownBy(() -> SharedMemory.map(new SharedMemory.Descriptor(
                            "elsewhere", descriptor.path(), 100_000, descriptor.nonce(), 0)))
                    .hasMessageContaining("another host");
        }
    }

    @Test
    void backendNamesOfSglangStandForAuto() {
        assertThat(TransferBackend.parse("mooncake")).isEqualTo(new TransferBackend.Choice(TransferBackend.AUTO, true));
        assertThat(TransferBackend.parse("nixl")).isEqualTo(new TransferBackend.Choice(TransferBackend.AUTO, true));
        assertThat(TransferBackend.parse("shm")).isEqualTo(new TransferBackend.Choice(TransferBackend.SHM, false));
        assertThatThrownBy(() -> TransferBackend.parse("rdma"))
                .isInstanceOf(EngineException.class)
                .hasMessageContaining("auto, shm, tcp, fake");
    }

    @Test
    void thePollOfSeveralPartsIsTheLeast() {
        assertThat(KvPoll.SUCCESS.min(KvPoll.TRANSFERRING)).isEqualTo(KvPoll.TRANSFERRING);
        assertThat(KvPoll.BOOTSTRAPPING.min(KvPoll.FAILED)).isEqualTo(KvPoll.FAILED);
        assertThat(List.of(KvPoll.values())).isSorted();
    }
}
