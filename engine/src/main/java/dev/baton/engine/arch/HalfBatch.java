package dev.baton.engine.arch;

import dev.baton.tensor.Tensor;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * One half of a step that is computed in two: its tensors between two operations. What one operation leaves for a later
 * one is taken exactly once, so that nothing of a layer is left over for the next.
 */
final class HalfBatch {
    private final ForwardContext context;
    private final boolean second;
    /** I32 [S], rows of this half whose logits are wanted. */
    private final Tensor wanted;

    private final Tensor chosenStream;
    private final Tensor chosenResult;
    /** F32 [T, hidden] */
    private Tensor stream;
    /** [T, hidden] */
    private Tensor result;
    /** [T, hidden] */
    private Tensor normed;

    private TokenExchange.@Nullable Slice slice;
    private Dispatcher.@Nullable Flight flight;
    private @Nullable Tensor shared;

    /**
     * @param context of the half: its inputs, and a workspace of its own
     * @param stream this half's rows of the step's residual stream
     * @param result this half's rows of the last block's result
     * @param chosenStream F32 [S, hidden]: room for the wanted rows
     * @param chosenResult [S, hidden]
     */
    HalfBatch(
            ForwardContext context,
            boolean second,
            Tensor wanted,
            Tensor stream,
            Tensor result,
            Tensor normed,
            Tensor chosenStream,
            Tensor chosenResult) {
        this.context = context;
        this.second = second;
        this.wanted = wanted;
        this.stream = stream;
        this.result = result;
        this.normed = normed;
        this.chosenStream = chosenStream;
        this.chosenResult = chosenResult;
    }

    /** The layer's normed input and its attention, whose result is not yet added to the stream. */
    void attention(DecoderLayer layer, int index, boolean first, float epsilon, LayerHook hook) {
        if (context.tokens() == 0) {
            return;
        }
        if (first) {
            context.ops().rmsNorm(stream, layer.attentionNorm(), epsilon, normed);
        } else {
            context.ops().addRmsNorm(stream, result, layer.attentionNorm(), epsilon, normed);
        }
        layer.attention().forward(context, index, normed, result);
        if (second) {
            // The first half has written its rows of this layer before.
            hook.cacheWritten(index);
        }
    }

    /** Goes on with the wanted rows alone. */
    void keepWanted(BufferSpec normedBuffer) {
        stream = Decoder.gather(context.ops(), stream, wanted, chosenStream);
        result = Decoder.gather(context.ops(), result, wanted, chosenResult);
        normed = context.workspace().rows(normedBuffer, chosenStream.rows());
    }

    void normBeforeMlp(DecoderLayer layer, float epsilon) {
        if (stream.size(0) > 0) {
            context.ops().addRmsNorm(stream, result, layer.mlpNorm(), epsilon, normed);
        }
    }

    /** A dense MLP, which does not travel. */
    void dense(TokenExchange exchange, MlpBlock mlp) {
        exchange.run(context, mlp, context.shape().ofTokens(1), normed, result);
    }

    void dispatch(TokenExchange exchange, MoeMlp mlp) {
        requireNone(slice, flight, shared);
        TokenExchange.Slice mine = exchange.part(context, normed, result);
        slice = mine;
        flight = mlp.dispatch(context, mine.x());
    }

    void computeExperts(MoeMlp mlp) {
        mlp.compute(context, Objects.requireNonNull(flight));
    }

    void computeShared(MoeMlp mlp) {
        shared = mlp.ofShared(context, Objects.requireNonNull(slice).x());
    }

    /** Waits for the experts' results and ends the layer. */
    void combine(TokenExchange exchange) {
        TokenExchange.Slice mine = Objects.requireNonNull(slice);
        Objects.requireNonNull(flight).combineB(mine.out());
        MoeMlp.add(context, mine.out(), shared);
        exchange.whole(context, mine, result);
        slice = null;
        flight = null;
        shared = null;
    }

    private static void requireNone(@Nullable Object... left) {
        for (Object one : left) {
            if (one != null) {
                throw new IllegalStateException("a layer has left " + one + " behind");
            }
        }
    }
}
