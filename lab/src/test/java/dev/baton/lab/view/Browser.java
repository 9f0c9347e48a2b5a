package dev.baton.lab.view;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.WebSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * A real Chromium with one page, driven through its debugging protocol: a mouse that moves and clicks, scripts that look,
 * pictures. A test that needs it skips, with the reason, where there is none.
 */
final class Browser implements AutoCloseable {
    private static final List<String> PROGRAMS =
            List.of("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome");
    private static final long PATIENCE_SECONDS = 90;

    private final Process process;
    private final HttpClient http = HttpClient.newHttpClient();
    private final WebSocket socket;
    private final BlockingQueue<JsonNode> messages = new LinkedBlockingQueue<>();
    private final StringBuilder console = new StringBuilder();
    private int lastId;

    private Browser(Process process, URI page) {
        this.process = process;
        this.socket =
                http.newWebSocketBuilder().buildAsync(page, new Listener()).join();
    }

    private final class Listener implements WebSocket.Listener {
        private final StringBuilder text = new StringBuilder();

        @Override
        public CompletionStage<?> onText(WebSocket from, CharSequence piece, boolean isLast) {
            text.append(piece);
            if (isLast) {
                messages.add(JsonMapper.shared().readTree(text.toString()));
                text.setLength(0);
            }
            from.request(1);
            return null;
        }
    }

    /** A window of 1400 x 1800 points. */
    static Browser open(Path folder, URI address) throws IOException, InterruptedException {
        String program = PROGRAMS.stream()
                .filter(p -> Files.isExecutable(Path.of(p)))
                .findFirst()
                .orElse("");
        if (program.isEmpty()) {
            System.out.println("skipped: none of " + PROGRAMS + " is installed");
        }
        assumeTrue(!program.isEmpty(), "no Chromium on this machine");
        Path profile = folder.resolve("browser-profile");
        ProcessBuilder builder = new ProcessBuilder(
                        program,
                        "--headless=new",
                        "--no-sandbox",
                        "--disable-gpu",
                        "--disable-dev-shm-usage",
                        "--no-first-run",
                        "--disable-background-networking",
                        "--window-size=1400,1800",
                        "--remote-debugging-port=0",
                        "--user-data-dir=" + profile,
                        "about:blank")
                .redirectErrorStream(true)
                .redirectOutput(folder.resolve("browser.log").toFile());
        builder.environment().put("TMPDIR", folder.toString());
        Process process = builder.start();
        try {
            URI page = page(profile.resolve("DevToolsActivePort"));
            Browser browser = new Browser(process, page);
            browser.call("Runtime.enable", Map.of());
            browser.call("Log.enable", Map.of());
            browser.call("Page.enable", Map.of());
            browser.call("Page.navigate", Map.of("url", address.toString()));
            return browser;
        } catch (IOException | InterruptedException | RuntimeException e) {
            process.destroyForcibly();
            throw e;
        }
    }

    private static URI page(Path portFile) throws IOException, InterruptedException {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
        while (System.nanoTime() < end) {
            List<String> lines = Files.exists(portFile) ? Files.readAllLines(portFile) : List.of();
            if (!lines.isEmpty()) {
                URI list = URI.create("http://127.0.0.1:" + lines.getFirst() + "/json/list");
                try (HttpClient http = HttpClient.newHttpClient()) {
                    String body = http.send(HttpRequest.newBuilder(list).build(), HttpResponse.BodyHandlers.ofString())
                            .body();
                    for (JsonNode target : JsonMapper.shared().readTree(body)) {
                        if (target.path("type").asString().equals("page")) {
                            return URI.create(
                                    target.path("webSocketDebuggerUrl").asString());
                        }
                    }
                }
            }
            Thread.sleep(50);
        }
        throw new IOException("the browser opened no page within " + PATIENCE_SECONDS + " s");
    }

