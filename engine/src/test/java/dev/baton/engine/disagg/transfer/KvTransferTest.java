package dev.baton.engine.disagg.transfer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.engine.EngineException;
import dev.baton.engine.request.TokenLogprob;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** What holds on every transport. */
class KvTransferTest {
    static Stream<Arguments> transportsAndLayouts() {
        return Stream.of(Pair.Transport.values())
                .flatMap(t -> Stream.of(
                        Arguments.of(t, Caches.latent(3, 1, 40)),
                        Arguments.of(t, Caches.latent(2, 64, 576)),
                        Arguments.of(t, Caches.grouped(2, 16, 2, 64, 1, 0))));
    }

    @ParameterizedTest
    @MethodSource("transportsAndLayouts")
    void pagesArriveWholeWhateverTheirPlacesChunksAndPoolSizes(Pair.Transport transport, KvLayout layout) {
        KvRegion source = Caches.region(layout, 50);
        KvRegion target = Caches.shared(layout, 90);
        Random random = new Random(5);
        try (Pair pair = Pair.open(transport, List.of(source), List.of(target))) {
            for (long room = 1; room <= 6; room++) {
                int count = 1 + random.nextInt(40);
                int[] from = Caches.pages(count, 50, room);
                int[] to = Caches.pages(count, 90, -room);
                Caches.write(source, from, room);
                target.buffers().forEach(b -> b.fill((byte) 0));
                KvReceiver receiver = pair.decode().open(Pair.room(room));
                KvSender sender = pair.prefill().open(room);
                Pair.awaitState(receiver, KvPoll.WAITING_FOR_INPUT);
                receiver.reserve(to);
                Pair.awaitSender(sender);
                sendInChunks(sender, layout, from, random);
                AuxRecord aux = new AuxRecord(
                        77, 3, new TokenLogprob(77, -0.5f, new int[] {77, 8}, new float[] {-0.5f, -2}, new float[0]));
                sender.finish(aux);
                Pair.awaitState(receiver, KvPoll.SUCCESS);
                Pair.awaitState(sender, KvPoll.SUCCESS);
                assertThat(receiver.failure()).isNull();
                assertThat(sender.failure()).isNull();
                assertThat(Caches.difference(target, to, room)).isEmpty();
                assertThat(untouched(target, to)).isTrue();
                assertThat(receiver.aux()).usingRecursiveComparison().isEqualTo(aux);
                assertThat(sender.sentBytes()).isEqualTo(count * layout.pageBytes());
                assertThat(sender.released() && receiver.released()).isTrue();
                sender.close();
                receiver.close();
            }
            assertThat(pair.prefill().liveRooms() + pair.decode().liveRooms()).isZero();
        }
    }

    /** Random chunk bounds, each chunk in random groups of layers. */
    private static void sendInChunks(KvSender sender, KvLayout layout, int[] pages, Random random) {
        for (int at = 0; at < pages.length; ) {
            int end = Math.min(pages.length, at + 1 + random.nextInt(pages.length));
            int[] chunk = Arrays.copyOfRange(pages, at, end);
            int cut = random.nextInt(layout.layers() + 1);
            sender.send(0, 0, cut, at, chunk);
            sender.send(0, cut, layout.layers(), at, chunk);
            at = end;
        }
    }

    private static boolean untouched(KvRegion region, int[] written) {
        KvLayout layout = region.layout();
        for (int page = 0; page < region.pages(); page++) {
            int p = page;
            if (IntStream.of(written).anyMatch(w -> w == p)) {
                continue;
            }
            for (int b = 0; b < layout.buffers().size(); b++) {
                long bytes = layout.pageBytes(b);
                if (!isZero(region.buffers().get(b).asSlice(page * bytes, bytes))) {
                    return false;
                }
            }
        }
        return true;
    }

    private static boolean isZero(MemorySegment segment) {
        for (byte b : segment.toArray(ValueLayout.JAVA_BYTE)) {
            if (b != 0) {
                return false;
            }
        }
        return true;
    }

    static Stream<Arguments> transportsAndRanks() {
        return Stream.of(Pair.Transport.values())
                .flatMap(t -> Stream.of(
                                new int[] {1, 2}, new int[] {2, 1}, new int[] {2, 4}, new int[] {4, 2}, new int[] {8, 4
                                })
                        .flatMap(
                                r -> Stream.of(Arguments.of(t, r[0], r[1], true), Arguments.of(t, r[0], r[1], false))));
    }

