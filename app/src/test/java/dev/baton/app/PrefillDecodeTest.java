package dev.baton.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.baton.app.PairUnderTest.Reply;
import dev.baton.app.Questions.Question;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Prefill and decode in processes of their own: the answers of one server, and what is left when one of them dies. */
@Timeout(240)
class PrefillDecodeTest {
    private static List<Question> questions;
    private static List<List<Integer>> whole;

    @BeforeAll
    static void answersOfOneServer() {
        // Six: five short ones and one over two thousand tokens.
        questions = Questions.eight().subList(2, 8);
        try (EngineAssembly assembly = Questions.engine()) {
            whole = Questions.ids(Questions.oneByOne(assembly.engine(), questions));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"shm", "tcp"})
    void answersAreThoseOfOneServer(String backend) {
        try (PairUnderTest pair = PairUnderTest.start(backend, backend)) {
            for (boolean stream : new boolean[] {false, true, false}) {
                List<CompletableFuture<Reply>> replies = questions.stream()
                        .map(q -> pair.ask(PairUnderTest.body(q, stream)))
                        .toList();
                assertThat(replies.stream().map(r -> r.join().ids()).toList())
                        .as(
                                "stream %s\n%s\n%s",
                                stream, pair.prefill().logTail(), pair.decode().logTail())
                        .isEqualTo(whole);
            }
            for (int seed = 0; seed < 4; seed++) {
                Map<String, Object> body = new LinkedHashMap<>(
                        PairUnderTest.body(questions.get(seed).ids(), 60, true, seed % 2 == 0));
                body.put(
                        "sampling_params",
                        Map.of("max_new_tokens", 60, "regex", "(yes|no), [A-Z][a-z]{2,5}\\.", "sampling_seed", seed));
                assertThat(pair.ask(body).join().last().get("text").asString()).matches("(yes|no), [A-Z][a-z]{2,5}\\.");
            }
            PairUnderTest.assertFreeAndHealthy(pair.prefill());
            PairUnderTest.assertFreeAndHealthy(pair.decode());
        }
    }

    @ParameterizedTest
    @CsvSource({
        "--tp-size=2 --pp-size=2,"
                + "--tp-size=4 --dp-size=4 --enable-dp-attention --enable-deepep-moe --enable-two-batch-overlap",
        "--tp-size=2 --dp-size=2 --enable-dp-attention --enable-deepep-moe --enable-two-batch-overlap, --tp-size=1"
    })
    void theTwoSidesMayBeLaidOutDifferently(String prefill, String decode) {
        try (PairUnderTest pair = PairUnderTest.start(
                "layouts", "auto", prefill + " --skip-server-warmup", decode + " --skip-server-warmup")) {
            List<CompletableFuture<Reply>> replies = questions.subList(0, 5).stream()
                    .map(q -> pair.ask(PairUnderTest.body(q, true)))
                    .toList();
            assertThat(replies.stream().map(r -> r.join().ids()).toList())
                    .as("%s\n%s", pair.prefill().logTail(), pair.decode().logTail())
                    .isEqualTo(whole.subList(0, 5));
            PairUnderTest.assertFreeAndHealthy(pair.prefill());
            PairUnderTest.assertFreeAndHealthy(pair.decode());
        }
    }

    @Test
    void aDecodeServerKilledInTheMiddleEndsItsRequestsAndNothingElse() {
        try (PairUnderTest pair = PairUnderTest.start("decode-killed", "auto")) {
            // One request decodes, one is on its way over: its chunks are slow.
            PairUnderTest.slowDown(pair.decode(), "0.1");
            CompletableFuture<Reply> decoding = pair.ask(PairUnderTest.body(new int[] {1, 5, 6}, 300, true, true));
            await().atMost(Duration.ofSeconds(30)).until(() -> pair.decode().requests() == 1);
            await().atMost(Duration.ofSeconds(30)).until(() -> pair.prefill().requests() == 0);
            PairUnderTest.slowDown(pair.prefill(), "0.3");
            CompletableFuture<Reply> travelling =
                    pair.ask(PairUnderTest.body(questions.getLast().ids(), 8, true, false));
            await().atMost(Duration.ofSeconds(30)).until(() -> pair.prefill().requests() == 1);
            pair.decode().kill();

            assertThat(decoding.orTimeout(30, TimeUnit.SECONDS).join())
                    .as(pair.router().logTail())
                    .matches(Reply::isError);
            assertThat(travelling.orTimeout(30, TimeUnit.SECONDS).join())
                    .as(pair.router().logTail())
                    .matches(Reply::isError);
            PairUnderTest.slowDown(pair.prefill(), "null");
            PairUnderTest.assertFreeAndHealthy(pair.prefill());
            assertThat(pair.router().isAlive()).isTrue();
            assertThat(pair.router().log()).contains(pair.decode().url().getAuthority());
            assertThat(pair.prefill().log()).containsIgnoringCase("decode");
        }
    }

