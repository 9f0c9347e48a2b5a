package dev.baton.engine.disagg.transfer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import dev.baton.engine.EngineException;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Peers that do not fit, do not speak the protocol, stand still or go away. */
class KvTransferFailureTest {
    private static final KvLayout LAYOUT = Caches.latent(2, 4, 64);
    private static final Duration LONG = Duration.ofSeconds(30);
    private static final Duration SHORT = Duration.ofMillis(700);

    private final KvRegion source = Caches.region(LAYOUT, 20);
    private final KvRegion target = Caches.shared(LAYOUT, 20);
    private AutoCloseable first = () -> {};
    private AutoCloseable second = () -> {};

    @AfterEach
    void close() throws Exception {
        first.close();
        second.close();
    }

    private SocketPrefillTransfer prefill(TransferBackend backend, Duration stall) {
        SocketPrefillTransfer made = new SocketPrefillTransfer(
                TransferOptions.defaults(backend, "prefill test").withTimeouts(LONG, LONG, stall), List.of(source));
        first = made;
        return made;
    }

    private SocketDecodeTransfer decode(
            TransferBackend backend, KvRegion region, InetSocketAddress at, Duration stall) {
        SocketDecodeTransfer made = new SocketDecodeTransfer(
                TransferOptions.defaults(backend, "decode test").withTimeouts(LONG, LONG, stall),
                List.of(region),
                Pair.at(at, 1));
        second = made;
        return made;
    }

    static Stream<Arguments> misfits() {
        return Stream.of(
                Arguments.of(Caches.latent(2, 8, 64), "Page size mismatch: prefill server has page_size=4, decode"),
                Arguments.of(Caches.latent(3, 4, 64), "prefill server has layers=2, decode server has layers=3"),
                Arguments.of(Caches.latent(2, 4, 32), "bytes a token and head in layer 0=64"),
                Arguments.of(
                        KvLayout.uniform("m", 2, 1, 4, HeadShare.whole(1), "F32", 64),
                        "prefill server has kv_cache_dtype=BF16, decode server has kv_cache_dtype=F32"),
                Arguments.of(
                        KvLayout.uniform("other", 2, 1, 4, HeadShare.whole(1), "BF16", 64),
                        "prefill server has model=m, decode server has model=other"),
                Arguments.of(Caches.grouped(2, 4, 4, 64, 1, 0), "prefill server has KV buffers a layer=1"));
    }

    @ParameterizedTest
    @MethodSource("misfits")
    void aCacheThatDoesNotFitIsRefusedWithTheReason(KvLayout layout, String reason) {
        SocketPrefillTransfer prefill = prefill(TransferBackend.AUTO, LONG);
        SocketDecodeTransfer decode = decode(TransferBackend.AUTO, Caches.region(layout, 20), prefill.address(), LONG);
        KvReceiver receiver = decode.open(Pair.room(1));
        Pair.awaitState(receiver, KvPoll.FAILED);
        assertThat(receiver.failure()).contains("prefill.test:8998").contains(reason);
        assertThat(receiver.released()).isTrue();
        await().until(() -> prefill.connections() == 0);
    }

    @Test
    void backendsThatContradictEachOtherAreRefused() {
        SocketPrefillTransfer prefill = prefill(TransferBackend.TCP, LONG);
        SocketDecodeTransfer decode = decode(TransferBackend.SHM, target, prefill.address(), LONG);
        KvReceiver receiver = decode.open(Pair.room(1));
        Pair.awaitState(receiver, KvPoll.FAILED);
        assertThat(receiver.failure()).contains("--disaggregation-transfer-backend differs");
    }