    @ParameterizedTest
    @MethodSource("transportsAndRanks")
    void tensorParallelSizesMayDiffer(Pair.Transport transport, int prefillRanks, int decodeRanks, boolean latent) {
        List<KvRegion> source = new ArrayList<>();
        List<KvRegion> target = new ArrayList<>();
        for (int r = 0; r < prefillRanks; r++) {
            source.add(
                    Caches.region(latent ? Caches.latent(2, 4, 48) : Caches.grouped(2, 4, 4, 24, prefillRanks, r), 20));
        }
        for (int r = 0; r < decodeRanks; r++) {
            target.add(
                    Caches.shared(latent ? Caches.latent(2, 4, 48) : Caches.grouped(2, 4, 4, 24, decodeRanks, r), 30));
        }
        int[] from = Caches.pages(11, 20, 1);
        int[] to = Caches.pages(11, 30, 2);
        source.forEach(region -> Caches.write(region, from, 9));
        try (Pair pair = Pair.open(transport, source, target)) {
            KvReceiver receiver = pair.decode().open(Pair.room(9));
            KvSender sender = pair.prefill().open(9);
            Pair.awaitState(receiver, KvPoll.WAITING_FOR_INPUT);
            receiver.reserve(to);
            Pair.awaitSender(sender);
            for (int rank = 0; rank < prefillRanks; rank++) {
                sender.send(rank, 0, 2, 0, from);
            }
            sender.finish(new AuxRecord(1, 0, null));
            Pair.awaitState(receiver, KvPoll.SUCCESS);
            assertThat(receiver.failure()).isNull();
            for (KvRegion region : target) {
                assertThat(Caches.difference(region, to, 9)).isEmpty();
            }
        }
    }

    static Stream<Arguments> transportsAndStages() {
        int[][][] stages = {{{0, 2, 5}, {0, 5}}, {{0, 5}, {0, 3, 5}}, {{0, 1, 3, 5}, {0, 2, 5}}};
        return Stream.of(Pair.Transport.values())
                .flatMap(t -> Stream.of(stages)
                        .flatMap(
                                s -> Stream.of(Arguments.of(t, s[0], s[1], true), Arguments.of(t, s[0], s[1], false))));
    }

    @ParameterizedTest
    @MethodSource("transportsAndStages")
    void pipelineStagesMayDiffer(Pair.Transport transport, int[] prefillStages, int[] decodeStages, boolean latent) {
        List<KvRegion> source = staged(prefillStages, 2, latent);
        List<KvRegion> target = staged(decodeStages, 1, latent);
        int[] from = Caches.pages(11, 20, 1);
        int[] to = Caches.pages(11, 20, 2);
        source.forEach(region -> Caches.write(region, from, 9));
        try (Pair pair = Pair.open(transport, source, target)) {
            KvReceiver receiver = pair.decode().open(Pair.room(9));
            KvSender sender = pair.prefill().open(9);
            Pair.awaitState(receiver, KvPoll.WAITING_FOR_INPUT);
            receiver.reserve(to);
            Pair.awaitSender(sender);
            for (int rank = 0; rank < source.size(); rank++) {
                // Each rank is told of all layers and sends its own; the cut need not be where stages meet.
                sender.send(rank, 0, 2, 0, from);
                sender.send(rank, 2, 5, 0, from);
            }
            sender.finish(new AuxRecord(1, 0, null));
            Pair.awaitState(receiver, KvPoll.SUCCESS);
            assertThat(receiver.failure()).isNull();
            for (KvRegion region : target) {
                assertThat(Caches.difference(region, to, 9)).isEmpty();
                assertThat(untouched(region, to)).isTrue();
            }
        }
    }

    /** Ranks of stages, whose layers lie between bounds. */
    private static List<KvRegion> staged(int[] bounds, int ranks, boolean latent) {
        List<KvRegion> regions = new ArrayList<>();
        for (int s = 1; s < bounds.length; s++) {
            for (int r = 0; r < ranks; r++) {
                KvLayout whole = latent ? Caches.latent(5, 4, 48) : Caches.grouped(5, 4, 2, 24, ranks, r);
                regions.add(Caches.shared(Caches.stage(whole, new LayerRange(bounds[s - 1], bounds[s])), 20));
            }
        }
        return regions;
    }

