package dev.baton.lab.view;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.baton.trace.align.RankAligner;
import dev.baton.trace.align.RankSet;
import dev.baton.trace.align.TraceFiles;
import dev.baton.trace.classify.KernelRules;
import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class TraceViewTest {
    private static final List<String> BROWSERS =
            List.of("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome");
    private static final String REDUCE = "ncclDevKernel_AllReduce<a & b>";

    @TempDir
    Path folder;

    /** Eight ranks of two graph replays; rank 5 computes longest. */
    private RankSet ranks() throws IOException {
        for (int rank = 0; rank < 8; rank++) {
            StringBuilder events = new StringBuilder();
            for (int step = 0; step < 2; step++) {
                int at = 1000 * step;
                int compute = rank == 5 ? 300 : 100;
                events.append(event("cuda_runtime", "cudaGraphLaunch", at, 5, step + 1, -1));
                events.append(event("kernel", "gemm", at + 10, compute, step + 1, 7));
                events.append(event("kernel", REDUCE, at + 10 + compute, 350 - compute, step + 1, 9));
            }
            Files.writeString(
                    folder.resolve("9-TP-" + rank + ".trace.json"),
                    "{\"distributedInfo\":{\"rank\":" + rank + ",\"world_size\":8},\"traceEvents\":["
                            + events.substring(1) + "]}");
        }
        return RankAligner.align(
                TraceFiles.analyse(TraceFiles.find(List.of(folder)), KernelRules.builtIn(), new ArrayList<>()));
    }

    private static String event(String category, String name, int ts, int dur, int correlation, int stream) {
        return String.format(
                Locale.ROOT,
                ",{\"ph\":\"X\",\"cat\":\"%s\",\"name\":\"%s\",\"pid\":0,\"tid\":%d,\"ts\":%d,\"dur\":%d,"
                        + "\"args\":{\"correlation\":%d,\"device\":0,\"stream\":%d}}",
                category,
                name,
                stream,
                ts,
                dur,
                correlation,
                stream);
    }

    @Test
    void answersWithOneStepAtATime() throws IOException, InterruptedException {
        try (TraceView view = TraceView.start(ranks(), List.of("a note"), 0)) {
            JsonNode overview = get(view.url().resolve("ranks"));
            assertThat(overview.path("ranks").size()).isEqualTo(8);
            assertThat(overview.at("/ranks/3/steps").size()).isEqualTo(2);
            assertThat(overview.at("/notes/0").asString()).isEqualTo("a note");
            JsonNode step = get(view.url().resolve("step?index=1"));
            assertThat(step.at("/ranks/5/start/1").asDouble()).isEqualTo(300);
            assertThat(step.at("/ranks/0/dur/1").asDouble()).isEqualTo(250);
            assertThat(step.at("/names/1").asString()).isEqualTo(REDUCE);
            JsonNode kernel =
                    get(view.url().resolve("kernel?name=" + URLEncoder.encode(REDUCE, StandardCharsets.UTF_8)));
            assertThat(kernel.at("/ranks/5/median").asDouble()).isEqualTo(50);
            assertThat(kernel.at("/ranks/5/count").asInt()).isEqualTo(2);
            for (String missing : List.of("step?index=7", "step", "kernel?name=none", "../etc/passwd", "view.html")) {
                assertThat(status(view.url().resolve(missing))).as(missing).isEqualTo(404);
            }
        }
    }

    @Test
    void aBrowserDrawsEveryRankAndThePickedKernel() throws IOException, InterruptedException {
        String browser = BROWSERS.stream()
                .filter(b -> Files.isExecutable(Path.of(b)))
                .findFirst()
                .orElse(null);
        if (browser == null) {
            System.out.println("TraceViewTest skipped: none of " + BROWSERS + " is installed");
        }
        assumeThat(browser).isNotNull();
        Path page = folder.resolve("page.txt");
        Path console = folder.resolve("console.txt");
        try (TraceView view = TraceView.start(ranks(), List.of(), 0)) {
            String address = view.url() + "#step=1&kernel=" + URLEncoder.encode(REDUCE, StandardCharsets.UTF_8);
            Process process = new ProcessBuilder(
                            browser,
                            "--headless=new",
                            "--no-sandbox",
                            "--disable-gpu",
                            "--disable-dev-shm-usage",
                            "--no-first-run",
                            "--disable-background-networking",
                            "--user-data-dir="
                                    + Path.of("target/browser-profile").toAbsolutePath(),
                            "--virtual-time-budget=10000",
                            "--enable-logging=stderr",
                            "--dump-dom",
                            address)
                    .redirectOutput(page.toFile())
                    .redirectError(console.toFile())
                    .start();
            assertThat(process.waitFor(90, TimeUnit.SECONDS))
                    .as("browser ended")
                    .isTrue();
        }
        assertThat(page)
                .content()
                .contains("data-ready=\"yes\"", "ncclDevKernel_AllReduce&lt;a &amp; b&gt;", "8 ranks, 2 steps")
                .containsPattern("<td>5</td><td>2</td><td>0.10</td>");
        assertThat(Files.readAllLines(console)).noneMatch(line -> line.contains("CONSOLE"));
    }

    private static HttpResponse<byte[]> fetch(URI address) throws IOException, InterruptedException {
        try (HttpClient http = HttpClient.newHttpClient()) {
            return http.send(HttpRequest.newBuilder(address).build(), HttpResponse.BodyHandlers.ofByteArray());
        }
    }

    private static int status(URI address) throws IOException, InterruptedException {
        return fetch(address).statusCode();
    }

    private static JsonNode get(URI address) throws IOException, InterruptedException {
        HttpResponse<byte[]> reply = fetch(address);
        assertThat(reply.statusCode()).isEqualTo(200);
        try (GZIPInputStream in = new GZIPInputStream(new java.io.ByteArrayInputStream(reply.body()))) {
            return JsonMapper.shared().readTree(in);
        }
    }
}
