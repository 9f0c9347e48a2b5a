package dev.baton.lab.client;

import dev.baton.lab.workload.BenchPrompt;
import dev.baton.lab.workload.ShareGpt;
import dev.baton.lab.workload.Vocabulary;
import dev.baton.lab.workload.Workloads;
import java.nio.file.Path;
import java.util.List;

/** The prompts that the flags ask for. */
final class Datasets {
    private Datasets() {}

    static List<BenchPrompt> prompts(ServingBenchmarkConfig config, Vocabulary vocabulary) {
        return switch (config.datasetName()) {
            case RANDOM_IDS ->
                Workloads.randomIds(
                        config.numPrompts(),
                        config.randomInputLen(),
                        config.randomOutputLen(),
                        config.randomRangeRatio(),
                        Workloads.requireSize(vocabulary),
                        config.seed());
            case RANDOM -> {
                Workloads.requireSize(vocabulary);
                yield Workloads.random(
                        config.numPrompts(),
                        config.randomInputLen(),
                        config.randomOutputLen(),
                        config.randomRangeRatio(),
                        vocabulary,
                        config.tokenizePrompt(),
                        config.seed());
            }
            case GENERATED_SHARED_PREFIX -> {
                Workloads.requireSize(vocabulary);
                yield Workloads.sharedPrefix(
                        config.gspNumGroups(),
                        config.gspPromptsPerGroup(),
                        config.gspSystemPromptLen(),
                        config.gspQuestionLen(),
                        config.gspOutputLen(),
                        config.gspRangeRatio(),
                        vocabulary,
                        config.tokenizePrompt(),
                        config.seed());
            }
            case SHAREGPT ->
                ShareGpt.read(
                        Path.of(config.datasetPath()),
                        config.numPrompts(),
                        config.sharegptOutputLen(),
                        config.sharegptContextLen(),
                        vocabulary.codec(),
                        config.tokenizePrompt(),
                        config.seed());
        };
    }
}
