package dev.baton.engine.balance;

import dev.baton.engine.arch.ExpertPlacement;
import dev.baton.engine.arch.LocalExperts;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.tensor.Device;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.parallel.Communicator;
import dev.baton.trace.expert.ExpertWriter;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * All layers' experts of one rank: counts what passes route, and moves experts between passes. The rank's thread only. A
 * rank that neither counts nor maps pays one comparison a layer.
 */
public final class RankExperts implements ExpertPlacement {
    /** Random numbers of dispatch lie below this. */
    private static final int RANDOM_RANGE = 1 << 16;

    private final ExpertBalance balance;
    private final Device device;
    private final Place place;
    private final @Nullable DispatchAlgorithm dispatch;
    /** By number; dense layers and those of other stages are not there. */
    private final TreeMap<Integer, LayerExperts> layers = new TreeMap<>();

    private final @Nullable Rebalancer rebalancer;

    private MemorySegment staging;
    private boolean counting;
    /** 0: nobody records. */
    private long recording;

    private long passes;
    /** [layer][slot] of the pass that runs. */
    private final int[][] counts;
    /** [layer][T][topK] experts, where tokens are recorded. */
    private final int[][][] chosen;

    /**
     * Which rank this is.
     *
     * @param rank of the replica's ranks in this JVM, which are numbered stage by stage
     * @param stage of the pipeline
     * @param expertRank of the expert-parallel group
     * @param columnRank which of the ranks that share this rank's experts
     * @param dispatched whether the rank gates tokens of its own, which travel to their experts; otherwise every rank
     *     gates every token
     */
    public record Place(int rank, int stage, int expertRank, int columnRank, boolean dispatched) {
        /** The first rank of its stage. */
        boolean isFirst() {
            return expertRank == 0 && columnRank == 0;
        }
    }

    public RankExperts(ExpertBalance balance, Device device, Place place) {
        this.balance = balance;
        this.device = device;
        this.place = place;
        this.dispatch = balance.options().effectiveDispatch();
        this.counting = balance.options().alwaysCounts();
        this.rebalancer = balance.options().rebalances() ? new Rebalancer(balance, this, device) : null;
        ExpertStatistics statistics = balance.statistics();
        this.counts = new int[statistics.layers()][balance.planner().slots()];
        this.chosen = new int[statistics.layers()][0][];
        this.staging = device.hostBuffer(1 << 12);
    }

    /** Takes the loaded layers over; once, before the first pass. */
    public void attach(List<LocalExperts> loaded) {
        for (LocalExperts local : loaded) {
            LayerExperts layer = new LayerExperts(local, balance.initial(local.layer()));
            layers.put(local.layer(), layer);
            if (rebalancer != null) {
                rebalancer.own(layer);
            }
        }
    }

    @Override
    public int slots(int experts) {
        return balance.planner().slots();
    }

    @Override
    public int expertOf(int layer, int slot) {
        return balance.initial(layer).expertAt(slot);
    }

    /** What the rank shares with the others of its replica. */
    public ExpertBalance balance() {
        return balance;
    }

    /** The layers with experts, by number. */
    public Collection<LayerExperts> layers() {
        return Collections.unmodifiableCollection(layers.values());
    }

    Place place() {
        return place;
    }

    /** Whether a step's routing must go through the host: a step that does so cannot be replayed as a graph. */
    public boolean isActive() {
        return counting || dispatch != null;
    }

    /** Bytes of buffers that moves need beside the slots. */
    public long bufferBytes() {
        return rebalancer == null ? 0 : rebalancer.spareBytes();
    }

    /**
     * Passes from the next one on are recorded under a number; 0 ends that. Between passes, on every rank between the
     * same two.
     */
    public void record(long number) {
        recording = number;
        counting = number != 0 || balance.options().alwaysCounts();
    }

    private boolean recordsTokens() {
        return recording != 0 && balance.options().effectiveRecorder() == RecorderMode.PER_TOKEN;
    }

    /** Counts the gate's choices if somebody asked for it and turns them from experts into slots. */
    @Override
    public void place(int number, Tensor ids) {
        LayerExperts layer = Objects.requireNonNull(layers.get(number));
        if (isActive() && ids.rows() > 0) {
            route(layer, ids, layer.nonce());
        }
        layer.passed();
    }

