package dev.baton.lab.experiment;

import dev.baton.lab.LabException;
import dev.baton.lab.client.ServingBenchmarkConfig;
import dev.baton.lab.experiment.Experiment.Cell;
import dev.baton.lab.experiment.Experiment.Evaluation;
import dev.baton.lab.experiment.Experiment.Quick;
import dev.baton.lab.experiment.Experiment.Role;
import dev.baton.lab.experiment.Experiment.Saturation;
import dev.baton.lab.experiment.Experiment.Server;
import dev.baton.lab.report.Expectation;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Reads an experiment file and checks it. Paths in it are relative to the project's root. */
public final class ExperimentReader {
    private final Path root;

    public ExperimentReader(Path root) {
        this.root = root;
    }

    /** @throws LabException INVALID_CONFIG with file, line, key and what is known there */
    public Experiment read(Path file) {
        String text;
        try {
            text = Files.readString(file);
        } catch (IOException e) {
            throw new LabException(
                    LabException.Code.IO, "cannot read the experiment " + file + ": " + e.getMessage(), e);
        }
        return parse(file.getFileName().toString(), text);
    }

    Experiment parse(String file, String text) {
        Yaml yaml = Yaml.parse(file, text);
        ServingBenchmarkConfig workload = workload(yaml);
        List<Cell> cells = new ArrayList<>();
        Set<String> names = new HashSet<>();
        for (Yaml cell : yaml.children("cells")) {
            cells.add(cell(cell));
            if (!names.add(cells.getLast().name())) {
                throw cell.fault(
                        "name", "two cells are named '" + cells.getLast().name() + "'");
            }
        }
        if (cells.isEmpty()) {
            throw yaml.fault("cells", "at least one cell is needed");
        }
        String baseline = yaml.text("baseline", cells.getFirst().name());
        if (!names.contains(baseline)) {
            throw yaml.fault("baseline", "no cell is named '" + baseline + "'; cells: " + String.join(", ", names));
        }
        Path model = root.resolve(yaml.text("model"));
        if (!Files.isDirectory(model)) {
            throw yaml.fault("model", "no such directory: " + model);
        }
        Experiment experiment = new Experiment(
                yaml.text("name"),
                yaml.text("description", ""),
                yaml.choice("engine", Experiment.Engine.BATON),
                model,
                yaml.integer("repeats", 3, 1),
                yaml.choice("order", Experiment.Order.ALTERNATE),
                yaml.plain("flags"),
                workload,
                yaml.integer("warmup", 4, 0),
                evaluation(yaml),
                saturation(yaml),
                cells,
                baseline,
                quick(yaml, workload),
                yaml.decimal("ready_timeout_seconds", 120, 1),
                expectations(yaml, names));
        boolean sameCores = cells.stream().mapToInt(Cell::cores).distinct().count() == 1;
        if (!sameCores && !Boolean.parseBoolean(yaml.text("different_cores", "false"))) {
            throw yaml.fault(
                    "cells",
                    "the cells use different numbers of cores ("
                            + String.join(
                                    ", ",
                                    cells.stream()
                                            .map(c -> c.name() + " " + c.cores())
                                            .toList())
                            + "), so their figures do not compare; say different_cores: true if that is meant");
        }
        yaml.done();
        return experiment;
    }

    private static List<Expectation> expectations(Yaml yaml, Set<String> cells) {
        List<Expectation> all = new ArrayList<>();
        if (!yaml.has("expect")) {
            return all;
        }
        for (Yaml child : yaml.children("expect")) {
            String metric = child.text("metric");
            if (!Expectation.metrics().containsKey(metric)) {
                throw child.fault(
                        "metric",
                        "no such figure: '" + metric + "'; figures: "
                                + String.join(", ", Expectation.metrics().keySet()));
            }
            String cell = child.text("cell");
            if (!cells.contains(cell)) {
                throw child.fault("cell", "no cell is named '" + cell + "'; cells: " + String.join(", ", cells));
            }
            Double least = child.has("at_least") ? child.decimal("at_least", 0, 0) : null;
            Double most = child.has("at_most") ? child.decimal("at_most", 0, 0) : null;
            if (least == null && most == null) {
                throw child.fault("metric", "an expectation needs at_least or at_most, a ratio to the baseline");
            }
            all.add(new Expectation(metric, cell, least, most, child.text("holds"), child.text("fails")));
            child.done();
        }
        return all;
    }

