package dev.baton.engine.overlap;

import java.util.List;

/**
 * What a layer does for one half of a batch, as data: operations in their order, cut into stages. Between two stages the
 * other half has its turn; so what a stage begins (a dispatch) goes on while the other half computes.
 *
 * @param <S> the half's state
 * @param stages of the layer
 * @param lead stages by which the first half is ahead of the second
 */
public record LayerStages<S>(List<List<Operation<S>>> stages, int lead) {
    /** One operation of a half. */
    @FunctionalInterface
    public interface Operation<S> {
        void run(S half);
    }

    public LayerStages {
        stages = stages.stream().map(List::copyOf).toList();
    }

    /**
     * Runs several layers for two halves: the first is {@code lead} stages ahead, then they take turns, and whatever the
     * first does in a stage is done before the second does the same.
     *
     * @param layers the stages of each layer; all of them have the same lead
     */
    public static <S> void run(List<LayerStages<S>> layers, S first, S second) {
        List<List<Operation<S>>> all =
                layers.stream().flatMap(layer -> layer.stages.stream()).toList();
        int lead = layers.isEmpty() ? 0 : layers.getFirst().lead;
        for (int i = 0; i < all.size() + lead; i++) {
            if (i < all.size()) {
                all.get(i).forEach(operation -> operation.run(first));
            }
            if (i >= lead) {
                all.get(i - lead).forEach(operation -> operation.run(second));
            }
        }
    }
}
