package dev.baton.app;

import dev.baton.cuda.CudaOptions;
import dev.baton.engine.arch.RopePrecision;
import dev.baton.engine.check.EngineAnswerer;
import dev.baton.engine.check.GoldenAnswers;
import dev.baton.engine.check.GoldenFolder;
import dev.baton.engine.forward.DirectRun;
import dev.baton.engine.forward.GoldenComparison;
import dev.baton.engine.forward.GoldenComparison.Tolerance;
import dev.baton.engine.forward.GoldenRecording;
import dev.baton.engine.parallel.LoadOptions;
import dev.baton.engine.parallel.ModelLoader;
import dev.baton.model.DType;
import dev.baton.model.config.ModelConfig;
import dev.baton.protocol.flag.ServerArgs;
import dev.baton.tensor.cpu.CpuDevice;
import dev.baton.tensor.cpu.CpuKernels;
import dev.baton.tensor.cpu.CpuOptions;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Runs one model folder in one setting and compares it with one of its recordings. */
final class GoldenRun {
    /** BF16 has 8 significant bits; the stored logits are of magnitude 4 and went through 2 or 3 layers. */
    private static final Tolerance BF16_TOLERANCE = Tolerance.of(0.25);
    /**
     * A near tie at a gate turns to another expert when it is rounded, which moves a whole row and those that attend to
     * it: no bound holds for a single logit.
     */
    private static final Tolerance BF16_EXPERTS_TOLERANCE = new Tolerance(Double.POSITIVE_INFINITY, 0.1, 0.5);

    private static final int CONTEXT_TOKENS = 256;

    private GoldenRun() {}

    /** Which kernels: the CPU's, or those of the first GPU. */
    enum Path {
        VECTOR,
        SCALAR,
        CUDA
    }

    /** Through what. */
    enum Via {
        /** The ranks alone, a fixed batch. */
        RANKS,
        /** Scheduler, prefix cache and pages. */
        ENGINE,
        /** A server on a socket. */
        HTTP,
        /** Prefill server, decode server and router on sockets. */
        PD
    }

    /**
     * One way of running.
     *
     * @param activations F32 or BF16
     * @param chunkTokens -1: prompts whole
     * @param absorbed latent attention in its absorbed form only
     */
    record Setting(
            Path path,
            DType activations,
            int tensorParallel,
            int pageTokens,
            int chunkTokens,
            Via via,
            boolean absorbed) {
        private static final int CHUNK = 16;

        /** Every value of every dimension, one at a time and the ones that meet in a server together. */
        static List<Setting> all() {
            List<Setting> all = new ArrayList<>();
            for (Path path : List.of(Path.VECTOR, Path.SCALAR)) {
                for (DType activations : new DType[] {DType.F32, DType.BF16}) {
                    for (int ranks : new int[] {1, 2}) {
                        all.add(new Setting(path, activations, ranks, 1, -1, Via.RANKS, false));
                    }
                }
            }
            all.add(new Setting(Path.VECTOR, DType.F32, 1, 1, CHUNK, Via.RANKS, false));
            all.add(new Setting(Path.VECTOR, DType.F32, 1, 1, -1, Via.RANKS, true));
            for (int page : new int[] {1, 16}) {
                for (int chunk : new int[] {-1, CHUNK}) {
                    for (int ranks : new int[] {1, 2}) {
                        all.add(new Setting(Path.VECTOR, DType.F32, ranks, page, chunk, Via.ENGINE, false));
                    }
                }
            }
            for (Via via : new Via[] {Via.HTTP, Via.PD}) {
                all.add(new Setting(Path.VECTOR, DType.F32, 1, 16, CHUNK, via, false));
                all.add(new Setting(Path.VECTOR, DType.F32, 2, 1, -1, via, false));
                all.add(new Setting(Path.VECTOR, DType.BF16, 1, 1, -1, via, false));
            }
            return all;
        }

        Tolerance tolerance(ModelConfig config) {
            if (activations != DType.BF16) {
                return GoldenFolder.F32_TOLERANCE;
            }
            return config.moe() == null ? BF16_TOLERANCE : BF16_EXPERTS_TOLERANCE;
        }

        /** The launch flags of this setting. */
        List<String> flags(java.nio.file.Path folder) {
            return List.of(
                    "--model-path=" + folder,
                    path == Path.CUDA ? "--device=cuda" : "--device=cpu",
                    "--cpu-kernels=" + (path == Path.SCALAR ? "scalar" : "vector"),
                    "--dtype=" + (activations == DType.BF16 ? "bfloat16" : "float32"),
                    "--tp-size=" + tensorParallel,
                    "--page-size=" + pageTokens,
                    "--chunked-prefill-size=" + chunkTokens,
                    "--context-length=" + CONTEXT_TOKENS,
                    "--max-running-requests=8",
                    "--max-total-tokens=2048",
                    "--cpu-threads=1",
                    "--skip-tokenizer-init");
        }

        @Override
        public String toString() {
            return path.name().toLowerCase(Locale.ROOT) + ", " + (activations == DType.BF16 ? "bf16" : "f32") + ", tp "
                    + tensorParallel + (via == Via.RANKS ? "" : ", page " + pageTokens)
                    + (chunkTokens < 0 ? ", whole prompts" : ", chunks of " + chunkTokens)
                    + (absorbed ? ", absorbed" : "") + ", " + via.name().toLowerCase(Locale.ROOT);
        }
    }

