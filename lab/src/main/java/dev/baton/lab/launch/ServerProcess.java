package dev.baton.lab.launch;

import dev.baton.lab.LabException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;

/**
 * A server that the laboratory started on this machine, its log in a file. Every process that still lives when the JVM
 * ends, Ctrl-C included, is killed with its children.
 */
public final class ServerProcess implements AutoCloseable {
    private static final Set<ServerProcess> LIVE = ConcurrentHashMap.newKeySet();
    private static final int TAIL_LINES = 25;

    static {
        Runtime.getRuntime().addShutdownHook(new Thread(() -> LIVE.forEach(ServerProcess::kill), "baton-stop-servers"));
    }

    private final String name;
    private final Process process;
    private final URI url;
    private final Path log;

    private ServerProcess(String name, Process process, URI url, Path log) {
        this.name = name;
        this.process = process;
        this.url = url;
        this.log = log;
    }

    /**
     * Starts a command.
     *
     * @param name in messages, e.g. {@code pd/decode0}
     * @param log gets both its streams
     */
    public static ServerProcess start(
            String name, List<String> command, Map<String, String> environment, URI url, Path log) {
        try {
            Files.createDirectories(log.getParent());
            ProcessBuilder builder =
                    new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile());
            builder.redirectInput(
                    ProcessBuilder.Redirect.from(Path.of("/dev/null").toFile()));
            builder.environment().putAll(environment);
            ServerProcess server = new ServerProcess(name, builder.start(), url, log);
            LIVE.add(server);
            return server;
        } catch (IOException e) {
            throw new LabException(
                    LabException.Code.SERVER,
                    "cannot start " + name + " (" + String.join(" ", command) + "): " + e.getMessage(),
                    e);
        }
    }

    public String name() {
        return name;
    }

    /** Where it listens. */
    public URI url() {
        return url;
    }

    /** The file with everything it printed. */
    public Path log() {
        return log;
    }

    /** Process id of the command. */
    public long pid() {
        return process.pid();
    }

    public boolean isAlive() {
        return process.isAlive();
    }

    /** Its exit status. Call it only when it is dead. */
    public int exitStatus() {
        return process.exitValue();
    }

    /** The last lines of its log, indented. */
    public String logTail() {
        try {
            List<String> lines = Files.exists(log) ? Files.readAllLines(log) : List.of();
            return "  | " + String.join("\n  | ", lines.subList(Math.max(0, lines.size() - TAIL_LINES), lines.size()));
        } catch (IOException | UncheckedIOException e) {
            return "  | (cannot read " + log + ": " + e.getMessage() + ")";
        }
    }

    /** Asks it to end, kills it with its children when it has not after the deadline. */
    public void stop(Duration deadline) {
        process.descendants().forEach(ProcessHandle::destroy);
        process.destroy();
        try {
            if (!process.waitFor(deadline.toMillis(), TimeUnit.MILLISECONDS)) {
                kill();
                process.waitFor(5, TimeUnit.SECONDS);
            }
        } catch (InterruptedException e) {
            kill();
            Thread.currentThread().interrupt();
        } finally {
            LIVE.remove(this);
        }
    }

    private void kill() {
        process.descendants().forEach(ProcessHandle::destroyForcibly);
        process.destroyForcibly();
    }

    @Override
    public void close() {
        stop(Duration.ofSeconds(10));
    }
}