    private void route(LayerExperts layer, Tensor ids, long nonce) {
        int columns = ids.columns();
        int total = Math.multiplyExact(ids.rows(), columns);
        MemorySegment host = staging(4L * total);
        device.toHost(ids, host);
        if (recordsTokens()) {
            keepChosen(layer.layer(), host, ids.rows(), columns);
        }
        LayerLocation location = layer.location();
        int[] counted = counting ? counts[layer.layer()] : null;
        int from = place.dispatched() ? 0 : place.expertRank() * location.slotsOfRank();
        // Ranks that share an expert's columns see the same tokens: the first of them counts.
        int to = place.columnRank() > 0 && !place.dispatched()
                ? from
                : place.dispatched() ? location.slots() : from + location.slotsOfRank();
        for (int i = 0; i < total; i++) {
            int expert = host.getAtIndex(ValueLayout.JAVA_INT, i);
            if (expert < 0) {
                continue;
            }
            int slot = slot(location, expert, i, i / columns, nonce);
            if (counted != null && slot >= from && slot < to) {
                counted[slot]++;
            }
            host.setAtIndex(ValueLayout.JAVA_INT, i, slot);
        }
        if (dispatch != null) {
            device.toDevice(host, ids);
        }
    }

    /** Ranks that gate the same tokens must find the same slots: everything but the rank decides. */
    private int slot(LayerLocation location, int expert, int choice, int token, long nonce) {
        return switch (dispatch) {
            case null -> expert;
            case STATIC -> location.nearest(place.dispatched() ? place.expertRank() : token % location.ranks(), expert);
            case DYNAMIC, FAKE -> location.anyOf(expert, (int) (LayerExperts.mix(nonce, choice) & RANDOM_RANGE - 1));
        };
    }

    @Override
    public boolean isFake() {
        return dispatch == DispatchAlgorithm.FAKE;
    }

    /** Uniform scores from 5 to 10. */
    @Override
    public void fake(int layer, Tensor scores) {
        long nonce = ~Objects.requireNonNull(layers.get(layer)).nonce();
        int total = Math.multiplyExact(scores.rows(), scores.columns());
        MemorySegment host = staging(4L * total);
        for (int i = 0; i < total; i++) {
            float unit = (LayerExperts.mix(nonce, i) >>> 40) * 0x1p-24f;
            host.setAtIndex(ValueLayout.JAVA_FLOAT, i, 5 + 5 * unit);
        }
        device.toDevice(host, scores);
    }

    private void keepChosen(int layer, MemorySegment host, int rows, int columns) {
        int[][] kept = new int[rows][columns];
        for (int t = 0; t < rows; t++) {
            MemorySegment.copy(host, ValueLayout.JAVA_INT, 4L * t * columns, kept[t], 0, columns);
        }
        // A step in two halves brings a layer's tokens in two parts.
        int before = chosen[layer].length;
        int[][] all = Arrays.copyOf(chosen[layer], before + rows);
        System.arraycopy(kept, 0, all, before, rows);
        chosen[layer] = all;
    }

    private MemorySegment staging(long bytes) {
        if (staging.byteSize() < bytes) {
            staging = device.hostBuffer(Math.max(bytes, 2 * staging.byteSize()));
        }
        return staging;
    }

    /**
     * A pass has ended: hands over its counts, and moves experts when it is time. Every rank of the replica calls it
     * after the same passes.
     *
     * @param ids I32 [T] token ids of the rank's own plan
     * @param all the ranks of the stage
     */
    public void passEnded(StepPlan plan, Tensor ids, Communicator all) {
        passes++;
        if (counting) {
            ExpertWriter.Tokens tokens = recordsTokens() ? tokens(plan, ids) : null;
            balance.statistics().deliver(place.rank(), passes, recording, counts, layers.values(), tokens);
            for (int[] layer : counts) {
                Arrays.fill(layer, 0);
            }
        }
        if (rebalancer != null && !layers.isEmpty()) {
            rebalancer.passEnded(passes, all);
        }
    }

    private ExpertWriter.Tokens tokens(StepPlan plan, Tensor ids) {
        int total = plan.tokens();
        int[] inputIds = new int[total];
        if (total > 0) {
            MemorySegment host = staging(4L * ids.rows() * ids.columns());
            device.toHost(ids, host);
            MemorySegment.copy(host, ValueLayout.JAVA_INT, 0, inputIds, 0, total);
        }
        int[] positions = new int[total];
        int[] lengths = new int[plan.sequences()];
        for (int b = 0; b < lengths.length; b++) {
            lengths[b] = plan.count(b);
            for (int i = 0; i < lengths[b]; i++) {
                positions[plan.tokenStart()[b] + i] = plan.starts()[b] + i;
            }
        }
        int[][][] kept = chosen.clone();
        Arrays.fill(chosen, new int[0][]);
        return new ExpertWriter.Tokens(inputIds, positions, lengths, plan.mode().name(), kept);
    }
}