    @ParameterizedTest
    @EnumSource(Pair.Transport.class)
    void manyRoomsAtOnceDoNotMix(Pair.Transport transport) {
        KvLayout layout = Caches.latent(4, 2, 100);
        KvRegion source = Caches.region(layout, 200);
        KvRegion target = Caches.shared(layout, 200);
        int rooms = 30;
        int[] fromAll = Caches.pages(180, 200, 1);
        int[] toAll = Caches.pages(180, 200, 2);
        try (Pair pair = Pair.open(transport, List.of(source), List.of(target))) {
            List<KvSender> senders = new ArrayList<>();
            List<KvReceiver> receivers = new ArrayList<>();
            for (int r = 0; r < rooms; r++) {
                Caches.write(source, slice(fromAll, r), r);
                senders.add(pair.prefill().open(r));
                receivers.add(pair.decode().open(Pair.room(r)));
            }
            for (int r = 0; r < rooms; r++) {
                Pair.awaitState(receivers.get(r), KvPoll.WAITING_FOR_INPUT);
                receivers.get(r).reserve(slice(toAll, r));
            }
            for (int layer = 0; layer < 4; layer++) {
                for (int r = 0; r < rooms; r++) {
                    Pair.awaitSender(senders.get(r));
                    senders.get(r).send(0, layer, layer + 1, 0, slice(fromAll, r));
                }
            }
            for (int r = 0; r < rooms; r++) {
                senders.get(r).finish(new AuxRecord(1000 + r, 0, null));
            }
            for (int r = 0; r < rooms; r++) {
                Pair.awaitState(receivers.get(r), KvPoll.SUCCESS);
                assertThat(receivers.get(r).aux().firstId()).isEqualTo(1000 + r);
                assertThat(Caches.difference(target, slice(toAll, r), r)).isEmpty();
            }
        }
    }

    private static int[] slice(int[] pages, int room) {
        return Arrays.copyOfRange(pages, room * 6, room * 6 + 6);
    }

    @ParameterizedTest
    @EnumSource(Pair.Transport.class)
    void aRoomNumberInUseIsRefusedOnBothSidesAndTheFirstGoesOn(Pair.Transport transport) {
        KvLayout layout = Caches.latent(1, 1, 16);
        try (Pair pair = Pair.open(transport, List.of(Caches.region(layout, 9)), List.of(Caches.shared(layout, 9)))) {
            KvSender sender = pair.prefill().open(4);
            KvReceiver receiver = pair.decode().open(Pair.room(4));
            assertThatThrownBy(() -> pair.prefill().open(4))
                    .isInstanceOf(EngineException.class)
                    .hasMessageContaining("bootstrap_room 4 is already in use");
            assertThatThrownBy(() -> pair.decode().open(Pair.room(4)))
                    .isInstanceOf(EngineException.class)
                    .hasMessageContaining("bootstrap_room 4 is already in use");
            Pair.awaitState(receiver, KvPoll.WAITING_FOR_INPUT);
            receiver.reserve(new int[] {3});
            Pair.awaitSender(sender);
            sender.send(0, 0, 1, 0, new int[] {1});
            sender.finish(new AuxRecord(5, 0, null));
            Pair.awaitState(receiver, KvPoll.SUCCESS);
            assertThat(receiver.aux().firstId()).isEqualTo(5);
        }
    }

    @ParameterizedTest
    @EnumSource(Pair.Transport.class)
    void anAbortCrossesToTheOtherSideInEitherDirection(Pair.Transport transport) {
        KvLayout layout = Caches.latent(2, 1, 16);
        try (Pair pair = Pair.open(transport, List.of(Caches.region(layout, 9)), List.of(Caches.shared(layout, 9)))) {
            for (int stage = 0; stage < 3; stage++) {
                for (boolean byDecode : new boolean[] {true, false}) {
                    long room = 100 + stage * 2 + (byDecode ? 1 : 0);
                    KvReceiver receiver = pair.decode().open(Pair.room(room));
                    KvSender sender = pair.prefill().open(room);
                    Pair.awaitState(receiver, KvPoll.WAITING_FOR_INPUT);
                    if (stage > 0) {
                        receiver.reserve(new int[] {3, 4});
                        Pair.awaitSender(sender);
                    }
                    if (stage > 1) {
                        sender.send(0, 0, 2, 0, new int[] {1});
                    }
                    if (byDecode) {
                        receiver.abort("the client went away");
                        Pair.awaitState(sender, KvPoll.FAILED);
                        assertThat(sender.failure()).contains("the client went away");
                    } else {
                        sender.abort("out of patience");
                        if (stage == 0 && transport != Pair.Transport.IN_PROCESS) {
                            // The prefill side does not know the decode side yet: it answers when asked.
                            receiver.reserve(new int[] {3, 4});
                        }
                        Pair.awaitState(receiver, KvPoll.FAILED);
                        assertThat(receiver.failure()).contains("out of patience");
                    }
                    Pair.awaitReleased(receiver);
                    Pair.awaitReleased(sender);
                    receiver.close();
                    sender.close();
                }
            }
            assertThat(pair.prefill().liveRooms() + pair.decode().liveRooms()).isZero();
        }
    }

