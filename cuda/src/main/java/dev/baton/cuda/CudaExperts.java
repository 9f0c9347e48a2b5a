package dev.baton.cuda;

import dev.baton.cuda.Kernels.Source;
import dev.baton.cuda.driver.Launch;
import dev.baton.model.DType;
import dev.baton.tensor.ExpertWeights;
import dev.baton.tensor.GateSpec;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.TensorException;
import dev.baton.tensor.Weight;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;

/**
 * Mixture of experts: pairs of token and choice are ordered by expert, each expert's rows go through its matrices in
 * tiles, and every token gathers its results in the order of expert ids, so that one plan gives the same bits each time.
 */
final class CudaExperts {
    /** As in experts.cu. */
    private static final int TILE_ROWS = 32;

    private static final int TILE_COLUMNS = 64;
    private static final int MOST_CHOICES = 64;

    private final Launch launch;
    private final Kernels kernels;
    private final Scratch scratch;
    private final Operands operands;
    private final ExpertProduct product;
    private final Map<ExpertWeights, Tables> tables = new IdentityHashMap<>();

    /** Every expert's matrices. */
    private record Tables(
            ExpertProduct.Matrices gate, ExpertProduct.Matrices up, ExpertProduct.Matrices down, boolean f8) {}

    CudaExperts(Launch launch, Kernels kernels, Scratch scratch, Operands operands, ExpertProduct product) {
        this.product = product;
        this.launch = launch;
        this.kernels = kernels;
        this.scratch = scratch;
        this.operands = operands;
    }

    void gate(Tensor logits, GateSpec spec, Tensor ids, Tensor weights) {
        int experts = logits.columns();
        if (ids.columns() != spec.topK() || weights.columns() != spec.topK() || ids.rows() != logits.rows()) {
            throw new TensorException(
                    TensorException.Code.SHAPE,
                    "gate: logits [T, experts], ids and weights [T, topK]; got " + logits + " " + ids + " " + weights);
        }
        if (logits.rows() == 0) {
            return;
        }
        Tensor bias = spec.correctionBias();
        long correction = bias == null ? 0 : operands.address(bias, DType.F32);
        launch.put(logits.memory().address())
                .put(logits.rowStride())
                .put(correction)
                .put(ids.memory().address())
                .put(weights.memory().address())
                .put(experts)
                .put(spec.groups())
                .put(spec.keptGroups())
                .put(spec.groupScore() == GateSpec.GroupScore.TOP_TWO_SUM ? 1 : 0)
                .put(spec.topK())
                .put(spec.scoring() == GateSpec.Scoring.SOFTMAX ? 1 : 0)
                .put(spec.renormalize() ? 1 : 0)
                .put(spec.scale())
                .run(kernels.get(Source.EXPERTS, "gate", 32), logits.rows(), 1, 1, 4 * (2 * experts + spec.groups()));
    }