    private static ServingBenchmarkConfig workload(Yaml yaml) {
        Map<String, Object> keys = yaml.plain("workload");
        try {
            return ServingBenchmarkConfig.of(keys);
        } catch (LabException e) {
            throw yaml.fault("workload", e.getMessage());
        }
    }

    private static Cell cell(Yaml yaml) {
        String name = yaml.text("name");
        if (!name.matches("[A-Za-z0-9._-]+")) {
            throw yaml.fault(
                    "name",
                    "'" + name + "' must be made of letters, digits, '.', '_' and '-', since files are named after it");
        }
        List<Server> servers = new ArrayList<>();
        for (Yaml server : yaml.children("servers")) {
            servers.add(server(server));
        }
        boolean aggregated = servers.stream().anyMatch(s -> s.role() == Role.AGGREGATED);
        boolean split = servers.stream().anyMatch(s -> s.role() == Role.PREFILL)
                && servers.stream().anyMatch(s -> s.role() == Role.DECODE);
        long many = servers.stream()
                .filter(s -> s.role() != Role.ROUTER)
                .mapToInt(Server::replicas)
                .sum();
        long routers = servers.stream().filter(s -> s.role() == Role.ROUTER).count();
        if (aggregated == split) {
            throw yaml.fault(
                    "servers", "a cell has either aggregated servers or at least one prefill and one decode server");
        }
        if (routers > 1 || many > 1 && routers == 0) {
            throw yaml.fault("servers", "more than one server needs one router in front (role: router)");
        }
        yaml.done();
        return new Cell(name, servers);
    }

    private static Server server(Yaml yaml) {
        Role role = yaml.choice("role", Role.AGGREGATED);
        Map<String, String> environment = new LinkedHashMap<>();
        yaml.plain("environment").forEach((name, value) -> environment.put(name, value.toString()));
        Server server = new Server(
                role,
                yaml.integer("replicas", 1, 1),
                yaml.integer("cores", role == Role.ROUTER ? 0 : 1, 0),
                yaml.plain("flags"),
                environment);
        yaml.done();
        return server;
    }

    private @Nullable Evaluation evaluation(Yaml yaml) {
        Yaml child = yaml.child("evaluation");
        if (child == null) {
            return null;
        }
        Path file = root.resolve(child.text("file"));
        if (!Files.isReadable(file)) {
            throw child.fault("file", "no such file: " + file);
        }
        Evaluation evaluation = new Evaluation(file, child.integer("prompts", 24, 1));
        child.done();
        return evaluation;
    }

    private static @Nullable Saturation saturation(Yaml yaml) {
        Yaml child = yaml.child("saturation");
        if (child == null) {
            return null;
        }
        Saturation saturation = new Saturation(
                child.decimal("forward_sleep_seconds", 1, 0),
                child.integer("running_per_rank", 8, 1),
                child.integer("input_tokens", 64, 1),
                child.integer("output_tokens", 256, 2),
                child.integer("steps", 5, 1),
                child.decimal("timeout_seconds", 60, 1));
        child.done();
        return saturation;
    }

    private static Quick quick(Yaml yaml, ServingBenchmarkConfig workload) {
        Yaml child = yaml.child("quick");
        if (child == null) {
            return new Quick(1, Math.min(8, workload.numPrompts()), 6);
        }
        Quick quick = new Quick(
                child.integer("repeats", 1, 1),
                child.integer("num_prompts", Math.min(8, workload.numPrompts()), 1),
                child.integer("evaluation_prompts", 6, 1));
        child.done();
        return quick;
    }
}
