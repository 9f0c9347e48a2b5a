package dev.baton.app;

import dev.baton.lab.experiment.Experiment;
import dev.baton.lab.experiment.ExperimentReader;
import dev.baton.lab.experiment.ExperimentRunner;
import dev.baton.lab.experiment.RunFolder;
import dev.baton.lab.report.HtmlReport;
import dev.baton.lab.report.Plots;
import dev.baton.lab.report.Summary;
import dev.baton.lab.report.SummaryTable;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code baton lab run}: runs a declared experiment. */
@Command(name = "lab", description = "Runs experiments.", subcommands = LabCommand.Run.class)
final class LabCommand {
    @Command(name = "run", description = "Runs an experiment file and reports what it found.")
    static final class Run implements java.util.concurrent.Callable<Integer> {
        @Parameters(paramLabel = "FILE", description = "the experiment (YAML)")
        Path file;

        @Option(names = "--out", paramLabel = "DIR", description = "folder of the run (default: runs/NAME-TIME)")
        @Nullable
        Path out;

        @Option(names = "--quick", description = "a small version: fewer repeats, prompts and questions")
        boolean quick;

        @Override
        public Integer call() throws InterruptedException {
            Path root = ProjectRoot.find();
            Experiment experiment = new ExperimentReader(root).read(file);
            if (quick) {
                experiment = experiment.quickly();
            }
            RunFolder folder = RunFolder.create(out == null ? Path.of("runs") : out, experiment.name(), out != null);
            System.err.println("experiment " + experiment.name() + " in " + folder.path());
            ExperimentRunner runner = new ExperimentRunner(experiment, root, folder, System.err);
            Thread onInterrupt = new Thread(() -> report(runner.summary(), folder), "baton-keep-results");
            Runtime.getRuntime().addShutdownHook(onInterrupt);
            try {
                runner.run();
            } finally {
                if (isStillRunning(onInterrupt)) {
                    report(runner.summary(), folder);
                }
            }
            boolean lost = runner.summary().cells().stream().anyMatch(c -> c.failed() > 0);
            return lost ? 1 : 0;
        }

        /** Takes the hook away; false when Ctrl-C has come, and the hook reports. */
        private static boolean isStillRunning(Thread hook) {
            try {
                return Runtime.getRuntime().removeShutdownHook(hook);
            } catch (IllegalStateException e) {
                return false;
            }
        }

        private static void report(Summary summary, RunFolder folder) {
            if (summary.cells().isEmpty()) {
                return;
            }
            System.out.println();
            System.out.print(SummaryTable.render(summary));
            List<Path> plots = Plots.write(summary, folder.path());
            Map<String, String> files = new LinkedHashMap<>();
            for (String name : List.of("experiment.resolved.yaml", "environment.json", "commands.log")) {
                files.put(name, text(folder.path().resolve(name)));
            }
            System.out.println("\nreport: " + HtmlReport.write(summary, plots, files, folder.path()));
        }

        private static String text(Path file) {
            try {
                return Files.readString(file);
            } catch (IOException e) {
                return "(" + e.getMessage() + ")";
            }
        }
    }
}