    void run(Tensor x, Tensor ids, Tensor weights, ExpertWeights experts, Tensor out) {
        int topK = ids.columns();
        if (topK > MOST_CHOICES || !ids.isDense() || !weights.isDense()) {
            throw new TensorException(
                    TensorException.Code.SHAPE, "experts: at most " + MOST_CHOICES + " choices, dense; got " + ids);
        }
        if (x.rows() == 0) {
            return;
        }
        int pairs = x.rows() * topK;
        int count = experts.count();
        int inner = experts.gate().getFirst().outFeatures();
        int hidden = x.columns();
        Tables pointers = tables.computeIfAbsent(experts, e -> pointers(e, x.dtype(), product.fitsF8(x, inner)));
        boolean tensorCores = product.fits(x, inner);
        int tileRows = tensorCores ? ExpertProduct.tileRows(pairs, count, pointers.f8) : TILE_ROWS;
        long first = scratch.address("experts.first", 4L * (count + 1));
        long tiles = scratch.address("experts.tiles", 4L * (count + 1));
        long order = scratch.address("experts.order", 4L * pairs);
        long place = scratch.address("experts.place", 4L * pairs);
        long between = scratch.address(
                "experts.inner", (long) pairs * inner * x.dtype().bytes());
        long result = scratch.address(
                "experts.result", (long) pairs * hidden * x.dtype().bytes());
        launch.put(ids.memory().address())
                .put(pairs)
                .put(experts.firstExpert())
                .put(count)
                .put(tileRows)
                .put(first)
                .put(order)
                .put(place)
                .put(tiles)
                .run(kernels.get(Source.EXPERTS, "order_pairs", 1024), 1, 1, 1, 4 * count);
        int rowTiles = Math.min(pairs, pairs / tileRows + count);
        if (tensorCores) {
            ExpertProduct.Order sorted = new ExpertProduct.Order(first, order, tiles, count, topK, tileRows);
            product.run(
                    x.memory().address(),
                    x.rowStride(),
                    pointers.gate,
                    pointers.up,
                    sorted,
                    between,
                    inner,
                    hidden,
                    rowTiles);
            product.run(
                    between,
                    inner,
                    pointers.down,
                    ExpertProduct.Matrices.NONE,
                    sorted,
                    result,
                    hidden,
                    inner,
                    rowTiles);
            combine(ids, weights, place, result, out);
            return;
        }
        String types = Kernels.type(x.dtype()) + "_" + Kernels.type(x.dtype());
        launch.put(x.memory().address())
                .put(x.rowStride())
                .put(pointers.gate.addresses())
                .put(pointers.up.addresses())
                .put(first)
                .put(order)
                .put(tiles)
                .put(between)
                .put((long) inner)
                .put(count)
                .put(topK)
                .put(inner)
                .put(hidden)
                .run(kernels.get(Source.EXPERTS, "expert_up_" + types), rowTiles, ceil(inner), 1, 0);
        launch.put(between)
                .put((long) inner)
                .put(pointers.down.addresses())
                .put(pointers.down.addresses())
                .put(first)
                .put(order)
                .put(tiles)
                .put(result)
                .put((long) hidden)
                .put(count)
                .put(topK)
                .put(hidden)
                .put(inner)
                .run(kernels.get(Source.EXPERTS, "expert_down_" + types), rowTiles, ceil(hidden), 1, 0);
        combine(ids, weights, place, result, out);
    }

    /** Every token's results, weighted, in the order of expert ids. */
    private void combine(Tensor ids, Tensor weights, long place, long result, Tensor out) {
        launch.put(result)
                .put((long) out.columns())
                .put(ids.memory().address())
                .put(place)
                .put(weights.memory().address())
                .put(out.memory().address())
                .put(out.rowStride())
                .put(ids.columns())
                .put(out.columns())
                .run(kernels.get(Source.EXPERTS, "combine_" + Kernels.type(out.dtype())), out.rows(), 1, 1, 0);
    }

    private static int ceil(int columns) {
        return (columns + TILE_COLUMNS - 1) / TILE_COLUMNS;
    }

    /** @param mayBeF8 whether F8 matrices are multiplied as they are; otherwise they are converted once */
    private Tables pointers(ExpertWeights experts, DType dtype, boolean mayBeF8) {
        boolean f8 = mayBeF8
                && Stream.of(experts.gate(), experts.up(), experts.down())
                        .allMatch(all -> all.stream().allMatch(CudaExperts::isBlockScaled));
        return new Tables(
                matrices(experts.gate(), dtype, f8),
                matrices(experts.up(), dtype, f8),
                matrices(experts.down(), dtype, f8),
                f8);
    }

    private static boolean isBlockScaled(Weight weight) {
        Tensor scales = weight.blockScales();
        return weight.matrix().dtype() == DType.F8_E4M3
                && weight.matrix().isDense()
                && weight.matrix().memory().address() % 16 == 0
                && scales != null
                && scales.dtype() == DType.F32
                && scales.isDense();
    }

    private ExpertProduct.Matrices matrices(List<Weight> weights, DType dtype, boolean f8) {
        long[] addresses = new long[weights.size()];
        long[] scales = new long[weights.size()];
        for (int e = 0; e < addresses.length; e++) {
            Weight weight = weights.get(e);
            if (weight.bias() != null) {
                throw new TensorException(TensorException.Code.DTYPE, "experts with a bias are not served on CUDA");
            }
            Tensor matrix = f8 ? weight.matrix() : operands.matrix(weight, dtype);
            if (!matrix.isDense()) {
                throw new TensorException(TensorException.Code.SHAPE, "an expert's matrix must be dense: " + matrix);
            }
            addresses[e] = matrix.memory().address();
            if (f8) {
                scales[e] =
                        Objects.requireNonNull(weight.blockScales()).memory().address();
            }
        }
        return new ExpertProduct.Matrices(operands.table(addresses), f8 ? operands.table(scales) : 0);
    }
}
