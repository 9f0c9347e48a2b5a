package dev.baton.engine.forward;

import dev.baton.engine.arch.Decoder;
import dev.baton.engine.arch.DispatchOptions;
import dev.baton.engine.arch.Layout;
import dev.baton.engine.arch.RankCommunicators;
import dev.baton.engine.arch.Workspace;
import dev.baton.model.DType;
import dev.baton.model.config.ModelConfig;
import dev.baton.tensor.Device;
import dev.baton.tensor.StepExchange;
import dev.baton.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * What a rank has beside its weights: the KV cache, tables, buffers of a step. How much of it fits is planned once every
 * rank knows what its weights take.
 *
 * @param logitWorkspace as many rows as logits are computed at once
 * @param rowIndices I32 [max(maxStepTokens, maxRows)]: token rows whose logits are wanted, then the sampled ids for the
 *     other ranks
 * @param staging host memory of the same size
 * @param halves buffers of a step in two halves; null where steps are whole
 */
record RunnerMemory(
        KvCache cache,
        StepTables tables,
        StepInputBuffers inputs,
        Workspace workspace,
        Workspace logitWorkspace,
        StageStreams streams,
        Tensor rowIndices,
        MemorySegment staging,
        LateChoices choices,
        OutputStage output,
        DecodeGraphs graphs,
        @Nullable StepHalves halves) {

    /** How a rank's memory divides. */
    static MemoryPlan plan(
            ModelConfig config,
            Layout layout,
            Device device,
            RankCommunicators communicators,
            Decoder decoder,
            RunnerOptions options,
            long weightBytes) {
        int stepWorkspaces = inHalves(decoder, layout, options) ? 3 : 1;
        long buffers = stepWorkspaces * decoder.stepBuffers().bytes(rows(layout, options.maxStepTokens()))
                + StageStreams.bytes(
                        decoder.streamBuffers(), layout.stage(), communicators.stages(), options.maxStepTokens())
                + decoder.logitBuffers().bytes(rows(layout, options.logitRows()))
                + StepTables.bytes(device, options.maxRows(), options.contextTokens());
        return MemoryPlan.of(
                device.info().memoryBytes(),
                options.memoryFraction(),
                weightBytes,
                buffers,
                KvCache.bytesPerToken(config, layout, options.cacheType()));
    }

    static RunnerMemory allocate(
            ModelConfig config,
            Layout layout,
            Device device,
            RankCommunicators communicators,
            Decoder decoder,
            RunnerOptions options,
            int capacityTokens) {
        int indices = Math.max(options.maxStepTokens(), options.maxRows());
        int stepRows = rows(layout, options.maxStepTokens());
        StepTables tables = new StepTables(device, options.maxRows(), options.contextTokens(), capacityTokens);
        int choiceRows = Math.max(options.maxRows(), options.logitRows());
        StepExchange exchange = device.isAsynchronous()
                ? exchange(device, StepInputBuffers.ints(options.maxStepTokens(), options.maxRows()), choiceRows)
                : null;
        LateChoices choices = new LateChoices(device, tables, choiceRows, exchange);
        return new RunnerMemory(
                new KvCache(device, config, layout, options.cacheType(), capacityTokens, options.kvMemory()),
                tables,
                new StepInputBuffers(device, options.maxStepTokens(), options.maxRows(), exchange),
                new Workspace(device, decoder.stepBuffers(), stepRows),
                new Workspace(device, decoder.logitBuffers(), rows(layout, options.logitRows())),
                new StageStreams(
                        device,
                        decoder.streamBuffers(),
                        layout.stage(),
                        communicators.stages(),
                        options.maxStepTokens(),
                        options.maxRows(),
                        options.synchronousStages()),
                device.allocate(DType.I32, indices),
                device.hostBuffer(4L * indices),
                choices,
                new OutputStage(device, config, choices, options.logitRows()),
                new DecodeGraphs(
                        device,
                        DecodeGraphs.batchSizes(Math.min(options.maxRows(), options.logitRows())),
                        options.contextTokens()),
                inHalves(decoder, layout, options)
                        ? new StepHalves(
                                device,
                                options,
                                options.dispatch().tokenThreshold(),
                                () -> new Workspace(device, decoder.stepBuffers(), stepRows))
                        : null);
    }

    private static StepExchange exchange(Device device, int ints, int rows) {
        return new StepExchange(
                Tensor.dense(device.hostBuffer(8L * ints), DType.I32, 2, ints),
                Tensor.dense(device.hostBuffer(8L * rows), DType.I32, 2, rows),
                device.allocate(DType.I32, 1));
    }

    /** Whether steps may be computed in two halves, each with buffers of its own; a stage without experts has no need. */
    static boolean inHalves(Decoder decoder, Layout layout, RunnerOptions options) {
        return layout.experts().dispatched()
                && options.dispatch().overlap() == DispatchOptions.Overlap.TWO_BATCH
                && !decoder.experts().isEmpty();
    }

    /** Rows of buffers that hold what all attention groups bring, {@code own} each. */
    private static int rows(Layout layout, int own) {
        int ranks = layout.attention().size();
        return (own + ranks - 1) / ranks * ranks * layout.group().size();
    }
}