    @ParameterizedTest
    @EnumSource(Pair.Transport.class)
    void aRequestThatOneServerRefusedFailsOnTheOtherAtOnce(Pair.Transport transport) {
        KvLayout layout = Caches.latent(1, 1, 16);
        try (Pair pair = Pair.open(transport, List.of(Caches.region(layout, 9)), List.of(Caches.shared(layout, 9)))) {
            pair.prefill().refuse(1, "queue full");
            KvReceiver receiver = pair.decode().open(Pair.room(1));
            Pair.awaitState(receiver, KvPoll.WAITING_FOR_INPUT);
            receiver.reserve(new int[] {3});
            Pair.awaitState(receiver, KvPoll.FAILED);
            assertThat(receiver.failure()).contains("queue full");

            pair.decode().refuse(Pair.room(2), "prompt too long");
            KvSender sender = pair.prefill().open(2);
            Pair.awaitState(sender, KvPoll.FAILED);
            assertThat(sender.failure()).contains("prompt too long");
        }
    }

    @ParameterizedTest
    @EnumSource(Pair.Transport.class)
    void fewerOrMorePagesThanReservedFailTheRoomOnBothSides(Pair.Transport transport) {
        KvLayout layout = Caches.latent(2, 1, 16);
        try (Pair pair = Pair.open(transport, List.of(Caches.region(layout, 9)), List.of(Caches.shared(layout, 9)))) {
            for (int sent : new int[] {1, 3}) {
                KvReceiver receiver = pair.decode().open(Pair.room(sent));
                KvSender sender = pair.prefill().open(sent);
                Pair.awaitState(receiver, KvPoll.WAITING_FOR_INPUT);
                receiver.reserve(new int[] {3, 4});
                Pair.awaitSender(sender);
                sender.send(0, 0, 2, 0, IntStream.rangeClosed(1, sent).toArray());
                sender.finish(new AuxRecord(5, 0, null));
                Pair.awaitState(receiver, KvPoll.FAILED);
                Pair.awaitState(sender, KvPoll.FAILED);
                assertThat(sender.failure()).contains("reserved");
                Pair.awaitReleased(receiver);
            }
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"SHM", "TCP"})
    void deadlinesEndARoomThatNobodyJoins(Pair.Transport transport) {
        KvLayout layout = Caches.latent(1, 1, 16);
        try (Pair pair = Pair.open(
                transport,
                List.of(Caches.region(layout, 9)),
                List.of(Caches.shared(layout, 9)),
                Duration.ofMillis(300))) {
            KvSender sender = pair.prefill().open(1);
            KvReceiver receiver = pair.decode().open(Pair.room(2));
            Pair.awaitState(receiver, KvPoll.WAITING_FOR_INPUT);
            receiver.reserve(new int[] {3});
            Pair.awaitState(sender, KvPoll.FAILED);
            assertThat(sender.failure()).isEqualTo("Request 1 timed out after 0.3s in KVPoll.Bootstrapping");
            Pair.awaitState(receiver, KvPoll.FAILED);
            assertThat(receiver.failure())
                    .containsAnyOf(
                            "Request 2 timed out after 0.3s in KVPoll.WaitingForInput",
                            "no request with bootstrap_room 2");
            Pair.awaitReleased(receiver);
        }
    }

    @Test
    void theFakeTransferSucceedsAlone() {
        KvSender sender = FakeTransfer.sender(1);
        assertThat(sender.poll()).isEqualTo(KvPoll.WAITING_FOR_INPUT);
        sender.finish(new AuxRecord(1, 0, null));
        assertThat(sender.poll()).isEqualTo(KvPoll.SUCCESS);
        KvReceiver receiver = FakeTransfer.receiver(1);
        receiver.reserve(new int[] {1});
        assertThat(receiver.poll()).isEqualTo(KvPoll.SUCCESS);
        assertThat(receiver.aux().firstId()).isZero();
    }
}
