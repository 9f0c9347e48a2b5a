package dev.baton.tensor;

import java.util.List;

/**
 * The experts that a rank holds: local expert e computes {@code down(silu(gate x) * (up x))}.
 *
 * @param firstExpert physical id of local expert 0
 * @param gate one weight [intermediate, hidden] an expert
 * @param up one weight [intermediate, hidden] an expert
 * @param down one weight [hidden, intermediate] an expert
 */
public record ExpertWeights(int firstExpert, List<Weight> gate, List<Weight> up, List<Weight> down) {
    public ExpertWeights {
        gate = List.copyOf(gate);
        up = List.copyOf(up);
        down = List.copyOf(down);
    }

    /** Experts on this rank. */
    public int count() {
        return gate.size();
    }
}
