package dev.baton.lab.experiment;

import dev.baton.lab.LabException;
import dev.baton.lab.evaluate.Evaluation;
import dev.baton.lab.experiment.Experiment.Cell;
import dev.baton.lab.launch.Deployment;
import dev.baton.lab.report.Expectation;
import dev.baton.lab.report.Summaries;
import dev.baton.lab.report.Summary;
import java.io.PrintStream;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.SerializationFeature;
import tools.jackson.databind.json.JsonMapper;

/**
 * Runs every cell of an experiment as often as it says and keeps what was measured, also when it is stopped half way:
 * the summary is written after each repeat.
 */
public final class ExperimentRunner {
    private static final JsonMapper JSON = JsonMapper.builder()
            .enable(SerializationFeature.INDENT_OUTPUT)
            .propertyNamingStrategy(tools.jackson.databind.PropertyNamingStrategies.SNAKE_CASE)
            .build();

    private final Experiment experiment;
    private final Path root;
    private final RunFolder folder;
    private final PrintStream console;
    private final @Nullable ExpertSteps experts;
    private final Map<String, List<CellRun.Found>> found = new LinkedHashMap<>();
    private final List<String> notes = new ArrayList<>();
    private final long startNanos = System.nanoTime();
    private final String startedAt = Instant.now().toString();

    /**
     * @param root the project, whose {@code baton} the servers are
     * @param console progress goes here
     */
    public ExperimentRunner(Experiment experiment, Path root, RunFolder folder, PrintStream console) {
        this.experiment = experiment;
        this.root = root;
        this.folder = folder;
        this.console = console;
        this.experts = experiment.experts() == null || experiment.saturation() == null
                ? null
                : new ExpertSteps(experiment.experts(), experiment.saturation().stage(), folder.experts());
        experiment.cells().forEach(c -> found.put(c.name(), new ArrayList<>()));
    }

    /**
     * Runs it.
     *
     * @throws LabException of the first server that does not start; what was measured before is in the folder
     */
    public Summary run() throws InterruptedException {
        folder.write("experiment.resolved.yaml", ResolvedExperiment.yaml(experiment));
        folder.write("environment.json", JSON.writeValueAsString(Environment.describe(Deployment.pinsCores())));
        int total = experiment.repeats() * experiment.cells().size();
        int done = 0;
        for (int repeat = 1; repeat <= experiment.repeats(); repeat++) {
            for (Cell cell : order(repeat)) {
                done++;
                String head = String.format(Locale.ROOT, "[%d/%d] %s, repeat %d: ", done, total, cell.name(), repeat);
                CellRun run = new CellRun(
                        experiment, cell, repeat, folder, experts, what -> console.println(elapsed() + head + what));
                CellRun.Found one = run.run(root);
                found.get(cell.name()).add(one);
                notes.addAll(one.full().notes());
                console.printf(
                        Locale.ROOT,
                        "%s%s%.1f output tok/s, TTFT %.0f ms, TPOT %.1f ms, %d lost%n",
                        elapsed(),
                        head,
                        one.result().metrics().outputThroughput(),
                        one.result().metrics().ttftMillis().mean(),
                        one.result().metrics().tpotMillis().mean(),
                        one.result().metrics().failed());
                write(summary());
            }
        }
        return summary();
    }

    private List<Cell> order(int repeat) {
        return experiment.order() == Experiment.Order.ALTERNATE && repeat % 2 == 0
                ? experiment.cells().reversed()
                : experiment.cells();
    }

    private String elapsed() {
        long seconds = (System.nanoTime() - startNanos) / 1_000_000_000;
        return String.format(Locale.ROOT, "%02d:%02d ", seconds / 60, seconds % 60);
    }

    private void write(Summary summary) {
        folder.write("summary.json", JSON.writeValueAsString(summary));
    }

    /** What is known so far. */
    public Summary summary() {
        List<Summary.Cell> cells = new ArrayList<>();
        for (Cell cell : experiment.cells()) {
            List<CellRun.Found> runs = found.get(cell.name());
            if (!runs.isEmpty()) {
                List<Evaluation.Outcome> answers = new ArrayList<>();
                runs.forEach(r -> answers.addAll(
                        r.answers() == null ? List.of() : r.answers().outcomes()));
                List<Summary.RankSteps> ranks =
                        runs.stream().flatMap(r -> r.full().ranks().stream()).toList();
                List<Summary.ExpertLoad> loads =
                        runs.stream().flatMap(r -> r.full().experts().stream()).toList();
                cells.add(Summaries.cell(
                        cell.name(),
                        runs.stream().map(r -> r.result().metrics()).toList(),
                        new Evaluation.Report(answers),
                        ranks,
                        loads));
            }
        }
        return new Summary(
                experiment.name(),
                experiment.description(),
                startedAt,
                (System.nanoTime() - startNanos) / 1e9,
                experiment.baseline(),
                cells,
                Summaries.compare(experiment.baseline(), cells),
                withRehearsals(),
                Expectation.judge(experiment.expectations(), experiment.baseline(), cells));
    }

    private List<String> withRehearsals() {
        List<String> all = new ArrayList<>();
        Map<String, List<String>> cellsOf = new LinkedHashMap<>();
        experiment
                .cells()
                .forEach(cell -> cellsOf.computeIfAbsent(experiment.rehearsal(cell), r -> new ArrayList<>())
                        .add(cell.name()));
        cellsOf.forEach((rehearsal, cells) -> {
            if (!rehearsal.isEmpty()) {
                String where = cells.size() == experiment.cells().size() ? "all cells" : String.join(", ", cells);
                all.add("REHEARSAL: in " + where + " times of " + rehearsal
                        + " are modelled, they are not this machine's");
            }
        });
        all.addAll(notes);
        return List.copyOf(all);
    }
}
