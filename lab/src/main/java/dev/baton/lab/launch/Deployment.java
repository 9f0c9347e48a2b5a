package dev.baton.lab.launch;

import dev.baton.lab.LabException;
import dev.baton.lab.control.ServerControl;
import dev.baton.lab.experiment.Experiment;
import dev.baton.lab.experiment.Experiment.Cell;
import dev.baton.lab.experiment.Experiment.Role;
import dev.baton.lab.experiment.Experiment.Server;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/** The running servers of one cell: started in order, ready when the program says so, stopped in reverse. */
public final class Deployment implements AutoCloseable {
    private static final Duration HEALTH_CALL = Duration.ofSeconds(5);

    private final List<Member> members = new ArrayList<>();
    private final Cell cell;

    /**
     * @param role what the server does
     * @param process the server
     */
    public record Member(Role role, ServerProcess process) {}

    private Deployment(Cell cell) {
        this.cell = cell;
    }

    /**
     * Starts every server of the cell.
     *
     * @param root the project, whose {@code baton} is run
     * @param logPrefix file name prefix of the logs
     * @param commands gets each command line, with its environment
     */
    public static Deployment start(
            Experiment experiment, Cell cell, Path root, Path logs, String logPrefix, Consumer<String> commands) {
        Deployment deployment = new Deployment(cell);
        CorePinning pinning = new CorePinning();
        List<String> routerWords = new ArrayList<>();
        try {
            for (Server server : cell.servers()) {
                for (int replica = 0; replica < server.replicas(); replica++) {
                    deployment.startOne(
                            experiment, server, replica, root, logs, logPrefix, pinning, routerWords, commands);
                }
            }
            return deployment;
        } catch (RuntimeException e) {
            deployment.close();
            throw e;
        }
    }

    private void startOne(
            Experiment experiment,
            Server server,
            int replica,
            Path root,
            Path logs,
            String logPrefix,
            CorePinning pinning,
            List<String> routerWords,
            Consumer<String> commands) {
        int port = freePort();
        URI url = URI.create("http://127.0.0.1:" + port);
        String name = server.role().name().toLowerCase(java.util.Locale.ROOT) + (server.replicas() > 1 ? replica : "");
        Map<String, Object> flags = new LinkedHashMap<>();
        List<String> command = new ArrayList<>(pinning.prefix(server.cores()));
        if (server.role() == Role.ROUTER) {
            command.addAll(
                    List.of(root.resolve("baton").toString(), "route", "--host", "127.0.0.1", "--port", "" + port));
            command.addAll(routerWords);
        } else {
            command.addAll(program(experiment.engine(), root));
            flags.put("model-path", experiment.model().toString());
            flags.put("host", "127.0.0.1");
            flags.put("port", port);
            flags.putAll(experiment.flags());
            roleFlags(server, url, flags, routerWords);
        }
        flags.putAll(server.flags());
        command.addAll(words(flags));
        commands.accept(commandLine(server.environment(), command));
        members.add(new Member(
                server.role(),
                ServerProcess.start(
                        cell.name() + "/" + name,
                        command,
                        server.environment(),
                        url,
                        logs.resolve(logPrefix + "-" + name + ".log"))));
    }

    private static List<String> program(Experiment.Engine engine, Path root) {
        return switch (engine) {
            case BATON -> List.of(root.resolve("baton").toString(), "serve");
            case SGLANG -> List.of("python3", "-m", "sglang.launch_server");
        };
    }

    private static void roleFlags(Server server, URI url, Map<String, Object> flags, List<String> routerWords) {
        switch (server.role()) {
            case AGGREGATED -> {
                if (routerWords.isEmpty()) {
                    routerWords.add("--worker-urls");
                }
                routerWords.add(url.toString());
            }
            case PREFILL -> {
                int bootstrapPort = freePort();
                flags.put("disaggregation-mode", "prefill");
                flags.put("disaggregation-bootstrap-port", bootstrapPort);
                if (!routerWords.contains("--pd-disaggregation")) {
                    routerWords.add("--pd-disaggregation");
                }
                routerWords.addAll(List.of("--prefill", url.toString(), "" + bootstrapPort));
            }
            case DECODE -> {
                flags.put("disaggregation-mode", "decode");
                routerWords.addAll(List.of("--decode", url.toString()));
            }
            case ROUTER -> throw new IllegalStateException("a router has no role flags");
        }
    }

