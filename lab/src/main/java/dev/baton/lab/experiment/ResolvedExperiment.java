package dev.baton.lab.experiment;

import dev.baton.lab.report.Expectation;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.snakeyaml.engine.v2.api.Dump;
import org.snakeyaml.engine.v2.api.DumpSettings;
import org.snakeyaml.engine.v2.common.FlowStyle;
import tools.jackson.core.type.TypeReference;
import tools.jackson.databind.json.JsonMapper;

/** An experiment written out with every default in its place, in the form it is read. */
final class ResolvedExperiment {
    private ResolvedExperiment() {}

    static String yaml(Experiment experiment) {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("name", experiment.name());
        map.put("description", experiment.description());
        map.put("engine", word(experiment.engine()));
        map.put("model", experiment.model().toString());
        map.put("repeats", experiment.repeats());
        map.put("order", word(experiment.order()));
        map.put("baseline", experiment.baseline());
        map.put("warmup", experiment.warmup());
        map.put("ready_timeout_seconds", experiment.readyTimeoutSeconds());
        map.put("flags", experiment.flags());
        map.put("workload", workload(experiment));
        Experiment.Evaluation evaluation = experiment.evaluation();
        if (evaluation != null) {
            Map<String, Object> child = new LinkedHashMap<>();
            child.put("file", evaluation.file().toString());
            child.put("prompts", evaluation.prompts());
            map.put("evaluation", child);
        }
        Experiment.Saturation saturation = experiment.saturation();
        if (saturation != null) {
            Map<String, Object> child = new LinkedHashMap<>();
            boolean prefill = saturation.stage() == Experiment.Stage.PREFILL;
            child.put("stage", word(saturation.stage()));
            child.put("forward_sleep_seconds", saturation.forwardSleepSeconds());
            child.put(prefill ? "waiting_per_rank" : "running_per_rank", saturation.perRank());
            child.put("requests_per_rank", saturation.requestsPerRank());
            child.put("input_tokens", saturation.inputTokens());
            child.put("output_tokens", saturation.outputTokens());
            child.put("steps", saturation.steps());
            child.put("timeout_seconds", saturation.timeoutSeconds());
            map.put("saturation", child);
        }
        Experiment.Experts experts = experiment.experts();
        if (experts != null) {
            map.put("experts", Map.of("passes", experts.passes()));
        }
        map.put(
                "expect",
                experiment.expectations().stream()
                        .map(ResolvedExperiment::expectation)
                        .toList());
        map.put(
                "cells",
                experiment.cells().stream().map(ResolvedExperiment::cell).toList());
        return new Dump(DumpSettings.builder()
                        .setDefaultFlowStyle(FlowStyle.BLOCK)
                        .build())
                .dumpToString(map);
    }

    /** The client's flags that are set; those that are null stay at "none". */
    private static Map<String, Object> workload(Experiment experiment) {
        Map<String, Object> all =
                JsonMapper.shared().convertValue(experiment.workload().toJson(), new TypeReference<>() {});
        all.values().removeIf(java.util.Objects::isNull);
        return all;
    }

    private static Map<String, Object> expectation(Expectation expectation) {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("metric", expectation.metric());
        map.put("cell", expectation.cell());
        bounds(map, "", expectation.ratio());
        bounds(map, "value_", expectation.value());
        map.put("holds", expectation.holds());
        map.put("fails", expectation.fails());
        return map;
    }

    private static void bounds(Map<String, Object> map, String prefix, Expectation.Bounds bounds) {
        if (bounds.atLeast() != null) {
            map.put(prefix + "at_least", bounds.atLeast());
        }
        if (bounds.atMost() != null) {
            map.put(prefix + "at_most", bounds.atMost());
        }
    }

    private static Map<String, Object> cell(Experiment.Cell cell) {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("name", cell.name());
        if (cell.expertsFrom() != null) {
            map.put("experts_from", cell.expertsFrom());
        }
        List<Map<String, Object>> servers =
                cell.servers().stream().map(ResolvedExperiment::server).toList();
        map.put("servers", servers);
        return map;
    }

    private static Map<String, Object> server(Experiment.Server server) {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("role", word(server.role()));
        map.put("replicas", server.replicas());
        map.put("cores", server.cores());
        map.put("flags", server.flags());
        map.put("environment", server.environment());
        return map;
    }

    private static String word(Enum<?> constant) {
        return constant.name().toLowerCase(Locale.ROOT);
    }
}