    /** @throws RuntimeException when the model cannot be started in this setting */
    static GoldenComparison.Result run(
            java.nio.file.Path folder,
            String recording,
            RopePrecision precision,
            Setting setting,
            Tolerance tolerance) {
        GoldenRecording golden = GoldenRecording.read(folder, recording);
        return switch (setting.via()) {
            case RANKS -> onRanks(folder, recording, precision, setting, tolerance);
            case ENGINE -> {
                try (EngineAssembly assembly = EngineAssembly.start(
                        ServerArgs.parse(setting.flags(folder)), EngineAssembly.RoleWiring.NONE, precision)) {
                    yield GoldenAnswers.compare(golden, new EngineAnswerer(assembly.engine()), tolerance);
                }
            }
            case HTTP -> {
                try (GoldenServers servers = GoldenServers.single(setting.flags(folder), precision)) {
                    yield GoldenAnswers.compare(golden, servers, tolerance);
                }
            }
            case PD -> {
                try (GoldenServers servers = GoldenServers.pair(setting.flags(folder), precision)) {
                    yield GoldenAnswers.compare(golden, servers, tolerance);
                }
            }
        };
    }

    private static GoldenComparison.Result onRanks(
            java.nio.file.Path folder,
            String recording,
            RopePrecision precision,
            Setting setting,
            Tolerance tolerance) {
        if (setting.pageTokens() != 1) {
            throw new IllegalArgumentException("--page-size is the scheduler's: add --via engine");
        }
        LoadOptions load = LoadOptions.DEFAULT
                .with()
                .tensorParallel(setting.tensorParallel())
                .contextTokens(CONTEXT_TOKENS)
                .maxRunningRequests(8)
                .maxStepTokens(512)
                .maxTotalTokens(2048)
                .alwaysAbsorbed(setting.absorbed())
                .cacheType(setting.path() == Path.CUDA ? setting.activations() : DType.F32)
                .build();
        DirectRun.Options run = DirectRun.Options.greedy(0)
                .withSlotSeed(7)
                .withChunkTokens(setting.chunkTokens() < 0 ? Integer.MAX_VALUE : setting.chunkTokens());
        ReplicaRanks ranks = ranks(setting, load);
        return GoldenFolder.check(
                folder,
                recording,
                precision,
                new GoldenFolder.Options(load, run, true, tolerance),
                ranks.devices(),
                ranks.communicators());
    }

    private static ReplicaRanks ranks(Setting setting, LoadOptions load) {
        if (setting.path() == Path.CUDA) {
            return new GpuRanks(
                    rank -> CudaOptions.of(rank, setting.activations()),
                    load.shape(),
                    load.pipeline().messages(),
                    load.collectiveDeadline());
        }
        CpuKernels kernels = setting.path() == Path.SCALAR ? CpuKernels.SCALAR : CpuKernels.VECTOR;
        CpuOptions options = CpuOptions.of(1).withKernels(kernels).withActivations(setting.activations());
        return ReplicaRanks.of((rank, size) -> CpuDevice.open(options), ModelLoader.local(load));
    }
}
