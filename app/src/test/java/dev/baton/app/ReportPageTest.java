package dev.baton.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.baton.lab.report.HtmlReport;
import dev.baton.lab.report.Plots;
import dev.baton.lab.report.Summaries;
import dev.baton.lab.report.Summary;
import dev.baton.lab.report.Summary.Spread;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The report in a browser. */
class ReportPageTest {
    private static final List<String> BROWSERS =
            List.of("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome");

    @TempDir
    Path folder;

    private static Summary.Cell cell(String name, double scale) {
        Spread spread = Spread.of(100 * scale, 98 * scale, 103 * scale);
        return new Summary.Cell(
                name,
                3,
                48,
                0,
                spread,
                spread,
                spread,
                spread,
                spread,
                spread,
                spread,
                spread,
                spread,
                spread,
                0.975,
                Map.of("copy", 1.0, "json", 0.95),
                List.of(new Summary.RankSteps(
                        1, "decode", "TP-0", 16, new double[] {4, 3.9, 4.1, 4, 4.2}, 4, 4000, 3900.0)),
                List.of(new Summary.ExpertLoad(1, "decode", 40, 0.9, new double[] {1.1, 0.9})));
    }

    @Test
    void opensInABrowserWithoutAWordOnTheConsole() throws Exception {
        String browser = BROWSERS.stream()
                .filter(b -> Files.isExecutable(Path.of(b)))
                .findFirst()
                .orElse(null);
        if (browser == null) {
            System.out.println("ReportPageTest skipped: none of " + BROWSERS + " is installed");
        }
        assumeThat(browser).isNotNull();
        List<Summary.Cell> cells = List.of(cell("aggregated", 1), cell("pd", 1.5));
        Summary summary = new Summary(
                "trial <1>",
                "What differs & why",
                "2026-01-01T00:00:00Z",
                61,
                "aggregated",
                cells,
                Summaries.compare("aggregated", cells),
                List.of("a note"));
        Path page = HtmlReport.write(
                summary, Plots.write(summary, folder), Map.of("environment.json", "{\"cores\": 2}"), folder);

        Path console = folder.resolve("console.txt");
        String document = dump(browser, page, console);
        assertThat(document)
                .contains("</html>")
                .contains("<table")
                .contains("trial &lt;1&gt;")
                .contains("aggregated")
                .contains("pd");
        // What a page says on its console comes as INFO:CONSOLE lines, whatever its level there.
        assertThat(Files.readString(console).lines().filter(l -> l.contains("CONSOLE")))
                .isEmpty();

        // The check can fail: a page with a fault is caught by it.
        Path faulty = folder.resolve("faulty.html");
        Files.writeString(faulty, Files.readString(page).replace("</body>", "<script>missing()</script></body>"));
        dump(browser, faulty, console);
        assertThat(Files.readString(console)).contains("CONSOLE").contains("missing is not defined");
    }

    private String dump(String browser, Path page, Path console) throws IOException, InterruptedException {
        Path document = folder.resolve("document.html");
        Process process = new ProcessBuilder(
                        browser,
                        "--headless",
                        "--no-sandbox",
                        "--disable-gpu",
                        "--disable-quic",
                        "--no-first-run",
                        "--disable-background-networking",
                        "--disable-component-update",
                        "--disable-sync",
                        "--disable-dev-shm-usage",
                        "--user-data-dir=" + ServerUnderTest.ROOT.resolve("app/target/browser-profile"),
                        "--enable-logging=stderr",
                        "--dump-dom",
                        page.toUri().toString())
                .redirectOutput(document.toFile())
                .redirectError(console.toFile())
                .start();
        try {
            assertThat(process.waitFor(60, TimeUnit.SECONDS))
                    .as("browser ended; it said: %s", Files.readString(console, StandardCharsets.ISO_8859_1))
                    .isTrue();
        } finally {
            process.descendants().forEach(ProcessHandle::destroyForcibly);
            process.destroyForcibly();
        }
        return Files.readString(document);
    }
}
