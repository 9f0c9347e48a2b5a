package dev.baton.lab.profile;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.net.httpserver.HttpServer;
import dev.baton.lab.LabException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ProfileTest {
    @TempDir
    Path folder;

    private static RankLoads loads(int... running) {
        List<RankLoads.Rank> ranks = new ArrayList<>();
        for (int r : running) {
            ranks.add(new RankLoads.Rank("s DP" + ranks.size(), r, 1, 10, 100, -1));
        }
        return new RankLoads(ranks);
    }

    @Test
    void conditionsAreReadAndMalformedOnesNamed() {
        Condition c = Condition.parse("imbalance>1.2 for 5s");
        assertThat(c).isEqualTo(new Condition(Condition.Figure.IMBALANCE, true, 1.2, 5));
        assertThat(Condition.parse("throughput < 800").seconds()).isZero();
        assertThatThrownBy(() -> Condition.parse("imbalance is bad"))
                .isInstanceOf(LabException.class)
                .hasMessageContaining("imbalance is bad")
                .hasMessageContaining("for SECONDS");
    }

    @Test
    void imbalanceIsTheBusiestRankOverTheMean() {
        assertThat(loads(100, 50).value(Condition.Figure.IMBALANCE)).isEqualTo(100 / 75.0);
        assertThat(loads(0, 0).value(Condition.Figure.IMBALANCE)).isEqualTo(1);
        assertThat(loads(3, 4).value(Condition.Figure.WAITING)).isEqualTo(2);
        assertThat(loads(100, 50).dashboard()).contains("s DP1", "imbalance 1.33");
    }

    @Test
    void logsShowTheLastWordOfEachRank() throws IOException {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < 3000; i++) {
            for (int rank = 0; rank < 2; rank++) {
                text.append("[2025-11-22 18:24:22 DP")
                        .append(rank)
                        .append("] Decode batch, #running-req: ")
                        .append(rank == 0 ? i : 7)
                        .append(", #token: 64, token usage: 0.00, cuda graph: True, gen throughput (token/s): 8.43,"
                                + " #queue-req: 2, \n");
            }
        }
        Path log = Files.writeString(folder.resolve("server.log"), text);
        RankLoads loads = RankLoads.read(List.of(log));
        assertThat(loads.ranks()).extracting(RankLoads.Rank::running).containsExactly(2999, 7);
        assertThat(loads.ranks()).extracting(RankLoads.Rank::name).containsExactly("server.log DP0", "server.log DP1");
        assertThat(loads.value(Condition.Figure.WAITING)).isEqualTo(4);
    }

    @Test
    void throughputIsWhatWasGeneratedSinceTheReadingBefore() {
        RankLoads.Rank counted = new RankLoads.Rank("a", 1, 0, 5, 7, 1_000);
        RankLoads.Rank silent = new RankLoads.Rank("b", 1, 0, 5, 7, -1);
        RankLoads first = new RankLoads(List.of(counted, silent), 0);
        RankLoads second = new RankLoads(
                List.of(new RankLoads.Rank("a", 1, 0, 5, 7, 1_300), silent, new RankLoads.Rank("c", 1, 0, 5, 9, 50)),
                500_000_000);
        assertThat(second.since(first).ranks())
                .extracting(RankLoads.Rank::throughput)
                .containsExactly(600.0, 7.0, 9.0);
        RankLoads restarted = new RankLoads(List.of(new RankLoads.Rank("a", 1, 0, 5, 3, 20)), 900_000_000);
        assertThat(restarted.since(second).value(Condition.Figure.THROUGHPUT)).isEqualTo(3);
    }

    @Test
    void aConditionMustHoldOnEnd() throws InterruptedException {
        Deque<RankLoads> readings = new ArrayDeque<>(List.of(loads(9, 1), loads(5, 5), loads(9, 1)));
        List<RankLoads> seen = new ArrayList<>();
        Condition at30ms = new Condition(Condition.Figure.IMBALANCE, true, 1.2, 0.03);
        boolean came = Watch.until(
                at30ms,
                () -> readings.size() > 1 ? readings.removeFirst() : readings.getFirst(),
                Duration.ofMillis(10),
                Duration.ofSeconds(20),
                seen::add);
        assertThat(came).isTrue();
        assertThat(seen.size()).isGreaterThanOrEqualTo(4);
        assertThat(Watch.until(at30ms, () -> loads(1, 1), Duration.ofMillis(5), Duration.ofMillis(40), l -> {}))
                .isFalse();
    }

    @Test
    void tracesAreWaitedForAndOldOnesLeftOut() throws IOException, InterruptedException {
        Files.writeString(folder.resolve("old-TP-0.trace.json.gz"), "old");
        TraceCollector collector = TraceCollector.watching(folder);
        Thread writer = Thread.startVirtualThread(() -> {
            try {
                Files.writeString(folder.resolve("7-TP-0.trace.json.gz"), "a");
                Files.writeString(folder.resolve("7-TP-1.trace.json.gz.partial"), "b");
                Files.move(folder.resolve("7-TP-1.trace.json.gz.partial"), folder.resolve("7-TP-1.trace.json.gz"));
            } catch (IOException e) {
                throw new java.io.UncheckedIOException(e);
            }
        });
        List<Path> files = collector.await(2, Duration.ofSeconds(20));
        writer.join();
        assertThat(files)
                .extracting(f -> f.getFileName().toString())
                .containsExactly("7-TP-0.trace.json.gz", "7-TP-1.trace.json.gz");
        assertThat(TraceCollector.copy(files, folder.resolve("in/to"))).allMatch(Files::exists);
        assertThatThrownBy(() -> TraceCollector.watching(folder).await(1, Duration.ofMillis(30)))
                .isInstanceOf(LabException.class)
                .hasMessageContaining("0 of at least 1 traces");
    }

    @Test
    void nsysIsCalledAsPrintedAndMissedInWords() throws IOException, InterruptedException {
        // A stand-in that writes down how it was called: nsys itself is part of no package this build can use.
        Path fake = folder.resolve("nsys");
        Files.writeString(fake, "#!/bin/sh\necho \"$@\" >> " + folder.resolve("calls") + "\n");
        Files.setPosixFilePermissions(fake, PosixFilePermissions.fromString("rwxr-xr-x"));
        ByteArrayOutputStream printed = new ByteArrayOutputStream();
        Nsys nsys = new Nsys(fake.toString(), new PrintStream(printed));
        nsys.sessions();
        nsys.start("baton", Path.of("/tmp/out"));
        nsys.stop("baton");
        assertThat(Files.readAllLines(folder.resolve("calls")))
                .containsExactly(
                        "sessions list",
                        "start --session=baton --output=/tmp/out --force-overwrite=true",
                        "stop --session=baton");
        assertThat(printed.toString()).contains("+ " + fake + " stop --session=baton");
        assertThat(nsys.launch("s", List.of("python", "x.py"))).isZero();
        assertThat(Files.readAllLines(folder.resolve("calls")).getLast())
                .startsWith("profile --start-later=true --session-new=s ")
                .endsWith(" python x.py");
        assertThat(printed.toString()).contains("+ " + fake + " profile --start-later=true");
        assertThatThrownBy(() -> new Nsys("/no/such/nsys", System.out).launch("s", List.of("x")))
                .isInstanceOf(LabException.class)
                .hasMessageContaining("leave --nsys away");
        assertThatThrownBy(() -> new Nsys("/no/such/nsys", System.out).sessions())
                .isInstanceOf(LabException.class)
                .hasMessageContaining("/no/such/nsys is not on this machine");
    }

    @Test
    void aWindowThatIsOpenIsLeftAloneAndTheOthersBegin() throws IOException, InterruptedException {
        HttpServer free = server(1, new CopyOnWriteArrayList<>());
        HttpServer taken = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        taken.createContext("/", exchange -> {
            try (exchange) {
                byte[] answer = "Profiling is already in progress. Call /stop_profile first.\n"
                        .getBytes(StandardCharsets.UTF_8);
                boolean isStart = exchange.getRequestURI().getPath().equals("/start_profile");
                exchange.sendResponseHeaders(isStart ? 500 : 404, answer.length);
                exchange.getResponseBody().write(answer);
            }
        });
        taken.start();
        URI freeUrl = URI.create("http://127.0.0.1:" + free.getAddress().getPort());
        URI takenUrl = URI.create("http://127.0.0.1:" + taken.getAddress().getPort());
        try (ProfileTargets targets = ProfileTargets.of(List.of(takenUrl, freeUrl))) {
            assertThat(targets.start(Map.of("num_steps", 5), Duration.ofSeconds(20)))
                    .isEqualTo(new ProfileTargets.Started(List.of(freeUrl), List.of(takenUrl)));
        } finally {
            free.stop(0);
            taken.stop(0);
        }
    }

    private static HttpServer server(int running, List<String> calls) throws IOException {
        HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.createContext("/", exchange -> {
            try (exchange) {
                String path = exchange.getRequestURI().getPath();
                calls.add(path);
                byte[] answer = switch (path) {
                    case "/get_load" ->
                        ("[{\"dp_rank\":0,\"num_reqs\":" + running + ",\"num_waiting_reqs\":0,\"num_tokens\":5}]")
                                .getBytes(StandardCharsets.UTF_8);
                    case "/workers" -> "{}".getBytes(StandardCharsets.UTF_8);
                    default -> "{\"internal_states\":[]}".getBytes(StandardCharsets.UTF_8);
                };
                exchange.sendResponseHeaders(200, answer.length);
                exchange.getResponseBody().write(answer);
            }
        });
        server.start();
        return server;
    }

    @Test
    void aServerThatRunsNothingIsNotLeftWithAnOpenWindow() throws IOException, InterruptedException {
        List<String> idleCalls = new CopyOnWriteArrayList<>();
        List<String> busyCalls = new CopyOnWriteArrayList<>();
        HttpServer idle = server(0, idleCalls);
        HttpServer busy = server(3, busyCalls);
        URI idleUrl = URI.create("http://127.0.0.1:" + idle.getAddress().getPort());
        URI busyUrl = URI.create("http://127.0.0.1:" + busy.getAddress().getPort());
        try (ProfileTargets targets = ProfileTargets.of(List.of(idleUrl, busyUrl))) {
            assertThat(targets.stopIdle(Duration.ofSeconds(20))).containsExactly(idleUrl);
        } finally {
            idle.stop(0);
            busy.stop(0);
        }
        assertThat(idleCalls).contains("/stop_profile");
        assertThat(busyCalls).contains("/get_load").doesNotContain("/stop_profile");
    }
}
