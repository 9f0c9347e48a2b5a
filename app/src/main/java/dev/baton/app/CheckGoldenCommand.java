package dev.baton.app;

import dev.baton.app.GoldenRun.Path;
import dev.baton.app.GoldenRun.Setting;
import dev.baton.app.GoldenRun.Via;
import dev.baton.engine.EngineException;
import dev.baton.engine.arch.RopePrecision;
import dev.baton.engine.check.GoldenFolder;
import dev.baton.engine.forward.GoldenComparison;
import dev.baton.engine.forward.GoldenComparison.Tolerance;
import dev.baton.engine.forward.GoldenRecording;
import dev.baton.model.DType;
import dev.baton.model.ModelException;
import dev.baton.model.config.ModelConfig;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code baton check golden}: logits and greedy continuations against those that transformers computed. */
@Command(
        name = "golden",
        mixinStandardHelpOptions = true,
        sortOptions = false,
        description = "Compares the logits and greedy continuations of model folders with their stored ones"
                + " (golden.json, golden.safetensors). Exit status 1 when one fails.")
final class CheckGoldenCommand implements Callable<Integer> {
    @Parameters(paramLabel = "DIR", arity = "1..*", description = "model folders with stored outputs")
    List<java.nio.file.Path> folders = new ArrayList<>();

    @Option(names = "--all", description = "every setting below, one after the other")
    boolean all;

    @Option(names = "--path", paramLabel = "vector|scalar", description = "kernels (default: vector)")
    String path = "vector";

    @Option(names = "--device", paramLabel = "cpu|cuda", description = "cuda: the first GPU (default: cpu)")
    String device = "cpu";

    @Option(names = "--dtype", paramLabel = "float32|bfloat16", description = "of activations (default: float32)")
    String dtype = "float32";

    @Option(names = "--tp-size", description = "tensor-parallel ranks (default: 1)")
    int tensorParallel = 1;

    @Option(names = "--page-size", description = "tokens of a KV page (default: 1)")
    int pageTokens = 1;

    @Option(names = "--chunked-prefill-size", description = "most prompt tokens of a step, -1: whole (default: -1)")
    int chunkTokens = -1;

    @Option(
            names = "--via",
            paramLabel = "ranks|engine|http|pd",
            description = "ranks alone, without a scheduler (logits); a whole engine, a server, a prefill and decode"
                    + " pair behind a router (log probabilities) (default: ranks)")
    String via = "ranks";

    @Option(names = "--absorbed", description = "latent attention never expands keys and values (ranks only)")
    boolean absorbed;

    @Option(
            names = "--tolerance",
            description =
                    "largest difference that passes (default: 0.002; bfloat16: 0.25, with experts 0.1 on average)")
    @Nullable
    Double tolerance;

    private int passed;
    private int failed;

    @Override
    public Integer call() {
        LogLevels.apply("warning");
        List<Setting> settings = all ? Setting.all() : List.of(setting());
        for (java.nio.file.Path folder : folders) {
            try {
                checkFolder(folder, settings);
            } catch (ModelException | EngineException e) {
                System.out.println("FAIL " + folder.getFileName() + ": " + e.getMessage());
                failed++;
            }
        }
        System.out.println(passed + " passed, " + failed + " failed");
        return failed == 0 ? 0 : 1;
    }

    private void checkFolder(java.nio.file.Path folder, List<Setting> settings) {
        List<String> recordings = GoldenRecording.recordings(folder);
        if (recordings.isEmpty()) {
            System.out.println("FAIL " + folder + ": no golden.json and golden.safetensors in it");
            failed++;
            return;
        }
        ModelConfig config = ModelConfig.read(folder);
        Map<String, RopePrecision> precisions = new LinkedHashMap<>();
        recordings.forEach(name -> precisions.put(name, GoldenFolder.ropePrecision(folder, name)));
        for (Setting setting : settings) {
            for (Map.Entry<String, RopePrecision> recording : precisions.entrySet()) {
                if (check(folder, config, recording.getKey(), recording.getValue(), setting)) {
                    passed++;
                } else {
                    failed++;
                }
            }
        }
    }

    private Setting setting() {
        return new Setting(
                device.equals("cuda") ? Path.CUDA : Path.valueOf(path.toUpperCase(Locale.ROOT)),
                dtype.equals("bfloat16") ? DType.BF16 : DType.F32,
                tensorParallel,
                pageTokens,
                chunkTokens,
                Via.valueOf(via.toUpperCase(Locale.ROOT)),
                absorbed);
    }

    /** Prints one line. */
    private boolean check(
            java.nio.file.Path folder, ModelConfig config, String recording, RopePrecision precision, Setting setting) {
        Tolerance limit = tolerance != null ? Tolerance.of(tolerance) : setting.tolerance(config);
        String name = folder.getFileName() + (recording.equals(GoldenRecording.GOLDEN) ? "" : "/" + recording);
        GoldenComparison.Result result;
        try {
            result = GoldenRun.run(folder, recording, precision, setting, limit);
        } catch (RuntimeException e) {
            System.out.println("FAIL " + name + " [" + setting + "]: " + e.getMessage());
            return false;
        }
        System.out.printf(
                Locale.ROOT,
                "%s %s [%s]: %d rows of %s differ by at most %.2e (relative %.2e, mean %.2e; tolerance %s);"
                        + " %d greedy tokens equal%s%n",
                result.passed() ? "ok  " : "FAIL",
                name,
                setting,
                result.logitRows(),
                setting.via() == Via.RANKS ? "logits" : "log probabilities",
                result.maxAbsError(),
                result.maxRelError(),
                result.meanAbsError(),
                limit,
                result.tokens(),
                result.excused() == 0
                        ? ""
                        : ", " + result.excused() + " continuations part at a stored lead under the tolerance");
        result.faults().forEach(fault -> System.out.println("     " + fault));
        return result.passed();
    }
}
