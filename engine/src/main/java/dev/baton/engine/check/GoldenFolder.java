package dev.baton.engine.check;

import dev.baton.engine.EngineException;
import dev.baton.engine.arch.RopePrecision;
import dev.baton.engine.forward.DirectRun;
import dev.baton.engine.forward.GoldenCheck;
import dev.baton.engine.forward.GoldenComparison;
import dev.baton.engine.forward.GoldenRecording;
import dev.baton.engine.parallel.CommunicatorSupplier;
import dev.baton.engine.parallel.DeviceSupplier;
import dev.baton.engine.parallel.LoadOptions;
import dev.baton.engine.parallel.ModelLoader;
import dev.baton.engine.parallel.RankGroup;
import dev.baton.model.config.ModelConfig;
import dev.baton.model.safetensors.Checkpoint;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Starts a golden folder's model and compares it with each of its recordings. */
public final class GoldenFolder {
    /** What F32 arithmetic in another order stays far below. */
    public static final GoldenComparison.Tolerance F32_TOLERANCE = GoldenComparison.Tolerance.of(2e-3);

    private GoldenFolder() {}

    /**
     * One recording's comparison.
     *
     * @param recording name of the files
     * @param ropePrecision of the rope frequencies, as they were recorded
     */
    public record Line(Path folder, String recording, RopePrecision ropePrecision, GoldenComparison.Result result) {}

    /**
     * How to compare.
     *
     * @param load layout and sizes; the rope's precision is set to the recording's
     * @param run chunks and slots
     * @param together all prompts in one batch; otherwise one after the other
     * @param tolerance what passes
     */
    public record Options(
            LoadOptions load, DirectRun.Options run, boolean together, GoldenComparison.Tolerance tolerance) {
        /** Tables that hold short prompts, whole prompts together, F32 tolerance. */
        public static final Options DEFAULT = new Options(
                LoadOptions.DEFAULT
                        .with()
                        .contextTokens(512)
                        .maxRunningRequests(16)
                        .maxStepTokens(1024)
                        .maxTotalTokens(4096)
                        .build(),
                DirectRun.Options.greedy(0),
                true,
                F32_TOLERANCE);

        public Options withLoad(LoadOptions value) {
            return new Options(value, run, together, tolerance);
        }

        public Options withTolerance(GoldenComparison.Tolerance value) {
            return new Options(load, run, together, value);
        }
    }

    /**
     * Compares with every recording of the folder.
     *
     * @return one line a recording
     * @throws EngineException CONFIGURATION when the folder has no recording or the model cannot start
     */
    public static List<Line> check(Path folder, Options options, DeviceSupplier devices) {
        List<String> recordings = GoldenRecording.recordings(folder);
        if (recordings.isEmpty()) {
            throw new EngineException(
                    EngineException.Code.CONFIGURATION,
                    folder + " has no stored outputs (golden.json and golden.safetensors)");
        }
        List<Line> lines = new ArrayList<>();
        for (String recording : recordings) {
            RopePrecision precision = ropePrecision(folder, recording);
            lines.add(new Line(
                    folder,
                    recording,
                    precision,
                    check(folder, recording, precision, options, devices, ModelLoader.local(options.load()))));
        }
        return lines;
    }

    /** As {@link GoldenRecording#ropePrecision}, of one of the folder's recordings. */
    public static RopePrecision ropePrecision(Path folder, String recording) {
        try (Checkpoint weights = Checkpoint.open(folder)) {
            return GoldenRecording.read(folder, recording).ropePrecision(ModelConfig.read(folder), weights);
        }
    }

    /** Compares with one recording of the folder. */
    public static GoldenComparison.Result check(
            Path folder,
            String recording,
            RopePrecision precision,
            Options options,
            DeviceSupplier devices,
            CommunicatorSupplier communicators) {
        GoldenRecording golden = GoldenRecording.read(folder, recording);
        LoadOptions load = options.load().with().ropePrecision(precision).build();
        GoldenCheck.Collector collector = new GoldenCheck.Collector();
        try (RankGroup group = ModelLoader.load(folder, load, devices, communicators)) {
            group.setLogitsListener(collector).join();
            return GoldenCheck.compare(
                    golden,
                    new DirectRun(group, group.maxStepTokens()),
                    collector,
                    options.run(),
                    options.together(),
                    options.tolerance());
        }
    }
}
