package dev.baton.app;

import dev.baton.cuda.CudaDevice;
import dev.baton.cuda.CudaOptions;
import dev.baton.engine.EngineException;
import dev.baton.engine.arch.AllToAll;
import dev.baton.engine.parallel.CommunicatorSupplier;
import dev.baton.engine.parallel.ParallelShape;
import dev.baton.model.DType;
import dev.baton.model.config.ModelConfig;
import dev.baton.protocol.flag.ServerArgs;
import dev.baton.tensor.cpu.CpuDevice;
import dev.baton.tensor.cpu.CpuKernels;
import dev.baton.tensor.cpu.CpuOptions;
import java.lang.System.Logger;
import java.time.Duration;
import java.util.Locale;

/** What the ranks run on, as {@code --device} says, and the sizes that follow from it where flags say nothing. */
final class Devices {
    private static final Logger LOG = System.getLogger(Devices.class.getName());

    private final ServerArgs args;
    private final boolean cuda;
    private final DType activations;

    private Devices(ServerArgs args, boolean cuda, DType activations) {
        this.args = args;
        this.cuda = cuda;
        this.activations = activations;
    }

    /**
     * Chooses and says why.
     *
     * @throws EngineException CONFIGURATION when {@code --device cuda} cannot be had, with the reason
     */
    static Devices of(ServerArgs args, ModelConfig config) {
        String device = args.text("device");
        String missing = device.equals("cpu") ? "" : CudaDevice.whyUnavailable();
        boolean cuda = !device.equals("cpu") && missing.isEmpty();
        if (device.equals("cuda") && !cuda) {
            throw new EngineException(
                    EngineException.Code.CONFIGURATION, "--device cuda: " + missing + " (or use --device cpu)");
        }
        LOG.log(
                Logger.Level.INFO,
                "device {0}{1}",
                cuda ? "cuda" : "cpu",
                device.equals("auto") && !cuda ? " (auto: no CUDA device: " + missing + ")" : "");
        if (cuda) {
            requireServedOnCuda(args);
        }
        return new Devices(args, cuda, activations(args.text("dtype"), cuda, config));
    }

    private static void requireServedOnCuda(ServerArgs args) {
        ParallelShape shape = ParallelFlags.shape(args);
        if (shape.allToAll() != AllToAll.NONE) {
            throw notYet("--moe-a2a-backend deepep");
        }
        if (args.on("enable-eplb") || args.textOrNull("expert-distribution-recorder-mode") != null) {
            throw notYet(args.on("enable-eplb") ? "--enable-eplb" : "--expert-distribution-recorder-mode");
        }
        int last = ordinal(args, shape.worldRanks() - 1);
        int shown = CudaDevice.count();
        if (last >= shown) {
            throw new EngineException(
                    EngineException.Code.CONFIGURATION,
                    shape.worldRanks() + " ranks (--tp-size " + shape.tensorParallel() + " x --pp-size "
                            + shape.pipelineParallel() + " x replicas " + shape.replicas() + ") need GPUs "
                            + ordinal(args, 0) + " to " + last
                            + " (--base-gpu-id, --gpu-id-step), and the driver shows "
                            + shown + ": lower a size, or see CUDA_VISIBLE_DEVICES");
        }
    }

    /** The GPU of a rank, counted over all replicas. */
    private static int ordinal(ServerArgs args, int rank) {
        return args.integer("base-gpu-id") + rank * args.integer("gpu-id-step");
    }

    private static EngineException notYet(String flag) {
        return new EngineException(
                EngineException.Code.CONFIGURATION,
                flag
                        + " is not yet served on CUDA devices by this version of Baton; leave it out, or use --device cpu");
    }

    private static DType activations(String dtype, boolean cuda, ModelConfig config) {
        return switch (dtype) {
            case "bfloat16" -> DType.BF16;
            case "float32", "float" -> DType.F32;
            case "float16", "half" -> {
                DType instead = cuda ? DType.BF16 : DType.F32;
                LOG.log(Logger.Level.WARNING, "--dtype {0}: activations are kept in {1}", dtype, instead);
                yield instead;
            }
            default -> cuda && config.dtype() != DType.F32 ? DType.BF16 : DType.F32;
        };
    }

    /** What one replica's ranks run on and meet through. */
    ReplicaRanks of(int dp, ParallelShape shape, int stageMessages, Duration deadline) {
        if (cuda) {
            return new GpuRanks(
                    rank -> CudaOptions.of(ordinal(args, dp * shape.replicaRanks() + rank), activations),
                    shape,
                    stageMessages,
                    deadline);
        }
        int ranks = ParallelFlags.shape(args).worldRanks();
        Integer told = args.integerOrNull("cpu-threads");
        int threads = told != null ? told : Math.max(1, Runtime.getRuntime().availableProcessors() / ranks);
        CpuKernels kernels = CpuKernels.valueOf(args.text("cpu-kernels").toUpperCase(Locale.ROOT));
        CpuOptions options = CpuOptions.of(threads).withKernels(kernels).withActivations(activations);
        return ReplicaRanks.of(
                (rank, size) -> CpuDevice.open(options), CommunicatorSupplier.local(shape, stageMessages, deadline));
    }

    /** Kernels are compiled by the JVM while they run, so that the first steps are slow. */
    boolean compilesWhileRunning() {
        return !cuda && args.text("cpu-kernels").equals("vector");
    }

    /** Element type of the KV cache. */
    DType cacheType() {
        return switch (args.text("kv-cache-dtype")) {
            case "bfloat16" -> DType.BF16;
            case "float32" -> DType.F32;
            default -> cuda ? activations : DType.F32;
        };
    }

    /** Requests at once: each takes a row of the tables and, on a GPU, a row of logits. */
    int runningRequests() {
        Integer running = args.integerOrNull("max-running-requests");
        return running != null ? running : cuda ? 256 : 64;
    }

    /** Prompt tokens of one step, whole pages (the dialect's defaults for little and for much memory); -1 for no limit. */
    int chunkTokens() {
        Integer chunk = args.integerOrNull("chunked-prefill-size");
        if (chunk != null) {
            return chunk;
        }
        int page = args.integer("page-size");
        return Math.max(1, (cuda ? 8192 : 2048) / page) * page;
    }

    /** Rows of logits computed at once: on a GPU all of a decode step's, so that the projection is read once. */
    int logitRows() {
        return cuda ? Math.max(64, runningRequests()) : 64;
    }

    /** Share of the device's memory for weights, buffers and KV. */
    double memoryFraction() {
        Double fraction = args.decimalOrNull("mem-fraction-static");
        return fraction != null ? fraction : cuda ? 0.88 : 0.5;
    }

    /** KV slots: 0 for what the memory leaves. A CPU shares its memory, so a few contexts must do when nothing is said. */
    int totalTokens(int contextTokens) {
        Integer total = args.integerOrNull("max-total-tokens");
        if (total != null) {
            return total;
        }
        boolean bounded = !cuda && args.decimalOrNull("mem-fraction-static") == null;
        return bounded ? (int) Math.min(Integer.MAX_VALUE, (long) contextTokens * Math.min(runningRequests(), 16)) : 0;
    }
}
