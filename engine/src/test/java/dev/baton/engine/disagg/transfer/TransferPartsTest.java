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
    void everyHeadOfEveryDecodeRankIsTakenOnceFromARankThatHoldsIt() {
        int[] sizes = {1, 2, 4, 8, 16};
        for (int heads : new int[] {1, 2, 4, 8}) {
            for (int prefillRanks : sizes) {
                for (int decodeRanks : sizes) {
                    List<HeadShare> prefill = new ArrayList<>();
                    for (int r = 0; r < prefillRanks; r++) {
                        prefill.add(HeadShare.of(heads, prefillRanks, r));
                    }
                    for (int r = 0; r < decodeRanks; r++) {
                        HeadShare wanted = HeadShare.of(heads, decodeRanks, r);
                        int next = wanted.first();
                        for (HeadPairing.Part part : HeadPairing.parts(wanted, r, decodeRanks, prefill)) {
                            HeadShare source = prefill.get(part.prefillRank());
                            assertThat(part.firstHead()).isEqualTo(next).isGreaterThanOrEqualTo(source.first());
                            next += part.heads();
                            assertThat(next).isLessThanOrEqualTo(source.end());
                        }
                        assertThat(next).isEqualTo(wanted.end());
                    }
                }
            }
        }
    }

    @Test
    void aLatentCacheIsPulledFromOneRankAndDecodeRanksSpread() {
        List<HeadShare> prefill = List.of(HeadShare.whole(1), HeadShare.whole(1));
        for (int rank = 0; rank < 4; rank++) {
            assertThat(HeadPairing.parts(HeadShare.whole(1), rank, 4, prefill))
                    .containsExactly(new HeadPairing.Part(rank / 2, 0, 1));
        }
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
