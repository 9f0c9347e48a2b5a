package dev.baton.app;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.lab.experiment.Experiment;
import dev.baton.lab.experiment.Experiment.Role;
import dev.baton.lab.experiment.ExperimentReader;
import dev.baton.lab.experiment.ExperimentRunner;
import dev.baton.lab.experiment.RunFolder;
import dev.baton.lab.report.Summary;
import dev.baton.protocol.flag.ServerArgs;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Experiments with real servers, and the flags of those that are shipped. */
class ExperimentTest {
    private static final Path ROOT = ProjectRoot.find();

    @TempDir
    Path folder;

    @ParameterizedTest
    @ValueSource(
            strings = {
                "aggregated-vs-pd",
                "recipe0-prefill",
                "recipe0-decode",
                "recipe1-decode",
                "recipe3-pp",
                "tbo-on-off"
            })
    void serversTakeTheFlagsOfShippedExperiments(String name) {
        Experiment experiment = new ExperimentReader(ROOT).read(ROOT.resolve("experiments/" + name + ".yaml"));
        assertThat(experiment.name()).isEqualTo(name);
        for (Experiment.Cell cell : experiment.cells()) {
            for (Experiment.Server server : cell.servers()) {
                if (server.role() != Role.ROUTER) {
                    Map<String, Object> flags = new LinkedHashMap<>(experiment.flags());
                    flags.putAll(server.flags());
                    ServerArgs args = ServerArgs.parse(words(flags));
                    assertThat(ParallelFlags.shape(args).worldRanks()).isBetween(1, 16);
                    EngineAssembly.rehearsal(args, ParallelFlags.shape(args));
                }
            }
        }
    }

    private static List<String> words(Map<String, Object> flags) {
        List<String> words = new ArrayList<>(List.of("--model-path", "m"));
        flags.forEach((flag, value) -> {
            if (!Boolean.FALSE.equals(value)) {
                words.add("--" + flag + (Boolean.TRUE.equals(value) ? "" : "=" + value));
            }
        });
        return words;
    }

    /** A launcher that runs the classes under test. */
    private void launcher() throws IOException {
        String command =
                ServerUnderTest.jvm(ROOT).stream().map(word -> "'" + word + "'").collect(Collectors.joining(" "));
        Path script = Files.writeString(folder.resolve("baton"), "#!/bin/sh\nexec " + command + " \"$@\"\n");
        Files.setPosixFilePermissions(script, PosixFilePermissions.fromString("rwx------"));
    }

    @Test
    @Timeout(240)
    void aCellIsPlacedByWhatTheCellBeforeItRecorded() throws Exception {
        launcher();
        Path file = Files.writeString(folder.resolve("trial.yaml"), """
                name: trial
                model: %s
                repeats: 1
                warmup: 0
                flags: {tp-size: 2, ep-size: 2, cpu-threads: 1, max-running-requests: 4, max-total-tokens: 4096,
                        enable-metrics: true, skip-server-warmup: true}
                workload: {dataset_name: random-ids, num_prompts: 2, random_input_len: 8, random_output_len: 2, seed: 1}
                saturation: {running_per_rank: 4, input_tokens: 8, output_tokens: 300, steps: 2, forward_sleep_seconds: 0.2}
                experts: {passes: 12}
                cells:
                  - name: trivial
                    servers: [{role: aggregated, cores: 0}]
                  - name: placed
                    experts_from: trivial
                    servers: [{role: aggregated, cores: 0, flags: {ep-num-redundant-experts: 2}}]
                expect:
                  - {metric: expert_balancedness, cell: placed, value_at_least: 0.5, holds: "even.", fails: "uneven."}
                """.formatted(ServerUnderTest.NANO));
        RunFolder run = RunFolder.create(folder.resolve("run"), "trial", true);
        Summary summary = new ExperimentRunner(
                        new ExperimentReader(ROOT).read(file),
                        folder,
                        run,
                        new PrintStream(OutputStream.nullOutputStream()))
                .run();
        assertThat(summary.notes()).noneMatch(note -> note.contains("experts"));
        assertThat(summary.cells()).allSatisfy(cell -> {
            assertThat(cell.failed()).isZero();
            assertThat(cell.ranks()).extracting(Summary.RankSteps::batch).containsOnly(4);
            assertThat(cell.experts()).singleElement().satisfies(load -> {
                assertThat(load.passes()).isGreaterThanOrEqualTo(12);
                assertThat(load.balancedness()).isBetween(0.5, 1.0);
                assertThat(load.rankLoads()).hasSize(2);
            });
        });
        assertThat(summary.verdicts())
                .singleElement()
                .satisfies(v -> assertThat(v.words())
                        .endsWith("even. (The repeats overlap or are too few: a hint, no proof.)"));
        assertThat(Files.readString(run.path().resolve("commands.log")).lines().toList())
                .satisfiesExactly(
                        trivial -> assertThat(trivial)
                                .contains("--expert-distribution-recorder-mode stat")
                                .doesNotContain("--init-expert-location"),
                        placed -> assertThat(placed)
                                .containsPattern(
                                        "--init-expert-location \\S+/experts/expert_distribution_recorder_\\S+\\.json"));
    }
}