    @Test
    void aPrefillServerKilledInTheMiddleEndsItsRequestAndANewOneTakesOver() {
        try (PairUnderTest pair = PairUnderTest.start("prefill-killed", "auto")) {
            Question longest = questions.getLast();
            assertThat(pair.ask(PairUnderTest.body(longest, false)).join().ids())
                    .isEqualTo(whole.getLast());
            PairUnderTest.slowDown(pair.prefill(), "0.3");
            int[] other = longest.ids().clone();
            other[0] = 7;
            CompletableFuture<Reply> reply = pair.ask(PairUnderTest.body(other, 8, true, true));
            await().atMost(Duration.ofSeconds(30))
                    .until(() -> pair.prefill().requests() == 1 && pair.decode().requests() == 1);
            pair.prefill().kill();

            assertThat(reply.orTimeout(30, TimeUnit.SECONDS).join())
                    .as(pair.router().logTail())
                    .matches(Reply::isError);
            PairUnderTest.assertFreeAndHealthy(pair.decode());
            assertThat(pair.router().isAlive()).isTrue();
            assertThat(pair.decode().log()).containsIgnoringCase("prefill");
            assertThat(pair.router().log()).contains(pair.prefill().url().getAuthority());

            pair.restartPrefill();
            await().atMost(Duration.ofSeconds(60))
                    .pollInterval(Duration.ofMillis(200))
                    .untilAsserted(() -> {
                        Reply again =
                                pair.ask(PairUnderTest.body(longest, false)).join();
                        assertThat(again.ids()).isEqualTo(whole.getLast());
                    });
        }
    }

    @Test
    void aRouterKilledLeavesBothServersFreeForTheNextRouter() {
        try (PairUnderTest pair = PairUnderTest.start("router-killed", "auto")) {
            PairUnderTest.slowDown(pair.decode(), "0.1");
            CompletableFuture<Reply> reply = pair.ask(PairUnderTest.body(new int[] {1, 5, 6}, 300, true, true));
            await().atMost(Duration.ofSeconds(30)).until(() -> pair.decode().requests() == 1);
            pair.router().kill();
            assertThat(reply.orTimeout(30, TimeUnit.SECONDS).join()).matches(Reply::isError);
            // 300 steps of 100 ms would take half a minute: the client went, so the request ends before.
            await().atMost(Duration.ofSeconds(15)).until(() -> pair.decode().requests() == 0);
            PairUnderTest.slowDown(pair.decode(), "null");
            PairUnderTest.assertFreeAndHealthy(pair.prefill());
            PairUnderTest.assertFreeAndHealthy(pair.decode());
            try (ServerUnderTest next = pair.startRouter()) {
                assertThat(next.isAlive()).isTrue();
                assertThat(pair.ask(PairUnderTest.body(questions.getFirst(), false))
                                .join()
                                .ids())
                        .isEqualTo(whole.getFirst());
            }
        }
    }

    @Test
    void twoPrefillServersOnOneBootstrapPort() {
        try (PairUnderTest pair = PairUnderTest.start("bootstrap", "auto");
                ServerUnderTest second = ServerUnderTest.serveLater(
                        "second-prefill",
                        ServerUnderTest.NANO,
                        "--disaggregation-mode=prefill",
                        "--disaggregation-bootstrap-port=" + pair.bootstrapPort())) {
            assertThat(second.exitStatus(Duration.ofSeconds(60))).isEqualTo(1);
            assertThat(second.log().lines().filter(l -> l.startsWith("baton: ")))
                    .singleElement()
                    .asString()
                    .contains("" + pair.bootstrapPort())
                    .contains("--disaggregation-bootstrap-port");
            assertThat(second.log()).doesNotContain("\tat ");
            assertThat(pair.ask(PairUnderTest.body(questions.getFirst(), false))
                            .join()
                            .ids())
                    .isEqualTo(whole.getFirst());
        }
    }
}
