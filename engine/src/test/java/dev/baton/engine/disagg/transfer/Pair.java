package dev.baton.engine.disagg.transfer;

import static org.awaitility.Awaitility.await;

import dev.baton.engine.request.EngineRequest.Bootstrap;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A prefill and a decode group of one process, over a chosen transport. */
record Pair(List<KvRegion> source, List<KvRegion> target, PrefillTransfer prefill, DecodeTransfer decode)
        implements AutoCloseable {
    enum Transport {
        IN_PROCESS,
        SHM,
        TCP,
        /** Between devices, directly. */
        DEVICE,
        /** Between devices, by way of host memory. */
        DEVICE_TCP
    }

    static Pair open(Transport transport, List<KvRegion> source, List<KvRegion> target) {
        return open(transport, source, target, Duration.ofSeconds(20));
    }

    static Pair open(Transport transport, List<KvRegion> source, List<KvRegion> target, Duration timeout) {
        if (transport == Transport.IN_PROCESS) {
            InProcessTransfer both = new InProcessTransfer(source, target);
            return new Pair(source, target, both.prefill(), both.decode());
        }
        if (transport == Transport.DEVICE || transport == Transport.DEVICE_TCP) {
            HostedDevice device = new HostedDevice();
            return open(
                    transport == Transport.DEVICE ? Transport.SHM : Transport.TCP,
                    source.stream().map(device::source).toList(),
                    target.stream().map(device::target).toList(),
                    timeout);
        }
        TransferBackend backend = transport == Transport.SHM ? TransferBackend.SHM : TransferBackend.TCP;
        SocketPrefillTransfer prefill = new SocketPrefillTransfer(
                TransferOptions.defaults(backend, "prefill test").withTimeouts(timeout, timeout, timeout), source);
        SocketDecodeTransfer decode = new SocketDecodeTransfer(
                TransferOptions.defaults(backend, "decode test").withTimeouts(timeout, timeout, timeout),
                target,
                at(prefill.address(), source));
        return new Pair(source, target, prefill, decode);
    }

    static PrefillLocator at(InetSocketAddress address, int ranks) {
        return bootstrap -> PrefillLocator.Group.oneStage(Collections.nCopies(ranks, address));
    }

    /** Regions of ranks, stage by stage. */
    private static PrefillLocator at(InetSocketAddress address, List<KvRegion> regions) {
        Map<LayerRange, List<InetSocketAddress>> stages = new LinkedHashMap<>();
        for (KvRegion region : regions) {
            stages.computeIfAbsent(region.layout().held(), held -> new ArrayList<>())
                    .add(address);
        }
        List<PrefillLocator.Stage> all = new ArrayList<>();
        stages.forEach((held, ranks) -> all.add(new PrefillLocator.Stage(held, ranks)));
        return bootstrap -> new PrefillLocator.Group(all);
    }

    static Bootstrap room(long room) {
        return new Bootstrap("prefill.test", 8998, room);
    }

    /** Polls until the sender may send. */
    static void awaitSender(KvSender sender) {
        await().atMost(Duration.ofSeconds(10))
                .pollInterval(Duration.ofMillis(1))
                .until(() -> sender.poll() != KvPoll.BOOTSTRAPPING);
    }

    static void awaitState(KvReceiver receiver, KvPoll state) {
        await().atMost(Duration.ofSeconds(10))
                .pollInterval(Duration.ofMillis(1))
                .until(() -> receiver.poll() == state || receiver.poll().isFinal());
    }

    static void awaitState(KvSender sender, KvPoll state) {
        await().atMost(Duration.ofSeconds(10))
                .pollInterval(Duration.ofMillis(1))
                .until(() -> sender.poll() == state || sender.poll().isFinal());
    }

    static void awaitReleased(KvReceiver receiver) {
        await().atMost(Duration.ofSeconds(10))
                .pollInterval(Duration.ofMillis(1))
                .until(receiver::released);
    }

    static void awaitReleased(KvSender sender) {
        await().atMost(Duration.ofSeconds(10))
                .pollInterval(Duration.ofMillis(1))
                .until(sender::released);
    }

    @Override
    public void close() {
        decode.close();
        prefill.close();
    }
}