    private JsonNode call(String method, Map<String, ?> params) throws InterruptedException {
        int id = ++lastId;
        socket.sendText(
                        JsonMapper.shared().writeValueAsString(Map.of("id", id, "method", method, "params", params)),
                        true)
                .join();
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
        while (System.nanoTime() < end) {
            JsonNode message = messages.poll(1, TimeUnit.SECONDS);
            if (message == null) {
                continue;
            }
            if (message.path("id").asInt(-1) == id) {
                if (message.has("error")) {
                    throw new IllegalStateException(method + ": " + message.path("error"));
                }
                return message.path("result");
            }
            switch (message.path("method").asString("")) {
                case "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded" ->
                    console.append(message.path("params")).append('\n');
                default -> {}
            }
        }
        throw new IllegalStateException(method + " was not answered within " + PATIENCE_SECONDS + " s");
    }

    /** The value of an expression, as text. */
    String value(String expression) throws InterruptedException {
        JsonNode reply = call("Runtime.evaluate", Map.of("expression", "String(" + expression + ")"));
        return reply.at("/result/value").asString("");
    }

    double number(String expression) throws InterruptedException {
        return Double.parseDouble(value(expression));
    }

    /** Waits until a condition of the page is true. */
    void await(String condition) throws InterruptedException {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
        while (!value(condition).equals("true")) {
            if (System.nanoTime() > end) {
                throw new IllegalStateException(
                        condition + " did not come true within " + PATIENCE_SECONDS + " s; the page said: " + console);
            }
            Thread.sleep(20);
        }
    }

    /** Does something and waits until the page has drawn after it. */
    void drawnAfter(Act act) throws InterruptedException {
        double before = number("document.body.dataset.drawn || 0");
        act.run();
        await("Number(document.body.dataset.drawn || 0) > " + before);
    }

    interface Act {
        void run() throws InterruptedException;
    }

    private void mouse(String type, double x, double y, int buttons) throws InterruptedException {
        call(
                "Input.dispatchMouseEvent",
                Map.of("type", type, "x", x, "y", y, "button", "left", "buttons", buttons, "clickCount", 1));
    }

    /** Clicks a point of the element that a selector finds, scrolled into sight; shares of its width and height. */
    void click(String selector, double shareX, double shareY) throws InterruptedException {
        double[] at = point(selector, shareX, shareY);
        mouse("mouseMoved", at[0], at[1], 0);
        mouse("mousePressed", at[0], at[1], 1);
        mouse("mouseReleased", at[0], at[1], 0);
    }

    /** Presses at one point, moves, lets go at another. */
    void drag(String selector, double fromX, double toX, double shareY) throws InterruptedException {
        double[] from = point(selector, fromX, shareY);
        double[] to = point(selector, toX, shareY);
        mouse("mouseMoved", from[0], from[1], 0);
        mouse("mousePressed", from[0], from[1], 1);
        mouse("mouseMoved", (from[0] + to[0]) / 2, to[1], 1);
        mouse("mouseMoved", to[0], to[1], 1);
        mouse("mouseReleased", to[0], to[1], 0);
    }

    private double[] point(String selector, double shareX, double shareY) throws InterruptedException {
        String[] box = value(String.format(
                        Locale.ROOT,
                        "(e => { e.scrollIntoView({block: 'center'}); const b = e.getBoundingClientRect();"
                                + " return [b.left, b.top, b.width, b.height]; })(document.querySelector('%s'))",
                        selector))
                .split(",");
        return new double[] {
            Double.parseDouble(box[0]) + shareX * Double.parseDouble(box[2]),
            Double.parseDouble(box[1]) + shareY * Double.parseDouble(box[3])
        };
    }

    /** What the page wrote to its console or threw; empty when all is well. */
    String console() throws InterruptedException {
        value("1");
        return console.toString();
    }

    void picture(Path file) throws IOException, InterruptedException {
        value("window.scrollTo(0, 0)");
        JsonNode reply = call("Page.captureScreenshot", Map.of("format", "png", "captureBeyondViewport", true));
        Files.write(file, Base64.getDecoder().decode(reply.path("data").asString()));
    }

    @Override
    public void close() {
        socket.abort();
        http.shutdownNow();
        process.descendants().forEach(ProcessHandle::destroyForcibly);
        process.destroyForcibly();
        try {
            process.waitFor(10, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
