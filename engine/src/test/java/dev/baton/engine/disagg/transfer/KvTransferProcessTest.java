package dev.baton.engine.disagg.transfer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Two processes, one of which may be killed. */
class KvTransferProcessTest {
    private static final int[] PAGES_OF_1 = Caches.pages(TransferChild.PROMPT_PAGES, TransferChild.POOL_PAGES, 1);

    private static SocketDecodeTransfer decode(TransferBackend backend, KvRegion region, int port) {
        return new SocketDecodeTransfer(
                TransferOptions.defaults(backend, "decode parent"),
                List.of(region),
                Pair.at(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 1));
    }

    @ParameterizedTest
    @EnumSource(names = {"SHM", "TCP"})
    void pagesCrossWholeAndAKilledPrefillServerFailsItsRooms(TransferBackend backend) throws Exception {
        KvRegion region = Caches.shared(TransferChild.LAYOUT, TransferChild.POOL_PAGES);
        try (TransferChild.Handle child = new TransferChild.Handle("prefill", backend.name());
                SocketDecodeTransfer decode = decode(backend, region, Integer.parseInt(child.firstLine))) {
            KvReceiver good = decode.open(Pair.room(1));
            Pair.awaitState(good, KvPoll.WAITING_FOR_INPUT);
            good.reserve(PAGES_OF_1);
            assertThat(child.tell("open 1")).isEqualTo("ok");
            assertThat(child.tell("half 1")).isEqualTo("ok");
            assertThat(child.tell("rest 1")).isEqualTo("SUCCESS null");
            assertThat(good.poll()).isEqualTo(KvPoll.SUCCESS);
            assertThat(good.aux().firstId()).isEqualTo(1);
            assertThat(Caches.difference(region, PAGES_OF_1, 1)).isEmpty();

            KvReceiver cut = decode.open(Pair.room(2));
            KvReceiver early = decode.open(Pair.room(3));
            Pair.awaitState(cut, KvPoll.WAITING_FOR_INPUT);
            Pair.awaitState(early, KvPoll.WAITING_FOR_INPUT);
            cut.reserve(PAGES_OF_1);
            assertThat(child.tell("open 2")).isEqualTo("ok");
            assertThat(child.tell("half 2")).isEqualTo("ok");
            child.kill();
            Pair.awaitState(cut, KvPoll.FAILED);
            assertThat(cut.failure())
                    .contains("prefill server prefill.test:8998")
                    .contains("lost");
            Pair.awaitState(early, KvPoll.FAILED);
            Pair.awaitReleased(cut);
            Pair.awaitReleased(early);
            cut.close();
            early.close();
            good.close();
            await().until(() -> decode.connections() == 0);
            assertThat(decode.liveRooms()).isZero();
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"SHM", "TCP"})
    void aKilledDecodeServerFreesThePrefillServerWhichServesTheNext(TransferBackend backend) throws Exception {
        KvRegion region = Caches.region(TransferChild.LAYOUT, TransferChild.POOL_PAGES);
        try (SocketPrefillTransfer prefill =
                new SocketPrefillTransfer(TransferOptions.defaults(backend, "prefill parent"), List.of(region))) {
            String port = String.valueOf(prefill.address().getPort());
            try (TransferChild.Handle child = new TransferChild.Handle("decode", backend.name(), port)) {
                KvSender sender = prefill.open(1);
                assertThat(child.tell("receive 1")).isEqualTo("ok");
                Pair.awaitSender(sender);
                assertThat(mappings(child.pid())).isEqualTo(backend == TransferBackend.SHM ? 1 : 0);
                sender.send(0, 0, 3, 0, PAGES_OF_1);
                child.kill();
                Pair.awaitState(sender, KvPoll.FAILED);
                assertThat(sender.failure()).contains("connection to decode server decode child was lost");
                Pair.awaitReleased(sender);
                sender.close();
                await().until(() -> mappings(child.pid()) == 0);
            }
            await().until(() -> prefill.connections() == 0);
            assertThat(prefill.liveRooms()).isZero();
            try (TransferChild.Handle child = new TransferChild.Handle("decode", backend.name(), port)) {
                Caches.write(region, PAGES_OF_1, 1);
                KvSender sender = prefill.open(1);
                assertThat(child.tell("receive 1")).isEqualTo("ok");
                Pair.awaitSender(sender);
                sender.send(0, 0, 6, 0, PAGES_OF_1);
                sender.finish(new AuxRecord(1, 0, null));
                assertThat(child.tell("await 1")).isEqualTo("SUCCESS ");
                Pair.awaitState(sender, KvPoll.SUCCESS);
                assertThat(sender.failure()).isNull();
            }
        }
    }

    /** KV memory files of another process that this process maps. */
    private static long mappings(long ofProcess) {
        try (Stream<String> lines = Files.lines(Path.of("/proc/self/maps"))) {
            return lines.filter(line -> line.contains("memfd:baton-kv-" + ofProcess + " "))
                    .count();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
