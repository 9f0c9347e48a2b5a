package dev.baton.engine.arch;

import dev.baton.model.DType;
import dev.baton.tensor.NormedRows;
import dev.baton.tensor.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * All layers of a model of grouped attention and dense MLPs on a single rank, with the operators that a device fuses for
 * decode steps ({@link dev.baton.tensor.Ops#fusedTokens}).
 */
final class FusedLayers {
    private record Layer(Tensor attentionNorm, GroupedAttention attention, Tensor mlpNorm, DenseMlp mlp) {}

    private final Layer[] layers;
    private final Tensor finalNorm;
    private final float epsilon;
    /** F32 [T, hidden / group] */
    private final BufferSpec squares;

    private FusedLayers(Layer[] layers, Tensor finalNorm, float epsilon, BufferSpec squares) {
        this.layers = layers;
        this.finalNorm = finalNorm;
        this.epsilon = epsilon;
        this.squares = squares;
    }

    /**
     * Null where a layer is of another kind.
     *
     * @param finalNorm F32 [hidden]
     * @param wholeModel this rank holds all of every layer: nothing has to be summed over ranks
     */
    static @Nullable FusedLayers of(
            List<DecoderLayer> all, Tensor finalNorm, float epsilon, boolean wholeModel, WorkspacePlan workspace) {
        int hidden = (int) finalNorm.elements();
        if (!wholeModel
                || workspace.activationType() != DType.BF16
                || hidden % NormedRows.GROUP != 0
                || !all.stream().allMatch(FusedLayers::isFusable)) {
            return null;
        }
        Layer[] layers = all.stream()
                .map(layer -> new Layer(
                        layer.attentionNorm(), (GroupedAttention) layer.attention(), layer.mlpNorm(), (DenseMlp)
                                layer.mlp()))
                .toArray(Layer[]::new);
        return new FusedLayers(layers, finalNorm, epsilon, workspace.floats("squares", hidden / NormedRows.GROUP));
    }

    private static boolean isFusable(DecoderLayer layer) {
        return layer.attention() instanceof GroupedAttention attention
                && attention.isFusable()
                && layer.mlp() instanceof DenseMlp mlp
                && mlp.isFusable();
    }

    /** Whether a step runs faster this way. */
    boolean serves(ForwardContext context) {
        DType cacheType = context.cache().getFirst().buffers().getFirst().dtype();
        return context.tokens() <= context.ops().fusedTokens(cacheType);
    }

    /**
     * Runs all layers over all tokens of the step.
     *
     * @param stream F32 [T, hidden], the embedded tokens
     * @param scaled activations [T, hidden]
     * @param out activations [T, hidden]: the final normed states
     */
    void forward(ForwardContext context, LayerHook hook, Tensor stream, Tensor scaled, Tensor out) {
        NormedRows rows = new NormedRows(stream, scaled, context.workspace().rows(squares, context.tokens()), epsilon);
        context.ops().startRows(rows, layers[0].attentionNorm());
        for (int i = 0; i < layers.length; i++) {
            Layer layer = layers[i];
            layer.attention().fused(context, i, rows, layer.mlpNorm());
            hook.cacheWritten(i);
            layer.mlp().fused(context, rows, i + 1 < layers.length ? layers[i + 1].attentionNorm() : finalNorm);
        }
        context.ops().finishRows(rows, out);
    }
}
