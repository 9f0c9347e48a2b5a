package dev.baton.lab.experiment;

import dev.baton.lab.LabException;
import dev.baton.lab.client.ServingBenchmarkConfig;
import dev.baton.lab.experiment.Experiment.Cell;
import dev.baton.lab.experiment.Experiment.Evaluation;
import dev.baton.lab.experiment.Experiment.Experts;
import dev.baton.lab.experiment.Experiment.Quick;
import dev.baton.lab.experiment.Experiment.Role;
import dev.baton.lab.experiment.Experiment.Saturation;
import dev.baton.lab.experiment.Experiment.Server;
import dev.baton.lab.experiment.Experiment.Stage;
import dev.baton.lab.report.Expectation;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
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
        Map<Role, Map<String, Object>> roleFlags = roleFlags(yaml);
        for (Yaml cell : yaml.children("cells")) {
            cells.add(cell(cell, roleFlags, names, yaml.has("experts")));
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
                experts(yaml),
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
            Expectation.Bounds ratio = bounds(child, "at_least", "at_most");
            Expectation.Bounds value = bounds(child, "value_at_least", "value_at_most");
            if (ratio.isOpen() && value.isOpen()) {
                throw child.fault(
                        "metric",
                        "an expectation needs at_least or at_most, a ratio to the baseline, or value_at_least or"
                                + " value_at_most of the figure itself");
            }
            all.add(new Expectation(metric, cell, ratio, value, child.text("holds"), child.text("fails")));
            child.done();
        }
        return all;
    }

    private static Expectation.Bounds bounds(Yaml yaml, String least, String most) {
        return new Expectation.Bounds(
                yaml.has(least) ? yaml.decimal(least, 0, 0) : null, yaml.has(most) ? yaml.decimal(most, 0, 0) : null);
    }

    private static ServingBenchmarkConfig workload(Yaml yaml) {
        Map<String, Object> keys = yaml.plain("workload");
        try {
            return ServingBenchmarkConfig.of(keys);
        } catch (LabException e) {
            throw yaml.fault("workload", e.getMessage());
        }
    }

    /** Flags that all servers of a role have. */
    private static Map<Role, Map<String, Object>> roleFlags(Yaml yaml) {
        Map<Role, Map<String, Object>> flags = new EnumMap<>(Role.class);
        Yaml child = yaml.child("role_flags");
        for (Role role : Role.values()) {
            flags.put(role, child == null ? Map.of() : child.plain(role.name().toLowerCase(Locale.ROOT)));
        }
        if (child != null) {
            child.done();
        }
        return flags;
    }

    /** @param earlier names of the cells before it */
    private static Cell cell(
            Yaml yaml, Map<Role, Map<String, Object>> roleFlags, Set<String> earlier, boolean countsExperts) {
        String name = yaml.text("name");
        if (!name.matches("[A-Za-z0-9._-]+")) {
            throw yaml.fault(
                    "name",
                    "'" + name + "' must be made of letters, digits, '.', '_' and '-', since files are named after it");
        }
        List<Server> servers = new ArrayList<>();
        for (Yaml server : yaml.children("servers")) {
            servers.add(server(server, roleFlags));
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
        String expertsFrom = yaml.text("experts_from", null);
        if (expertsFrom != null && !countsExperts) {
            throw yaml.fault("experts_from", "no cell counts experts: add 'experts: {passes: 40}' to the file");
        }
        if (expertsFrom != null && !earlier.contains(expertsFrom)) {
            throw yaml.fault(
                    "experts_from",
                    "'" + expertsFrom + "' is no cell before this one, so it has recorded nothing yet; cells before: "
                            + String.join(", ", earlier));
        }
        yaml.done();
        return new Cell(name, servers, expertsFrom);
    }

    private static Server server(Yaml yaml, Map<Role, Map<String, Object>> roleFlags) {
        Role role = yaml.choice("role", Role.AGGREGATED);
        Map<String, String> environment = new LinkedHashMap<>();
        yaml.plain("environment").forEach((name, value) -> environment.put(name, value.toString()));
        Map<String, Object> flags = new LinkedHashMap<>(Objects.requireNonNull(roleFlags.get(role)));
        flags.putAll(yaml.plain("flags"));
        Server server = new Server(
                role,
                yaml.integer("replicas", 1, 1),
                yaml.integer("cores", role == Role.ROUTER ? 0 : 1, 0),
                flags,
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
        Stage stage = child.choice("stage", Stage.DECODE);
        int perRank = child.integer(stage == Stage.PREFILL ? "waiting_per_rank" : "running_per_rank", 8, 1);
        Saturation saturation = new Saturation(
                stage,
                child.decimal("forward_sleep_seconds", 1, 0),
                perRank,
                child.integer("requests_per_rank", stage == Stage.PREFILL ? 3 * perRank : perRank, perRank),
                child.integer("input_tokens", 64, 1),
                child.integer("output_tokens", 256, 2),
                child.integer("steps", 5, 1),
                child.decimal("timeout_seconds", 60, 1));
        child.done();
        return saturation;
    }

    private static @Nullable Experts experts(Yaml yaml) {
        Yaml child = yaml.child("experts");
        if (child == null) {
            return null;
        }
        if (!yaml.has("saturation")) {
            throw yaml.fault("experts", "experts are counted while the batch is full: add 'saturation'");
        }
        Experts experts = new Experts(child.integer("passes", 40, 1));
        child.done();
        return experts;
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
