package dev.baton.engine.balance;

import dev.baton.model.DType;
import dev.baton.tensor.Device;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.parallel.Communicator;
import dev.baton.tensor.parallel.PointToPoint;
import dev.baton.tensor.parallel.Transfer;
import dev.baton.trace.expert.ExpertCounts;
import dev.baton.trace.expert.Placement;
import java.lang.System.Logger;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;

/**
 * Moves one rank's experts. Every rank of a pipeline stage does the same after the same pass: the counts of all are summed,
 * each rank plans the same placement of the stage's layers from them, and layers are exchanged one after the other, a few
 * after each pass. Between two passes every slot holds what its layer's map says. Layers are placed each by itself, so that
 * stages need not know of each other. The rank's thread only.
 */
final class Rebalancer {
    private static final Logger LOG = System.getLogger(Rebalancer.class.getName());

    /** Counts cross the ranks as two F32 numbers, each exact. */
    private static final int LOW_BITS = 20;

    private final ExpertBalance balance;
    private final RankExperts rank;
    private final Device device;
    private final PointToPoint link;
    private final SlotMemory memory;
    /** F32 [2, layers * experts] */
    private final Tensor sums;
    /** Of the same size. */
    private final MemorySegment host;

    /** What the rank's slots hold, by layer. */
    private final Map<Integer, List<SlotMemory.Slot>> held = new HashMap<>();

    private final ArrayDeque<LayerExperts> waiting = new ArrayDeque<>();
    private int[][] target = {};
    private long began;

    Rebalancer(ExpertBalance balance, RankExperts rank, Device device) {
        this.balance = balance;
        this.rank = rank;
        this.device = device;
        this.link = balance.link(rank.place());
        this.memory = new SlotMemory(device);
        int numbers = balance.statistics().layers() * balance.statistics().experts();
        this.sums = device.allocate(DType.F32, 2, numbers);
        this.host = device.hostBuffer(8L * numbers);
    }

    long spareBytes() {
        return memory.spareBytes();
    }

    /** Gives a layer's slots memory that may be written. */
    void own(LayerExperts layer) {
        List<SlotMemory.Slot> slots = memory.own(layer.weights());
        held.put(layer.layer(), slots);
        for (int i = 0; i < slots.size(); i++) {
            layer.replace(i, slots.get(i));
        }
    }

    /** @param all the ranks that run these passes */
    void passEnded(long passes, Communicator all) {
        try {
            if (waiting.isEmpty() && passes % balance.options().iterations() == 0) {
                begin(all);
            } else if (!waiting.isEmpty()) {
                moveChunk(all);
            }
        } catch (RuntimeException e) {
            link.abort(e);
            throw e;
        }
    }

    private void begin(Communicator all) {
        began = System.nanoTime();
        ExpertCounts counts = counts(all);
        if (counts.moeLayers().length == 0) {
            say("[EPLBManager] Skipped ep rebalancing: no tokens were routed since the last one");
            return;
        }
        double utilisation = current().balancedness(counts);
        double threshold = balance.options().utilisationThreshold();
        if (utilisation > threshold) {
            say(String.format(
                    Locale.ROOT,
                    "[EPLBManager] Skipped ep rebalancing: current GPU utilization %.2f > minimum rebalance threshold"
                            + " %.2f",
                    utilisation,
                    threshold));
            return;
        }
        say("[EPLBManager] rebalance start");
        target = balance.planner().planned(balance.options(), counts.counts());
        for (LayerExperts layer : rank.layers()) {
            boolean routed = Arrays.stream(counts.counts()[layer.layer()]).sum() > 0;
            if (routed && !layer.location().isAt(target[layer.layer()])) {
                waiting.add(layer);
            }
        }
        moveChunk(all);
    }

    /** Every pass has been handed over by every rank of the stage when all have come. */
    private ExpertCounts counts(Communicator all) {
        ExpertStatistics statistics = balance.statistics();
        int layers = statistics.layers();
        int experts = statistics.experts();
        all.barrier();
        // Of the ranks of each JVM one tells what they have counted.
        int stage = rank.place().stage();
        StageWindow.Taken window = statistics.isFirstHere(rank.place().rank())
                ? statistics.takeBalanceWindow(stage)
                : new StageWindow.Taken(new long[layers][experts], new double[layers][0], 0);
        long[][] mine = window.counts();
        int numbers = layers * experts;
        for (int i = 0; i < numbers; i++) {
            long count = mine[i / experts][i % experts];
            host.setAtIndex(ValueLayout.JAVA_FLOAT, i, count & (1 << LOW_BITS) - 1);
            host.setAtIndex(ValueLayout.JAVA_FLOAT, numbers + i, count >> LOW_BITS);
        }
        device.toDevice(host, sums);
        all.allReduce(sums);
        device.toHost(sums, host);
        double[][] counts = new double[layers][experts];
        for (int i = 0; i < numbers; i++) {
            double low = host.getAtIndex(ValueLayout.JAVA_FLOAT, i);
            double high = host.getAtIndex(ValueLayout.JAVA_FLOAT, numbers + i);
            counts[i / experts][i % experts] = low + high * (1 << LOW_BITS);
        }
        ExpertCounts sum = new ExpertCounts("the last passes", counts, 1);
        if (isFirst()) {
            // Of a stage that nodes share, what each rank computed is known for the ranks here only.
            double balancedness = statistics.hasWhole(stage)
                    ? window.balancedness()
                    : current().balancedness(sum);
            say(String.format(
                    Locale.ROOT,
                    "[EPLBManager] the last %d passes together had a balancedness of %.3f",
                    window.passes(),
                    balancedness));
        }
        return sum;
    }