    @Test
    void sharedMemoryIsDemandedOnlyWhereItCanBe() {
        SocketPrefillTransfer prefill = prefill(TransferBackend.SHM, LONG);
        KvRegion unshared = Caches.region(LAYOUT, 20);
        assertThatThrownBy(() -> decode(TransferBackend.SHM, unshared, prefill.address(), LONG))
                .isInstanceOf(EngineException.class)
                .hasMessageContaining("needs the KV pool in shared memory");
        KvReceiver receiver =
                decode(TransferBackend.AUTO, unshared, prefill.address(), LONG).open(Pair.room(1));
        Pair.awaitState(receiver, KvPoll.FAILED);
        assertThat(receiver.failure()).contains("does not lie in shared memory");
    }

    @Test
    void autoTakesTcpWhereSharedMemoryIsMissing() {
        SocketPrefillTransfer prefill = prefill(TransferBackend.AUTO, LONG);
        KvRegion unshared = Caches.region(LAYOUT, 20);
        KvReceiver receiver =
                decode(TransferBackend.AUTO, unshared, prefill.address(), LONG).open(Pair.room(1));
        KvSender sender = prefill.open(1);
        Pair.awaitState(receiver, KvPoll.WAITING_FOR_INPUT);
        Caches.write(source, new int[] {7}, 3);
        receiver.reserve(new int[] {5});
        Pair.awaitSender(sender);
        sender.send(0, 0, 2, 0, new int[] {7});
        sender.finish(new AuxRecord(1, 0, null));
        Pair.awaitState(receiver, KvPoll.SUCCESS);
        assertThat(Caches.difference(unshared, new int[] {5}, 3)).isEmpty();
    }

    @Test
    void nobodyListeningFailsTheRoomAtOnce() throws IOException {
        InetSocketAddress free;
        try (ServerSocketChannel taken = ServerSocketChannel.open()) {
            taken.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
            free = (InetSocketAddress) taken.getLocalAddress();
        }
        KvReceiver receiver = decode(TransferBackend.AUTO, target, free, LONG).open(Pair.room(1));
        Pair.awaitState(receiver, KvPoll.FAILED);
        assertThat(receiver.failure()).contains("prefill.test:8998").contains("cannot connect");
        assertThat(receiver.released()).isTrue();
    }

    @ParameterizedTest
    @EnumSource(names = {"SHM", "TCP"})
    void bytesThatAreNoFrameEndOnlyTheirOwnConnection(TransferBackend backend) throws IOException {
        SocketPrefillTransfer prefill = prefill(backend, LONG);
        SocketDecodeTransfer decode = decode(backend, target, prefill.address(), LONG);
        KvReceiver receiver = decode.open(Pair.room(1));
        KvSender sender = prefill.open(1);
        Pair.awaitState(receiver, KvPoll.WAITING_FOR_INPUT);
        receiver.reserve(new int[] {5});
        Pair.awaitSender(sender);
        try (SocketChannel noise = SocketChannel.open(prefill.address())) {
            noise.write(ByteBuffer.wrap("GET / HTTP/1.1\r\nHost: nobody\r\nAccept: */*\r\n\r\n".getBytes()));
            assertThat(noise.read(ByteBuffer.allocate(10))).isEqualTo(-1);
        }
        sender.send(0, 0, 2, 0, new int[] {7});
        sender.finish(new AuxRecord(1, 0, null));
        Pair.awaitState(receiver, KvPoll.SUCCESS);
        assertThat(receiver.failure()).isNull();
    }

    @Test
    void aFlippedBitInAFrameFailsTheRoomsOfThatConnection() throws Exception {
        for (int flipped : new int[] {2, 9, 20, 26, 40}) {
            try (ServerSocketChannel server = listen()) {
                SocketDecodeTransfer decode = decode(TransferBackend.TCP, target, address(server), LONG);
                KvReceiver receiver = decode.open(Pair.room(1));
                SocketChannel peer = server.accept();
                FrameChannel channel = welcome(peer);
                Pair.awaitState(receiver, KvPoll.WAITING_FOR_INPUT);
                receiver.reserve(new int[] {5});
                assertThat(channel.read().type()).isEqualTo(FrameType.OPEN);
                ByteBuffer frame = frame(FrameType.FAILED, 1, "no");
                frame = ByteBuffer.allocate(frame.remaining() + 16).put(frame).rewind();
                frame.put(Math.min(flipped, 33), (byte) (frame.get(Math.min(flipped, 33)) ^ 4));
                peer.write(frame);
                Pair.awaitState(receiver, KvPoll.FAILED);
                assertThat(receiver.failure()).contains("corrupt frame").contains("prefill.test:8998");
                Pair.awaitReleased(receiver);
                decode.close();
                peer.close();
            }
        }
    }

