package dev.baton.engine.disagg.transfer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Pages of devices: when they leave, which way they take, and what is left when a way fails. */
class DevicePagesTest {
    private static final KvLayout LAYOUT = Caches.grouped(4, 4, 2, 24, 1, 0);

    private final HostedDevice prefillDevice = new HostedDevice();
    private final HostedDevice decodeDevice = new HostedDevice();
    private final KvRegion from = Caches.region(LAYOUT, 20);
    private final KvRegion to = Caches.shared(LAYOUT, 20);
    private final int[] fromPages = Caches.pages(9, 20, 1);
    private final int[] toPages = Caches.pages(9, 20, 2);

    @AfterEach
    void nothingIsLeftOpen() {
        await().atMost(Duration.ofSeconds(10))
                .pollInterval(Duration.ofMillis(1))
                .until(() -> prefillDevice.openMovers.get() + decodeDevice.openMovers.get() == 0);
    }

    private Pair pair(TransferBackend backend, KvRegion source, KvRegion target) {
        SocketPrefillTransfer prefill =
                new SocketPrefillTransfer(TransferOptions.defaults(backend, "prefill test"), List.of(source));
        return new Pair(
                List.of(source),
                List.of(target),
                prefill,
                new SocketDecodeTransfer(
                        TransferOptions.defaults(backend, "decode test"),
                        List.of(target),
                        Pair.at(prefill.address(), 1)));
    }

    /** Both sides of a room whose pages are told. */
    private record Room(KvSender sender, KvReceiver receiver) implements AutoCloseable {
        @Override
        public void close() {
            sender.close();
            receiver.close();
        }
    }

    private Room open(Pair pair, long id) {
        Caches.write(from, fromPages, id);
        KvReceiver receiver = pair.decode().open(Pair.room(id));
        KvSender sender = pair.prefill().open(id);
        Pair.awaitState(receiver, KvPoll.WAITING_FOR_INPUT);
        receiver.reserve(toPages);
        Pair.awaitSender(sender);
        return new Room(sender, receiver);
    }

    private void awaitUnderWay(int memories) {
        await().atMost(Duration.ofSeconds(10))
                .pollInterval(Duration.ofMillis(1))
                .until(() -> prefillDevice.markedMemories.get() == memories);
    }

    private void sendLayers(Pair pair, KvSender sender, int fromLayer, int toLayer) {
        for (int layer = fromLayer; layer < toLayer; layer++) {
            long mark = pair.source().getFirst().mark();
            sender.send(0, layer, layer + 1, 0, fromPages, mark);
        }
    }

    private void requireArrival(Room room, long id) {
        room.sender.finish(new AuxRecord(1, 0, null));
        Pair.awaitState(room.receiver, KvPoll.SUCCESS);
        Pair.awaitState(room.sender, KvPoll.SUCCESS);
        assertThat(room.receiver.failure()).isNull();
        assertThat(Caches.difference(to, toPages, id)).isEmpty();
        assertThat(room.sender.sentBytes()).isEqualTo(LAYOUT.pageBytes() * fromPages.length);
    }

    @Test
    void aLayerLeavesWhenTheDeviceHasWrittenItAndLayersThatWaitedTravelTogether() {
        prefillDevice.passed.set(0);
        try (Pair pair = pair(TransferBackend.SHM, prefillDevice.source(from), decodeDevice.target(to));
                Room room = open(pair, 7)) {
            sendLayers(pair, room.sender, 0, 4);
            prefillDevice.passed.set(1);
            await().atMost(Duration.ofSeconds(10))
                    .pollInterval(Duration.ofMillis(1))
                    .until(() -> room.sender.sentBytes() == LAYOUT.pageBytes() * fromPages.length / 4);
            assertThat(Caches.difference(to, toPages, 7)).startsWith("buffer 1,");
            prefillDevice.passed.set(4);
            requireArrival(room, 7);
            assertThat(prefillDevice.mostTogether.get()).isBetween(1, 3);
        }
    }

    @Test
    void theEndOfARoomIsToldWhilePagesBehindItAreUnderWay() {
        prefillDevice.moved.set(0);
        try (Pair pair = pair(TransferBackend.SHM, prefillDevice.source(from), decodeDevice.target(to));
                Room first = open(pair, 20);
                Room second = open(pair, 21)) {
            sendLayers(pair, first.sender, 0, 4);
            first.sender.finish(new AuxRecord(1, 0, null));
            awaitUnderWay(LAYOUT.buffers().size());
            int ofFirst = prefillDevice.moverMarks.get();
            sendLayers(pair, second.sender, 0, 4);
            awaitUnderWay(2 * LAYOUT.buffers().size());
            assertThat(first.receiver.poll()).isEqualTo(KvPoll.TRANSFERRING);
            prefillDevice.moved.set(ofFirst);
            Pair.awaitState(first.receiver, KvPoll.SUCCESS);
            Pair.awaitState(first.sender, KvPoll.SUCCESS);
            assertThat(second.sender.sentBytes()).isZero();
            prefillDevice.moved.set(Long.MAX_VALUE);
            requireArrival(second, 21);
            assertThat(first.receiver.aux()).isEqualTo(new AuxRecord(1, 0, null));
        }
    }

