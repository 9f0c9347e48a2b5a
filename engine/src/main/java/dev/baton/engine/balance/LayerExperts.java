package dev.baton.engine.balance;

import dev.baton.engine.arch.LocalExperts;
import dev.baton.tensor.ExpertWeights;

/**
 * One rank's side of one layer's experts: what its slots hold and where all experts lie. The rank's thread only; both
 * change between steps.
 */
public final class LayerExperts {
    private final LocalExperts local;
    private LayerLocation location;
    private long calls;

    LayerExperts(LocalExperts local, LayerLocation location) {
        this.local = local;
        this.location = location;
    }

    /** Where the layer's experts lie now. */
    public LayerLocation location() {
        return location;
    }

    /** The layer's number. */
    public int layer() {
        return local.layer();
    }

    /** What this rank's slots hold; local expert 0 is the rank's first slot. */
    public ExpertWeights weights() {
        return local.weights();
    }

    void replace(int slot, SlotMemory.Slot holding) {
        local.replace(slot, holding.gate(), holding.up(), holding.down());
    }

    void moved(LayerLocation to) {
        this.location = to;
    }

    /** A number for the random choices of this pass, the same on every rank. */
    long nonce() {
        return mix(calls, layer());
    }

    void passed() {
        calls++;
    }

    /** The finaliser of SplitMix64 (Steele, Lea, Flood 2014) over two numbers. */
    static long mix(long a, long b) {
        long z = a * 0x9E3779B97F4A7C15L + b;
        z = (z ^ z >>> 30) * 0xBF58476D1CE4E5B9L;
        z = (z ^ z >>> 27) * 0x94D049BB133111EBL;
        return z ^ z >>> 31;
    }
}
