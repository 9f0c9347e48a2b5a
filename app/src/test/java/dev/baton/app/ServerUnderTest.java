package dev.baton.app;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * A {@code baton} command in a JVM of its own: its log is kept in {@code target/server-logs}, its end is shown when
 * something fails, and it is always killed.
 */
final class ServerUnderTest implements AutoCloseable {
    static final Path ROOT = Path.of(System.getProperty("baton.root", ".")).toAbsolutePath();
    static final Path NANO = ROOT.resolve("models/baton-nano");
    static final Path GOLDEN = ROOT.resolve("engine/src/test/resources/golden");

    private static final Duration READY = Duration.ofSeconds(90);
    private static final Duration CALL = Duration.ofSeconds(60);
    private static final int TAIL_LINES = 30;
    private static final Pattern URL =
            Pattern.compile("(?:Baton running on|Router listens on) (http://[^ /]+:\\d+)", Pattern.MULTILINE);
    private static final HttpClient HTTP =
            HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    private final String name;
    private final Process process;
    private final Path log;
    private URI url;

    private ServerUnderTest(String name, Process process, Path log) {
        this.name = name;
        this.process = process;
        this.log = log;
        // Also when the test JVM ends in the middle.
        Runtime.getRuntime().addShutdownHook(new Thread(process::destroyForcibly));
    }

    /** Starts a command and does not wait for anything. */
    static ServerUnderTest launch(String name, Path root, String... words) {
        List<String> command = new ArrayList<>(jvm(root));
        command.addAll(List.of(words));
        try {
            Path folder = Files.createDirectories(ROOT.resolve("app/target/server-logs"));
            Path log = Files.createTempFile(folder, name + "-", ".log");
            return new ServerUnderTest(
                    name,
                    new ProcessBuilder(command)
                            .redirectErrorStream(true)
                            .redirectOutput(log.toFile())
                            .start(),
                    log);
        } catch (IOException e) {
            throw new AssertionError("cannot start " + command, e);
        }
    }

    /** The command line that runs {@code baton} with the classes under test. */
    static List<String> jvm(Path root) {
        return List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx512m",
                "-XX:+UseSerialGC",
                "--add-modules",
                "jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED",
                "-Djava.awt.headless=true",
                "-Dbaton.root=" + root,
                "-cp",
                System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
                "dev.baton.app.Baton");
    }

    /** Starts {@code serve} on a free port and waits until it is healthy. */
    static ServerUnderTest serve(String name, Path model, String... flags) {
        return serveLater(name, model, flags).awaitReady();
    }

    /** Starts {@code serve} on a free port. */
    static ServerUnderTest serveLater(String name, Path model, String... flags) {
        return launch(name, ROOT, joined(flags, "serve", "--model-path", model.toString(), "--port", "0"));
    }

    /** Starts {@code route} on a free port and waits until it is healthy. */
    static ServerUnderTest route(String name, String... flags) {
        return launch(name, ROOT, joined(flags, "route", "--host", "127.0.0.1", "--port", "0"))
                .awaitReady();
    }

    private static String[] joined(String[] last, String... first) {
        List<String> words = new ArrayList<>(Arrays.asList(first));
        words.addAll(Arrays.asList(last));
        return words.toArray(String[]::new);
    }

    /** A port that was free a moment ago, for what must be known before the process starts. */
    static int freePort() {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    /** Waits until {@code /health} answers 200. */
    ServerUnderTest awaitReady() {
        long end = System.nanoTime() + READY.toNanos();
        try {
            while (System.nanoTime() < end) {
                if (!process.isAlive()) {
                    throw new AssertionError(name + " ended with " + process.exitValue() + "\n" + logTail());
                }
                if (url == null) {
                    Matcher matcher = URL.matcher(log());
                    url = matcher.find() ? URI.create(matcher.group(1)) : null;
                } else if (isHealthy()) {
                    return this;
                }
                Thread.sleep(20);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (RuntimeException | AssertionError e) {
            close();
            throw e;
        }
        String tail = logTail();
        close();
        throw new AssertionError(name + " was not ready within " + READY.toSeconds() + " s\n" + tail);
    }

    boolean isHealthy() {
        try {
            return get("/health").statusCode() == 200;
        } catch (AssertionError e) {
            return false;
        }
    }

    /** Waits for the command's end. */
    int exitStatus(Duration deadline) {
        try {
            if (process.waitFor(deadline.toMillis(), TimeUnit.MILLISECONDS)) {
                return process.exitValue();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        String tail = logTail();
        close();
        throw new AssertionError(name + " did not end within " + deadline.toSeconds() + " s\n" + tail);
    }

    URI url() {
        return url;
    }

    URI at(String path) {
        return url.resolve(path);
    }

    boolean isAlive() {
        return process.isAlive();
    }

    /** Everything it printed so far. */
    String log() {
        try {
            return Files.readString(log, StandardCharsets.UTF_8);
        } catch (IOException e) {
            return "(" + e.getMessage() + ")";
        }
    }

    String logTail() {
        List<String> lines = log().lines().toList();
        return "  " + name + "| "
                + String.join(
                        "\n  " + name + "| ", lines.subList(Math.max(0, lines.size() - TAIL_LINES), lines.size()));
    }

    HttpResponse<String> get(String path) {
        return send(HttpRequest.newBuilder(at(path)).timeout(CALL).build());
    }

    HttpResponse<String> post(String path, Object body) {
        return send(postRequest(path, body));
    }

    HttpRequest postRequest(String path, Object body) {
        String text = body instanceof String s ? s : JsonMapper.shared().writeValueAsString(body);
        return HttpRequest.newBuilder(at(path))
                .timeout(CALL)
                .header("Content-Type", "application/json")
                .POST(BodyPublishers.ofString(text))
                .build();
    }

    private HttpResponse<String> send(HttpRequest request) {
        try {
            return HTTP.send(request, BodyHandlers.ofString());
        } catch (IOException e) {
            throw new AssertionError(
                    request.uri() + " of " + name + ": " + e + (isAlive() ? "" : " (it is dead)") + "\n" + logTail(),
                    e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new AssertionError(e);
        }
    }

    static HttpClient http() {
        return HTTP;
    }

    static JsonNode json(HttpResponse<String> response) {
        return JsonMapper.shared().readTree(response.body());
    }

    /** Requests that run or wait, all DP ranks together. */
    int requests() {
        int sum = 0;
        for (JsonNode rank : json(get("/get_load"))) {
            sum += rank.path("num_reqs").asInt();
        }
        return sum;
    }

    /** Waits for a line that matches; its first group. */
    String awaitLine(String regex) {
        Pattern pattern = Pattern.compile(regex);
        long end = System.nanoTime() + READY.toNanos();
        try {
            while (System.nanoTime() < end && process.isAlive()) {
                Matcher matcher = pattern.matcher(log());
                if (matcher.find()) {
                    return matcher.group(1);
                }
                Thread.sleep(20);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        throw new AssertionError(name + " never said " + regex + "\n" + logTail());
    }

    /** Asks any address. */
    HttpResponse<String> call(String address) {
        return send(HttpRequest.newBuilder(URI.create(address)).timeout(CALL).build());
    }

    /** Asks it to end, as Ctrl+C does. */
    void terminate() {
        process.destroy();
    }

    /** Kills it as the machine would. */
    void kill() {
        process.destroyForcibly();
        try {
            process.waitFor(10, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public void close() {
        process.descendants().forEach(ProcessHandle::destroyForcibly);
        kill();
    }
}