    @Test
    void dataOutsideTheReservationIsRefused() throws Exception {
        try (ServerSocketChannel server = listen()) {
            SocketDecodeTransfer decode = decode(TransferBackend.TCP, target, address(server), LONG);
            KvReceiver receiver = decode.open(Pair.room(1));
            FrameChannel channel = welcome(server.accept());
            Pair.awaitState(receiver, KvPoll.WAITING_FOR_INPUT);
            receiver.reserve(new int[] {5});
            ByteBuffer body = FrameChannel.body(12);
            body.putInt(0).putInt(1).putInt(1).flip();
            channel.writePacked(
                    1, body, 256, (memory, at) -> memory.asSlice(at, 256).fill((byte) 1));
            channel.flush();
            Pair.awaitState(receiver, KvPoll.FAILED);
            assertThat(receiver.failure()).contains("pages [1, 2) of room 1, which has 1");
            Pair.awaitReleased(receiver);
            channel.close();
        }
    }

    @Test
    void aPrefillServerThatStopsInTheMiddleOfAMessageIsGivenUp() throws Exception {
        try (ServerSocketChannel server = listen()) {
            SocketDecodeTransfer decode = decode(TransferBackend.TCP, target, address(server), SHORT);
            KvReceiver receiver = decode.open(Pair.room(1));
            SocketChannel peer = server.accept();
            welcome(peer);
            Pair.awaitState(receiver, KvPoll.WAITING_FOR_INPUT);
            receiver.reserve(new int[] {5});
            peer.write(frame(FrameType.FAILED, 1, "never told whole").limit(20));
            Pair.awaitState(receiver, KvPoll.FAILED);
            assertThat(receiver.failure()).contains("nothing moved for");
            Pair.awaitReleased(receiver);
            peer.close();
        }
    }

    @Test
    void aDecodeServerThatDoesNotReadIsGivenUpAndFreesTheSender() throws Exception {
        KvLayout large = Caches.latent(8, 64, 1152);
        int[] pages = IntStream.range(1, 60).toArray();
        SocketPrefillTransfer prefill = new SocketPrefillTransfer(
                TransferOptions.defaults(TransferBackend.TCP, "prefill test").withTimeouts(LONG, LONG, SHORT),
                List.of(Caches.region(large, 60)));
        first = prefill;
        try (SocketChannel peer = SocketChannel.open(prefill.address())) {
            FrameChannel channel = new FrameChannel(peer);
            channel.write(
                    FrameType.HELLO,
                    0,
                    Handshake.encode(new Handshake.Hello(
                            "slow",
                            "i",
                            0,
                            0,
                            new CachePairing.Part(0, large.held(), 0, 1),
                            TransferBackend.TCP,
                            large,
                            60,
                            null,
                            null,
                            new long[0])));
            ByteBuffer open = FrameChannel.body(4 + 4 * pages.length);
            open.putInt(1);
            IntStream.of(pages).forEach(open::putInt);
            channel.write(FrameType.OPEN, 1, open.flip());
            channel.flush();
            KvSender sender = prefill.open(1);
            Pair.awaitSender(sender);
            assertThat(sender.poll()).isEqualTo(KvPoll.WAITING_FOR_INPUT);
            sender.send(0, 0, 8, 0, pages);
            sender.finish(new AuxRecord(1, 0, null));
            Pair.awaitState(sender, KvPoll.FAILED);
            assertThat(sender.failure()).contains("decode server slow").contains("nothing moved for");
            Pair.awaitReleased(sender);
        }
    }

