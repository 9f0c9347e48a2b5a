package dev.baton.cuda;

import dev.baton.cuda.Kernels.Source;
import dev.baton.cuda.driver.Launch;
import dev.baton.model.DType;
import dev.baton.tensor.SampledRows;
import dev.baton.tensor.StepExchange;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.TensorException;

/** From logits to tokens, and the tables in which steps leave them for each other. */
final class CudaChoice {
    private static final int BLOCK = 256;

    /** Threads of a block of {@code sample}, and tokens of one of {@code penalties}; as in sample.cu. */
    private static final int SAMPLE_THREADS = 1024;

    private static final int PENALTY_RANGE = 8192;

    private final Launch launch;
    private final Kernels kernels;
    private final Scratch scratch;
    private final int multiprocessors;

    CudaChoice(Launch launch, Kernels kernels, Scratch scratch, int multiprocessors) {
        this.launch = launch;
        this.kernels = kernels;
        this.scratch = scratch;
        this.multiprocessors = multiprocessors;
    }

    void argmax(Tensor logits, Tensor out) {
        requireRows("argmax", logits, out);
        int rows = logits.rows();
        if (rows > 0) {
            int parts = Math.max(1, Math.min(logits.columns() / (8 * BLOCK), 8 * multiprocessors / rows));
            launch.put(address(logits))
                    .put(logits.rowStride())
                    .put(address(out))
                    .put(scratch.address("argmax.best", 8L * rows * parts))
                    .put(scratch.address("argmax.arrived", 4L * rows))
                    .put(logits.columns())
                    .run(kernels.get(Source.ELEMENTS, "argmax_f32"), rows, parts, 1, 0);
        }
    }

    void sample(Tensor logits, SampledRows how, Tensor out) {
        requireRows("sample", logits, out);
        int rows = logits.rows();
        if (how.parameters().rows() != rows || how.tokens().dtype() != DType.I32) {
            throw misfit("sample", "parameters [B, columns], tokens I32", logits, how.parameters(), how.tokens());
        }
        if (rows == 0) {
            return;
        }
        int ranges = (logits.columns() + PENALTY_RANGE - 1) / PENALTY_RANGE;
        launch.put(address(logits))
                .put(logits.rowStride())
                .put(address(how.parameters()))
                .put(address(how.tokens()))
                .put(how.tokens().rowStride())
                .put(logits.columns())
                .run(kernels.get(Source.SAMPLE, "penalties"), ranges, rows, 1, 0);
        launch.put(address(logits))
                .put(logits.rowStride())
                .put(address(how.parameters()))
                .put(address(out))
                .put(logits.columns())
                .run(kernels.get(Source.SAMPLE, "sample", SAMPLE_THREADS), rows, 1, 1, 0);
    }

    void beginStep(StepExchange exchange, Tensor packed, int tokens, Tensor tokenTable, Tensor slotTable) {
        int count = (int) packed.elements();
        if (count > exchange.inputs().columns()
                || count < 4L * tokens
                || tokenTable.elements() != slotTable.elements()) {
            throw misfit(
                    "beginStep", "inputs [2, n], packed [4 T to n], tables of one size", exchange.inputs(), packed);
        }
        launch.put(address(exchange.inputs()))
                .put(exchange.inputs().rowStride())
                .put(address(exchange.turn()))
                .put(scratch.address("step.arrived", 4))
                .put(address(packed))
                .put(address(tokenTable))
                .put(address(slotTable))
                .put(count)
                .put(tokens)
                .run(kernels.get(Source.STEP, "begin_step"), (count + BLOCK - 1) / BLOCK, 1, 1, 0);
    }

    void endStep(StepExchange exchange, Tensor chosen, Tensor places, int first, Tensor tokenTable) {
        int count = (int) chosen.elements();
        if (places.elements() != count || first + count > exchange.choices().columns()) {
            throw misfit("endStep", "chosen and places [S], choices [2, first + S or more]", chosen, places);
        }
        if (count > 0) {
            launch.put(address(exchange.choices().columnRange(first, count)))
                    .put(exchange.choices().rowStride())
                    .put(address(exchange.turn()))
                    .put(address(chosen))
                    .put(address(places))
                    .put(address(tokenTable))
                    .put(count)
                    .run(kernels.get(Source.STEP, "end_step"), (count + BLOCK - 1) / BLOCK, 1, 1, 0);
        }
    }

    private static void requireRows(String operator, Tensor logits, Tensor out) {
        if (out.elements() != logits.rows() || logits.dtype() != DType.F32 || out.dtype() != DType.I32) {
            throw misfit(operator, "logits F32 [T, n], out I32 [T]", logits, out);
        }
    }

    private static long address(Tensor tensor) {
        return tensor.memory().address();
    }

    private static TensorException misfit(String operator, String rule, Tensor... tensors) {
        return new TensorException(
                TensorException.Code.SHAPE, operator + ": " + rule + "; got " + java.util.Arrays.toString(tensors));
    }
}
