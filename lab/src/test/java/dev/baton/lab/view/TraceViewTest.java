package dev.baton.lab.view;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

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
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class TraceViewTest {
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
        return align(folder);
    }

    /** Traces of other people's runs that lie beside the checkout; the test skips, with the reason, where they do not. */
    private static Path realFiles(String name) {
        Path root =
                Path.of(System.getProperty("baton.root", "..")).toAbsolutePath().normalize();
        for (Path at = root; at != null; at = at.getParent()) {
            Path files = at.resolveSibling("shared").resolve("fixtures/real").resolve(name);
            if (Files.exists(files)) {
                return files;
            }
        }
        String reason = "no ../shared/fixtures/real/" + name + " beside " + root;
        System.out.println("skipped: " + reason);
        assumeTrue(false, reason);
        throw new AssertionError(reason);
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

    private static RankSet align(Path path) {
        return RankAligner.align(
                TraceFiles.analyse(TraceFiles.find(List.of(path)), KernelRules.builtIn(), new ArrayList<>()));
    }

    @Test
    void answersWithOneStepAtATime() throws IOException, InterruptedException {
        try (TraceView view = TraceView.start(ranks(), List.of("a note"), 0)) {
            JsonNode overview = get(view.url().resolve("ranks"));
            assertThat(overview.path("ranks").size()).isEqualTo(8);
            assertThat(overview.path("steps").asInt()).isEqualTo(2);
            assertThat(overview.at("/ranks/3/steps").size()).isEqualTo(2);
            assertThat(overview.at("/notes/0").asString()).isEqualTo("a note");
            JsonNode step = get(view.url().resolve("step?index=1&blocks=1000"));
            assertThat(step.path("length").asDouble()).isEqualTo(350);
            assertThat(step.at("/ranks/5/lanes/1/start/0").asDouble()).isEqualTo(300);
            assertThat(step.at("/ranks/0/lanes/1/dur/0").asDouble()).isEqualTo(250);
            assertThat(step.at("/names/1").asString()).isEqualTo(REDUCE);
            String name = URLEncoder.encode(REDUCE, StandardCharsets.UTF_8);
            JsonNode kernel = get(view.url().resolve("kernel?name=" + name + "&index=1&occurrence=0"));
            assertThat(kernel.at("/ranks/5/median").asDouble()).isEqualTo(50);
            assertThat(kernel.at("/ranks/5/count").asInt()).isEqualTo(2);
            assertThat(kernel.at("/ranks/5/start").asDouble()).isEqualTo(300);
            assertThat(kernel.at("/ranks/5/event").asInt()).isEqualTo(5);
            JsonNode found = get(view.url().resolve("at?index=1&row=5&lane=1&time=298&slack=3"));
            assertThat(found.path("name").asString()).isEqualTo(REDUCE);
            assertThat(found.path("occurrence").asInt(-1)).isZero();
            for (String missing : List.of(
                    "step?index=7",
                    "step",
                    "kernel?name=none",
                    "at?index=1&row=9&lane=1&time=298&slack=3",
                    "at?index=1&row=5&lane=0&time=340&slack=1",
                    "../etc/passwd",
                    "view.html")) {
                assertThat(status(view.url().resolve(missing))).as(missing).isEqualTo(404);
            }
        }
    }

    @Test
    void whatTravelsDependsOnTheScreenAndNotOnTheTrace() throws IOException, InterruptedException {
        // One step of 60,000 kernels of a microsecond each, with one of 5 ms in the middle.
        StringBuilder events = new StringBuilder(event("cuda_runtime", "cudaGraphLaunch", 0, 5, 1, -1));
        for (int i = 0; i < 60_000; i++) {
            boolean isLong = i == 30_000;
            int at = 10 + 2 * i + (i > 30_000 ? 5000 : 0);
            events.append(event("kernel", isLong ? "long" : "gemm_" + i % 7, at, isLong ? 5000 : 1, 1, 7));
        }
        Files.writeString(folder.resolve("9-TP-0.trace.json"), "{\"traceEvents\":[" + events.substring(1) + "]}");
        try (TraceView view = TraceView.start(align(folder), List.of(), 0)) {
            JsonNode whole = get(view.url().resolve("step?index=0&blocks=1000"));
            JsonNode lane = whole.at("/ranks/0/lanes/0");
            assertThat(lane.path("start").size()).isBetween(500, 2001);
            int launches = 0;
            for (JsonNode count : lane.path("count")) {
                launches += count.asInt();
            }
            assertThat(launches).isEqualTo(60_000);
            assertThat(lane.path("dur").toString()).contains("5000");
            JsonNode near = get(view.url().resolve("step?index=0&blocks=1000&from=1000&to=1200&pick=gemm_3"));
            assertThat(near.at("/ranks/0/lanes/0/count").toString()).matches("\\[1(,1)+]");
            assertThat(near.at("/ranks/0/picked/start").size()).isBetween(13, 16);
        }
    }

    @Test
    void aBrowserDrawsEveryRankAndThePickedKernel() throws IOException, InterruptedException {
        RankSet set = ranks();
        try (TraceView view = TraceView.start(set, List.of(), 0);
                Browser browser = Browser.open(
                        folder,
                        URI.create(
                                view.url() + "#step=1&kernel=" + URLEncoder.encode(REDUCE, StandardCharsets.UTF_8)))) {
            browser.await("document.body && document.body.dataset.ready === 'yes'");
            assertThat(browser.value("document.getElementById('name').textContent"))
                    .isEqualTo(REDUCE);
            assertThat(browser.value("document.getElementById('verdict').textContent"))
                    .contains("8 ranks, 2 steps");
            assertThat(browser.value("document.querySelectorAll('#ranks tr')[6].textContent"))
                    .startsWith("520.10");
            assertThat(browser.console()).isEmpty();
        }
    }

    /** What a person does with the eight ranks of a training job: zooms, clicks, compares, goes back. */
    @Test
    void onTheEightRankSetAPersonZoomsAndPicksAKernelOnEveryRank() throws IOException, InterruptedException {
        RankSet set = align(realFiles("dlrm8"));
        try (TraceView view = TraceView.start(set, List.of(), 0);
                Browser browser = Browser.open(folder, view.url())) {
            browser.await("document.body && document.body.dataset.ready === 'yes'");
            assertThat(browser.value("document.getElementById('verdict').textContent"))
                    .contains("Straggler: rank 7 is last to arrive in 5 of 8");
            double whole = browser.number("plot.scales.x.max - plot.scales.x.min");
            browser.drawnAfter(() -> browser.drag("#timeline .u-over", 0.4, 0.6, 0.3));
            double zoomed = browser.number("plot.scales.x.max - plot.scales.x.min");
            assertThat(zoomed / whole).isBetween(0.15, 0.25);
            assertThat(browser.number("step.from")).isEqualTo(browser.number("plot.scales.x.min"));
            browser.drawnAfter(() -> browser.click("#whole", 0.5, 0.5));
            assertThat(browser.number("plot.scales.x.max - plot.scales.x.min")).isEqualTo(whole);

            // The middle of the longest block of communication on rank 3.
            double middle = browser.number(
                    "(l => { let b = 0; for (let i = 1; i < l.dur.length; i++)"
                            + " if (l.dur[i] > l.dur[b]) b = i; return (l.start[b] + l.dur[b] / 2); })(step.ranks[3].lanes[1])");
            double share = middle / whole;
            browser.drawnAfter(() -> browser.click("#timeline .u-over", share, 3.75 / 8));
            assertThat(browser.value("document.getElementById('name').textContent"))
                    .startsWith("nccl")
                    .contains("(launch ");
            assertThat(browser.number("document.querySelectorAll('#ranks tr').length"))
                    .isEqualTo(9);
            for (int r = 0; r < 8; r++) {
                assertThat(browser.value(
                                "document.querySelectorAll('#ranks tr')[" + (r + 1) + "].cells[0].textContent"))
                        .isEqualTo("" + r);
                assertThat(browser.number("document.querySelectorAll('#ranks tr')[" + (r + 1)
                                + "].querySelectorAll('svg.bars rect').length"))
                        .isPositive();
            }
            assertThat(browser.value("document.querySelector('#ranks tr.last').cells[0].textContent"))
                    .isEqualTo("7");
            assertThat(browser.number("document.querySelectorAll('#histogram canvas').length"))
                    .isEqualTo(1);
            assertThat(browser.console()).isEmpty();
            browser.picture(folder.resolve("view.png"));
            assertThat(Files.size(folder.resolve("view.png"))).isGreaterThan(20_000);
            if (System.getProperty("baton.pictures") != null) {
                Files.copy(
                        folder.resolve("view.png"),
                        Path.of(System.getProperty("baton.pictures")).resolve("trace-view.png"),
                        java.nio.file.StandardCopyOption.REPLACE_EXISTING);
            }
        }
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