    @Test
    void aSecondDecodeServerOnOneRoomIsRefusedAndTheFirstGoesOn() throws Exception {
        SocketPrefillTransfer prefill = prefill(TransferBackend.AUTO, LONG);
        SocketDecodeTransfer one = decode(TransferBackend.AUTO, target, prefill.address(), LONG);
        try (SocketDecodeTransfer two = new SocketDecodeTransfer(
                TransferOptions.defaults(TransferBackend.AUTO, "decode two"),
                List.of(Caches.shared(LAYOUT, 20)),
                Pair.at(prefill.address(), 1))) {
            KvSender sender = prefill.open(1);
            KvReceiver good = one.open(Pair.room(1));
            Pair.awaitState(good, KvPoll.WAITING_FOR_INPUT);
            good.reserve(new int[] {5});
            Pair.awaitSender(sender);
            KvReceiver late = two.open(Pair.room(1));
            Pair.awaitState(late, KvPoll.WAITING_FOR_INPUT);
            late.reserve(new int[] {6});
            Pair.awaitState(late, KvPoll.FAILED);
            assertThat(late.failure()).contains("bootstrap_room 1 is in use by another decode server");
            sender.send(0, 0, 2, 0, new int[] {7});
            sender.finish(new AuxRecord(1, 0, null));
            Pair.awaitState(good, KvPoll.SUCCESS);
            assertThat(good.failure()).isNull();
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"SHM", "TCP"})
    void aServerThatShutsDownEndsItsRoomsOnTheOtherSide(TransferBackend backend) {
        SocketPrefillTransfer prefill = prefill(backend, LONG);
        SocketDecodeTransfer decode = decode(backend, target, prefill.address(), LONG);
        KvReceiver receiver = decode.open(Pair.room(1));
        KvSender sender = prefill.open(1);
        Pair.awaitState(receiver, KvPoll.WAITING_FOR_INPUT);
        receiver.reserve(new int[] {5});
        Pair.awaitSender(sender);
        prefill.close();
        Pair.awaitState(receiver, KvPoll.FAILED);
        assertThat(receiver.failure()).contains("prefill test is shutting down");
        Pair.awaitReleased(receiver);
        assertThat(sender.poll()).isEqualTo(KvPoll.FAILED);
        await().until(() -> decode.connections() == 0);
    }

    private static ServerSocketChannel listen() throws IOException {
        return ServerSocketChannel.open().bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
    }

    private static InetSocketAddress address(ServerSocketChannel server) throws IOException {
        return (InetSocketAddress) server.getLocalAddress();
    }

    /** Takes a decode server's greeting as a prefill server without shared memory. */
    private static FrameChannel welcome(SocketChannel peer) throws IOException {
        FrameChannel channel = new FrameChannel(peer);
        assertThat(channel.read().type()).isEqualTo(FrameType.HELLO);
        channel.write(FrameType.WELCOME, 0, Handshake.encode(new Handshake.Welcome("fake", false, 0)));
        channel.flush();
        return channel;
    }

    /** The bytes of a frame, caught on their way through a socket. */
    private static ByteBuffer frame(FrameType type, long room, String text) throws IOException {
        try (ServerSocketChannel server = listen();
                SocketChannel from = SocketChannel.open(address(server));
                SocketChannel to = server.accept()) {
            FrameChannel channel = new FrameChannel(from);
            channel.write(type, room, FrameChannel.text(text));
            channel.flush();
            ByteBuffer bytes = ByteBuffer.allocate(FrameChannel.HEADER_BYTES + text.length());
            while (bytes.hasRemaining() && to.read(bytes) >= 0) {}
            return bytes.flip();
        }
    }
}
