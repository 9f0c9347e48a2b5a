package dev.baton.bench.transfer;

import dev.baton.engine.disagg.transfer.AuxRecord;
import dev.baton.engine.disagg.transfer.KvPoll;
import dev.baton.engine.disagg.transfer.KvReceiver;
import dev.baton.engine.disagg.transfer.KvSender;
import dev.baton.engine.disagg.transfer.SendTimes;
import dev.baton.engine.disagg.transfer.SocketDecodeTransfer;
import dev.baton.engine.disagg.transfer.SocketPrefillTransfer;
import dev.baton.engine.request.EngineRequest.Bootstrap;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * Prompts that are handed over at once, round by round: as in serving, the next one's pages follow while the last one is
 * confirmed.
 *
 * @param count in a round
 * @param pollNanos between looks of the prefill process at what is confirmed; 0: it spins
 */
record Prompts(int count, long pollNanos) {
    private long room(int round, int prompt) {
        return (long) round * count + prompt;
    }

    /** On the decode side: reserves an equal part of {@code pages} for each prompt and waits until all have come. */
    void receive(SocketDecodeTransfer decode, int[] pages, int round) throws IOException {
        List<KvReceiver> receivers = new ArrayList<>();
        for (int prompt = 0; prompt < count; prompt++) {
            receivers.add(decode.open(new Bootstrap("localhost", 8998, room(round, prompt))));
        }
        int each = pages.length / count;
        for (int prompt = 0; prompt < count; prompt++) {
            KvReceiver receiver = receivers.get(prompt);
            while (receiver.poll() == KvPoll.BOOTSTRAPPING) {
                LockSupport.parkNanos(100_000);
            }
            receiver.reserve(Arrays.copyOfRange(pages, prompt * each, (prompt + 1) * each));
        }
        for (KvReceiver open : receivers) {
            try (KvReceiver receiver = open) {
                while (!receiver.poll().isFinal()) {
                    LockSupport.parkNanos(500_000);
                }
                requireSuccess(receiver.poll(), receiver.room(), receiver.failure());
            }
        }
    }

    /**
     * Where a round's time goes, in nanoseconds.
     *
     * @param whole from the first page of the first prompt to the confirmation of the last
     * @param untilBegun until the sending thread has handed the first pages over
     * @param calls in the caller's {@link KvSender#send} and finish
     * @param handing of the sending thread, in handing pages over
     * @param moving from there until the last room's pages have arrived
     * @param confirming from there to that room's confirmation
     */
    record Spent(long whole, long untilBegun, long calls, long handing, long moving, long confirming) {}

    /** On the prefill side: nanoseconds from the first page of the first prompt to the confirmation of the last. */
    long sendNanos(SocketPrefillTransfer prefill, int layers, int[] pages, int round) throws IOException {
        return send(prefill, layers, pages, round).whole;
    }

    /** On the prefill side: a round. */
    Spent send(SocketPrefillTransfer prefill, int layers, int[] pages, int round) throws IOException {
        List<KvSender> senders = new ArrayList<>();
        for (int prompt = 0; prompt < count; prompt++) {
            senders.add(prefill.open(room(round, prompt)));
        }
        for (KvSender sender : senders) {
            while (sender.poll() == KvPoll.BOOTSTRAPPING) {
                LockSupport.parkNanos(100_000);
            }
        }
        prefill.times().take();
        long start = System.nanoTime();
        for (KvSender sender : senders) {
            for (int layer = 0; layer < layers; layer++) {
                sender.send(0, layer, layer + 1, 0, pages);
            }
            sender.finish(new AuxRecord(1, 0, null));
        }
        long called = System.nanoTime();
        for (KvSender sender : senders) {
            while (!sender.poll().isFinal()) {
                if (pollNanos == 0) {
                    Thread.onSpinWait();
                } else {
                    LockSupport.parkNanos(pollNanos);
                }
            }
        }
        long end = System.nanoTime();
        SendTimes.Taken times = prefill.times().take();
        for (KvSender sender : senders) {
            requireSuccess(sender.poll(), sender.room(), sender.failure());
            sender.close();
        }
        return new Spent(
                end - start,
                times.firstBegunNanos() - start,
                called - start,
                times.beginNanos(),
                times.lastEndNanos() - times.firstBegunNanos(),
                end - times.lastEndNanos());
    }

    private static void requireSuccess(KvPoll state, long room, @Nullable String failure) throws IOException {
        if (state != KvPoll.SUCCESS) {
            throw new IOException("room " + room + ": " + failure);
        }
    }
}
