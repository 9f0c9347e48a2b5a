package dev.baton.lab.experiment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.lab.LabException;
import dev.baton.lab.report.Expectation;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ExperimentReaderTest {
    private static final String GOOD = """
            name: trial
            model: m
            repeats: 2
            workload:
              dataset_name: random-ids
              num_prompts: 10
            saturation:
              running_per_rank: 4
            cells:
              - name: one
                servers:
                  - {role: aggregated, cores: 2}
              - name: two
                servers:
                  - {role: prefill, cores: 1, flags: {page-size: 4}}
                  - {role: decode, cores: 1}
                  - {role: router}
            """;

    @TempDir
    Path root;

    @BeforeEach
    void model() throws IOException {
        Files.createDirectory(root.resolve("m"));
    }

    @Test
    void readsWhatIsThereAndDefaultsTheRest() {
        Experiment experiment = new ExperimentReader(root).parse("trial.yaml", GOOD);
        assertThat(experiment.cells()).extracting(Experiment.Cell::name).containsExactly("one", "two");
        assertThat(experiment.cells()).extracting(Experiment.Cell::cores).containsExactly(2, 2);
        assertThat(experiment.baseline()).isEqualTo("one");
        assertThat(experiment.order()).isEqualTo(Experiment.Order.ALTERNATE);
        assertThat(experiment.saturation().steps()).isEqualTo(5);
        assertThat(experiment.workload().numPrompts()).isEqualTo(10);
        assertThat(experiment.cells().get(1).servers().getFirst().flags()).containsEntry("page-size", 4);
        assertThat(experiment.quickly().workload().numPrompts()).isEqualTo(8);
    }

    private static final String EXPECTS = """
            expect:
              - {metric: output_throughput, cell: two, at_least: 1.2, holds: "good", fails: "bad"}
            """;

    @Test
    void expectationsNameAFigureACellAndABound() {
        assertThat(new ExperimentReader(root)
                        .parse("trial.yaml", GOOD + EXPECTS)
                        .expectations())
                .containsExactly(new Expectation(
                        "output_throughput",
                        "two",
                        new Expectation.Bounds(1.2, null),
                        Expectation.Bounds.NONE,
                        "good",
                        "bad"));
        fails(GOOD + EXPECTS.replace("output_throughput", "speed"), "no such figure: 'speed'");
        fails(GOOD + EXPECTS.replace("cell: two", "cell: three"), "no cell is named 'three'");
        fails(GOOD + EXPECTS.replace("at_least: 1.2, ", ""), "at_least or at_most");
        assertThat(new ExperimentReader(root)
                        .parse("trial.yaml", GOOD + EXPECTS.replace("at_least", "value_at_least"))
                        .expectations()
                        .getFirst()
                        .value())
                .isEqualTo(new Expectation.Bounds(1.2, null));
    }

    @Test
    void serversOfARoleShareFlagsAndSayTheirOwnAfterwards() {
        Experiment experiment = new ExperimentReader(root)
                .parse("trial.yaml", GOOD + "role_flags: {prefill: {page-size: 8, tp-size: 2}, router: {port: 1}}\n");
        assertThat(experiment.cells().get(1).servers())
                .extracting(Experiment.Server::flags)
                .containsExactly(Map.of("page-size", 4, "tp-size", 2), Map.of(), Map.of("port", 1));
        fails(
                GOOD + "role_flags: {prefil: {page-size: 8}}\n",
                "unknown key 'role_flags.prefil'; did you mean 'prefill'?");
    }

    @Test
    void prefillIsFilledByWhatWaits() {
        String prefill = GOOD.replace("running_per_rank: 4", "stage: prefill\n  waiting_per_rank: 5");
        Experiment.Saturation saturation =
                new ExperimentReader(root).parse("trial.yaml", prefill).saturation();
        assertThat(saturation.stage()).isEqualTo(Experiment.Stage.PREFILL);
        assertThat(saturation.perRank()).isEqualTo(5);
        assertThat(saturation.requestsPerRank()).isEqualTo(15);
        fails(prefill.replace("waiting_", "running_"), "unknown key 'saturation.running_per_rank'; did you mean");
        fails(
                prefill.replace("stage: prefill", "stage: extend"),
                "saturation.stage must be one of prefill, decode, not 'extend'");
    }

    @Test
    void aCellIsPlacedByWhatAnEarlierOneRecorded() {
        String counted =
                GOOD.replace("  - name: two\n", "  - name: two\n    experts_from: one\n") + "experts: {passes: 7}\n";
        Experiment experiment = new ExperimentReader(root).parse("trial.yaml", counted);
        assertThat(experiment.experts()).isEqualTo(new Experiment.Experts(7));
        assertThat(experiment.cells()).extracting(Experiment.Cell::expertsFrom).containsExactly(null, "one");
        fails(counted.replace("experts: {passes: 7}\n", ""), "no cell counts experts");
        fails(counted.replace("experts_from: one", "experts_from: two"), "'two' is no cell before this one");
        fails(counted.replace("saturation:\n  running_per_rank: 4\n", ""), "counted while the batch is full");
        fails(counted.replace("passes", "steps"), "unknown key 'experts.steps'");
    }

    @Test
    void aRehearsalIsKnownByItsCell() {
        String rehearsed = GOOD.replace("{page-size: 4}", "{rehearse: 'link=1ms,1GB/s'}");
        Experiment experiment = new ExperimentReader(root).parse("trial.yaml", rehearsed);
        assertThat(experiment.rehearsal(experiment.cells().get(0))).isEmpty();
        assertThat(experiment.rehearsal(experiment.cells().get(1))).isEqualTo("[link=1ms,1GB/s]");
    }

    @Test
    void whatIsWrittenOutReadsBackTheSame() {
        Experiment experiment = new ExperimentReader(root)
                .parse(
                        "trial.yaml",
                        GOOD.replace("  - name: two\n", "  - name: two\n    experts_from: one\n") + EXPECTS
                                + "experts: {passes: 7}\n");
        String resolved = ResolvedExperiment.yaml(experiment);
        assertThat(ResolvedExperiment.yaml(new ExperimentReader(root).parse("resolved.yaml", resolved)))
                .isEqualTo(resolved);
    }

    @Test
    void theShippedExperimentsAreSound() throws IOException {
        Path project = Path.of(System.getProperty("baton.root"));
        try (var files = Files.list(project.resolve("experiments"))) {
            assertThat(files.filter(f -> f.toString().endsWith(".yaml")).toList())
                    .isNotEmpty()
                    .allSatisfy(file -> {
                        Experiment experiment = new ExperimentReader(project).read(file);
                        assertThat(experiment.repeats()).isGreaterThanOrEqualTo(2);
                    });
        }
    }

    @Test
    void faultsNameFileLineKeyAndRemedy() {
        fails(GOOD.replace("repeats:", "repeates:"), "trial.yaml:3: unknown key 'repeates'; did you mean 'repeats'?");
        fails(
                GOOD.replace("repeats: 2", "repeats: none"),
                "trial.yaml:3: repeats must be a whole number of at least 1, not 'none'");
        fails(
                GOOD.replace("role: router", "role: rooter"),
                "trial.yaml:17: cells[1].servers[2].role must be one of aggregated, prefill, decode, router, not 'rooter'");
        fails(
                GOOD.replace("num_prompts", "num_promts"),
                "workload: unknown key 'num_promts'; did you mean 'num_prompts'?");
        fails(GOOD.replace("model: m", "model: absent"), "trial.yaml:2: model: no such directory");
        fails(GOOD.replace("name: two", "name: one"), "two cells are named 'one'");
        fails(GOOD.replace("decode, cores: 1", "decode, cores: 2"), "different numbers of cores (one 2, two 3)");
        fails(GOOD.replace("      - {role: router}\n", ""), "more than one server needs one router");
        fails(GOOD + "baseline: three\n", "no cell is named 'three'; cells: ");
        fails("name: [", "not YAML");
        fails(GOOD + "name: again\n", "key name stands twice");
    }

    private void fails(String yaml, String message) {
        assertThatThrownBy(() -> new ExperimentReader(root).parse("trial.yaml", yaml))
                .isInstanceOf(LabException.class)
                .hasMessageContaining(message);
    }
}