    private Placement current() {
        int[][] maps = new int[balance.statistics().layers()][];
        for (int layer = 0; layer < maps.length; layer++) {
            maps[layer] = balance.initial(layer).physicalToLogical();
        }
        for (LayerExperts layer : rank.layers()) {
            maps[layer.layer()] = layer.location().physicalToLogical();
        }
        return new Placement(maps, balance.initial(0).ranks());
    }

    private void moveChunk(Communicator all) {
        int chunk = balance.options().layersPerChunk();
        // A rank that has failed elsewhere is noticed here and not by a transfer that never comes.
        all.barrier();
        for (int moved = 0; !waiting.isEmpty() && (chunk == 0 || moved < chunk); moved++) {
            LayerExperts layer = waiting.remove();
            move(layer, target[layer.layer()]);
        }
        if (waiting.isEmpty()) {
            say(String.format(
                    Locale.ROOT, "[EPLBManager] rebalance end time=%.3fs", (System.nanoTime() - began) / 1e9));
        }
    }

    /** Exchanges one layer's experts through buffers, then changes its map. */
    private void move(LayerExperts layer, int[] to) {
        LayerLocation from = layer.location();
        int me = rank.place().expertRank();
        int base = me * from.slotsOfRank();
        List<SlotMemory.Slot> own = Objects.requireNonNull(held.get(layer.layer()));
        Map<Integer, SlotMemory.Slot> received = exchange(from, to, own);
        List<SlotMemory.Slot> next = new ArrayList<>(own);
        for (int i = 0; i < own.size(); i++) {
            int expert = to[base + i];
            if (from.expertAt(base + i) == expert) {
                continue;
            }
            SlotMemory.Slot arrived = received.remove(expert);
            next.set(i, arrived != null ? arrived : memory.duplicate(holder(expert, from, to, base, own, next, i)));
        }
        for (int i = 0; i < own.size(); i++) {
            if (next.get(i) != own.get(i)) {
                layer.replace(i, next.get(i));
                memory.giveBack(own.get(i));
            }
        }
        held.put(layer.layer(), next);
        layer.moved(from.moved(to));
    }

    /** A local slot with the expert: one that had it before, or one before {@code filled} that has just received it. */
    private static SlotMemory.Slot holder(
            int expert,
            LayerLocation from,
            int[] to,
            int base,
            List<SlotMemory.Slot> own,
            List<SlotMemory.Slot> next,
            int filled) {
        for (int i = 0; i < own.size(); i++) {
            if (from.expertAt(base + i) == expert) {
                return own.get(i);
            }
        }
        for (int i = 0; i < filled; i++) {
            if (to[base + i] == expert) {
                return next.get(i);
            }
        }
        throw new IllegalStateException("expert " + expert + " did not arrive");
    }

    private Map<Integer, SlotMemory.Slot> exchange(LayerLocation from, int[] to, List<SlotMemory.Slot> own) {
        int me = rank.place().expertRank();
        int base = me * from.slotsOfRank();
        Map<Integer, SlotMemory.Slot> received = new HashMap<>();
        List<Transfer> open = new ArrayList<>();
        for (MovePlan.Travel travel : MovePlan.of(from, to)) {
            int sender = from.rankOf(travel.fromSlot());
            if (sender == me) {
                open.add(link.send(
                        travel.toRank(),
                        List.of(own.get(travel.fromSlot() - base).block())));
            } else if (travel.toRank() == me) {
                SlotMemory.Slot buffer = memory.take(own.getFirst());
                received.put(travel.expert(), buffer);
                open.add(link.receive(sender, List.of(buffer.block())));
            }
        }
        open.forEach(Transfer::await);
        return received;
    }

    private boolean isFirst() {
        return rank.place().isFirst();
    }

    private void say(String line) {
        if (isFirst()) {
            String stage = balance.isStaged() ? "PP" + rank.place().stage() + " " : "";
            LOG.log(Logger.Level.INFO, stage + line);
        }
    }
}