    /** {@code --flag value} for each flag; a true switch stands alone, a false one not at all, a list follows its flag. */
    private static List<String> words(Map<String, Object> flags) {
        List<String> words = new ArrayList<>();
        flags.forEach((flag, value) -> {
            if (Boolean.FALSE.equals(value)) {
                return;
            }
            words.add("--" + flag.replace('_', '-'));
            if (value instanceof List<?> list) {
                list.forEach(item -> words.add(item.toString()));
            } else if (!Boolean.TRUE.equals(value)) {
                words.add(value.toString());
            }
        });
        return words;
    }

    private static String commandLine(Map<String, String> environment, List<String> command) {
        StringBuilder line = new StringBuilder();
        environment.forEach(
                (name, value) -> line.append(name).append("='").append(value).append("' "));
        for (String word : command) {
            line.append(word.matches("[A-Za-z0-9_./:=,+-]+") ? word : "'" + word.replace("'", "'\\''") + "'")
                    .append(' ');
        }
        return line.toString().strip();
    }

    /**
     * Waits until every server answers {@code /health} with 200 and the router has found all of them.
     *
     * @throws LabException SERVER with the log's tail when one dies, TIMEOUT likewise when one is not ready in time
     */
    public void awaitReady(Duration deadline) {
        long end = System.nanoTime() + deadline.toNanos();
        for (Member member : members) {
            ServerProcess process = member.process();
            try (ServerControl control = new ServerControl(process.url())) {
                while (!isReady(member.role(), control)) {
                    if (!process.isAlive()) {
                        throw new LabException(
                                LabException.Code.SERVER,
                                process.name() + " ended with status " + process.exitStatus()
                                        + " before it was ready; its log ends\n" + process.logTail());
                    }
                    if (System.nanoTime() > end) {
                        throw new LabException(
                                LabException.Code.TIMEOUT,
                                process.name() + " was not ready within " + deadline.toSeconds() + " s; its log ends\n"
                                        + process.logTail());
                    }
                    pause();
                }
            }
        }
    }

    private static boolean isReady(Role role, ServerControl control) {
        return role == Role.ROUTER ? control.isReadyRouter(HEALTH_CALL) : control.isHealthy(HEALTH_CALL);
    }

    private static void pause() {
        try {
            Thread.sleep(50);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new LabException(LabException.Code.INTERRUPTED, "interrupted while waiting for servers", e);
        }
    }

    /** Where clients send: the router when there is one. */
    public URI front() {
        return members.getLast().process().url();
    }

    /** Every process. */
    public List<Member> members() {
        return List.copyOf(members);
    }

    /** The servers that take steps of a stage. */
    public List<ServerProcess> servers(Experiment.Stage stage) {
        return members.stream()
                .filter(m -> stage.isOf(m.role()))
                .map(Member::process)
                .toList();
    }

    /** Which part of the machine the servers were bound to, for {@code environment.json}. */
    public static boolean pinsCores() {
        return CorePinning.AVAILABLE;
    }

    private static int freePort() {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        } catch (IOException e) {
            throw new LabException(LabException.Code.SERVER, "no free port: " + e.getMessage(), e);
        }
    }

    @Override
    public void close() {
        for (Member member : members.reversed()) {
            member.process().stop(Duration.ofSeconds(10));
        }
    }

    /** Gives each server its own cores, with {@code taskset} where the machine has it. */
    private static final class CorePinning {
        static final boolean AVAILABLE = Files.isExecutable(Path.of("/usr/bin/taskset"));
        private int next;

        List<String> prefix(int cores) {
            int machine = Runtime.getRuntime().availableProcessors();
            if (!AVAILABLE || cores == 0 || next + cores > machine) {
                return List.of();
            }
            String range = next + "-" + (next + cores - 1);
            next += cores;
            return List.of("/usr/bin/taskset", "-c", range);
        }
    }
}
