package dev.baton.tensor.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.model.DType;
import dev.baton.tensor.AttentionBatch;
import dev.baton.tensor.ExpertWeights;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.Weight;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A token's result has the same bits whatever else is in the step, and however a prompt is cut into chunks. */
class BatchInvarianceTest {
    private final Arena arena = Arena.ofShared();
    private final Samples samples = new Samples(arena, 7);
    private final VectorOps ops = new VectorOps(new CpuWorkers(2, -1), 0);

    @AfterEach
    void free() {
        ops.close();
        arena.close();
    }

    @ParameterizedTest
    @EnumSource(names = {"F32", "BF16", "F16"})
    void linearOfOneRowAndOfMany(DType dtype) {
        for (int[] size : new int[][] {{896, 40}, {2100, 19}, {75, 24}}) {
            Weight weight = new Weight(
                    samples.floats(dtype, size[1], size[0], size[0]), null, samples.vector(DType.F32, size[1]));
            Tensor x = samples.floats(DType.F32, 301, size[0], size[0]);
            Tensor all = samples.floats(301, size[1]);
            ops.linear(x, weight, all);
            for (int[] range : new int[][] {{0, 1}, {299, 1}, {3, 2}, {10, 7}, {17, 33}, {50, 120}}) {
                Tensor some = samples.floats(range[1], size[1]);
                ops.linear(x.rowRange(range[0], range[1]), weight, some);
                assertThat(Samples.bits(some)).isEqualTo(Samples.bits(all.rowRange(range[0], range[1])));
            }
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"F32", "BF16"})
    void attentionOfAPromptInChunks(DType dtype) {
        int context = 150;
        Tensor keys = samples.floats(dtype, 200, 2 * 64, 128);
        Tensor values = samples.floats(dtype, 200, 2 * 64, 128);
        AttentionBatch whole = samples.batch(new int[] {context}, new int[] {context}, 200);
        Tensor q = samples.floats(context, 14 * 64);
        Tensor all = samples.floats(context, 14 * 64);
        ops.attention(q, keys, values, whole, 14, 2, 64, 64, 0.125f, all);
        for (int chunk : new int[] {1, 5, 64, 77}) {
            for (int from = 0; from < context; from += chunk) {
                int count = Math.min(chunk, context - from);
                AttentionBatch part = new AttentionBatch(
                        1,
                        samples.ints(0, count),
                        samples.ints(from + count),
                        whole.rows(),
                        whole.slotTable(),
                        count,
                        from + count);
                Tensor some = samples.floats(count, 14 * 64);
                ops.attention(q.rowRange(from, count), keys, values, part, 14, 2, 64, 64, 0.125f, some);
                assertThat(Samples.bits(some)).isEqualTo(Samples.bits(all.rowRange(from, count)));
            }
        }
    }

    @Test
    void latentAttentionOfOneSequenceAndOfMany() {
        Tensor cache = samples.floats(DType.BF16, 300, 80, 80);
        int[] contexts = {100, 64, 65, 1, 200};
        AttentionBatch together = samples.batch(new int[] {1, 1, 1, 1, 1}, contexts, 300);
        Tensor q = samples.floats(5, 8 * 80);
        Tensor all = samples.floats(5, 8 * 64);
        ops.latentAttention(q, cache, together, 8, 64, 16, 0.1f, all);
        for (int b = 0; b < 5; b++) {
            AttentionBatch alone = new AttentionBatch(
                    1,
                    samples.ints(0, 1),
                    samples.ints(contexts[b]),
                    together.rows().rowRange(b, 1),
                    together.slotTable(),
                    1,
                    contexts[b]);
            Tensor one = samples.floats(1, 8 * 64);
            ops.latentAttention(q.rowRange(b, 1), cache, alone, 8, 64, 16, 0.1f, one);
            assertThat(Samples.bits(one)).isEqualTo(Samples.bits(all.rowRange(b, 1)));
        }
    }

    @Test
    void expertsOfOneTokenAndOfMany() {
        List<Weight> gate = new ArrayList<>();
        List<Weight> up = new ArrayList<>();
        List<Weight> down = new ArrayList<>();
        for (int e = 0; e < 4; e++) {
            gate.add(Weight.of(samples.floats(DType.BF16, 72, 128, 128)));
            up.add(Weight.of(samples.floats(DType.BF16, 72, 128, 128)));
            down.add(Weight.of(samples.floats(DType.BF16, 128, 72, 72)));
        }
        ExpertWeights experts = new ExpertWeights(0, gate, up, down);
        Tensor x = samples.floats(21, 128);
        Tensor ids = samples.intMatrix(21, 2);
        for (int t = 0; t < 21; t++) {
            int[] chosen = samples.distinct(2, 4);
            Elements.setInt(ids, t, 0, chosen[0]);
            Elements.setInt(ids, t, 1, chosen[1]);
        }
        Tensor weights = samples.floats(21, 2);
        Tensor all = samples.floats(21, 128);
        ops.experts(x, ids, weights, experts, all);
        for (int t = 0; t < 21; t++) {
            Tensor one = samples.floats(1, 128);
            ops.experts(x.rowRange(t, 1), ids.rowRange(t, 1), weights.rowRange(t, 1), experts, one);
            assertThat(Samples.bits(one)).isEqualTo(Samples.bits(all.rowRange(t, 1)));
        }
    }
}