    @Test
    void aRoomThatFailsWhileItsPagesAreUnderWayIsReleasedWhenTheyHaveArrived() {
        prefillDevice.moved.set(0);
        try (Pair pair = pair(TransferBackend.SHM, prefillDevice.source(from), decodeDevice.target(to));
                Room room = open(pair, 22)) {
            sendLayers(pair, room.sender, 0, 4);
            awaitUnderWay(LAYOUT.buffers().size());
            room.receiver.abort("the client has gone");
            Pair.awaitState(room.sender, KvPoll.FAILED);
            assertThat(room.sender.released()).isFalse();
            assertThat(room.receiver.released()).isFalse();
            prefillDevice.moved.set(Long.MAX_VALUE);
            Pair.awaitReleased(room.receiver);
            Pair.awaitReleased(room.sender);
        }
    }

    @Test
    void memoryThatCannotBeOpenedIsReachedOverTcpOrRefusedWhereDirectWritesAreAskedFor() {
        prefillDevice.refusesToOpen = "no way to that card";
        try (Pair pair = pair(TransferBackend.AUTO, prefillDevice.source(from), decodeDevice.target(to));
                Room room = open(pair, 8)) {
            sendLayers(pair, room.sender, 0, 4);
            requireArrival(room, 8);
        }
        try (Pair pair = pair(TransferBackend.SHM, prefillDevice.source(from), decodeDevice.target(to))) {
            KvReceiver receiver = pair.decode().open(Pair.room(9));
            Pair.awaitState(receiver, KvPoll.FAILED);
            assertThat(receiver.failure()).contains("no way to that card").contains("shm");
            receiver.close();
        }
    }

    @Test
    void pagesGoOverTcpBetweenADeviceAndAHost() {
        try (Pair pair = pair(TransferBackend.AUTO, prefillDevice.source(from), to);
                Room room = open(pair, 10)) {
            sendLayers(pair, room.sender, 0, 4);
            requireArrival(room, 10);
        }
        try (Pair pair = pair(TransferBackend.AUTO, from, decodeDevice.target(to));
                Room room = open(pair, 11)) {
            sendLayers(pair, room.sender, 0, 4);
            requireArrival(room, 11);
        }
    }

    @Test
    void aFaultOfTheDeviceEndsTheRoomOnBothSides() {
        prefillDevice.fault = "an illegal address was read";
        try (Pair pair = pair(TransferBackend.SHM, prefillDevice.source(from), decodeDevice.target(to));
                Room room = open(pair, 12)) {
            sendLayers(pair, room.sender, 0, 4);
            Pair.awaitState(room.sender, KvPoll.FAILED);
            assertThat(room.sender.failure()).contains("an illegal address was read");
            Pair.awaitState(room.receiver, KvPoll.FAILED);
            Pair.awaitReleased(room.receiver);
            Pair.awaitReleased(room.sender);
        }
    }

    @Test
    void aRoomThatEndsWhileItsLayersWaitForTheDeviceIsReleased() {
        prefillDevice.passed.set(0);
        try (Pair pair = pair(TransferBackend.SHM, prefillDevice.source(from), decodeDevice.target(to));
                Room room = open(pair, 13)) {
            sendLayers(pair, room.sender, 0, 4);
            room.receiver.abort("the client has gone");
            Pair.awaitState(room.sender, KvPoll.FAILED);
            prefillDevice.passed.set(4);
            Pair.awaitReleased(room.receiver);
            Pair.awaitReleased(room.sender);
            assertThat(Caches.difference(to, toPages, 13)).startsWith("buffer 0,");
        }
    }

    @Test
    void theHandshakeCarriesDeviceMemory() throws Exception {
        KvRegion target = decodeDevice.target(to);
        KvRegion.DevicePool pool = target.device();
        assertThat(pool).isNotNull();
        Handshake.Hello hello = new Handshake.Hello(
                "decode test",
                "i",
                0,
                0,
                new CachePairing.Part(0, new LayerRange(0, 4), 0, 2),
                TransferBackend.AUTO,
                LAYOUT,
                20,
                null,
                new Handshake.DeviceDescriptor("host", pool.shared()),
                target.offsets());
        Handshake.Hello read = Handshake.hello(java.nio.charset.StandardCharsets.UTF_8
                .decode(Handshake.encode(hello))
                .toString());
        assertThat(read).usingRecursiveComparison().isEqualTo(hello);
    }
}
