package dev.baton.engine.disagg;

import static dev.baton.engine.disagg.PdTraffic.config;
import static dev.baton.engine.disagg.PdTraffic.options;
import static dev.baton.engine.disagg.PdTraffic.prompts;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.baton.engine.disagg.DisaggregationConfig.Mode;
import dev.baton.engine.disagg.transfer.FakeTransfer;
import dev.baton.engine.disagg.transfer.TransferBackend;
import dev.baton.engine.forward.Golden;
import dev.baton.engine.parallel.LoadOptions;
import dev.baton.engine.request.EngineRequest;
import dev.baton.engine.request.EngineRequest.Bootstrap;
import dev.baton.engine.request.TokenLogprob;
import dev.baton.engine.schedule.SchedulerConfig;
import dev.baton.protocol.FinishReason;
import dev.baton.protocol.SamplingParams;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** A prefill and a decode engine in one JVM answer as one engine does. */
class DisaggregatedServingTest extends PairTest {
    private DisaggregationConfig role(Mode mode, TransferBackend backend) {
        return PdTraffic.role(mode, backend, registry);
    }

    private PdSide side(String model, LoadOptions options, SchedulerConfig config, DisaggregationConfig role) {
        return opened(PdSide.start(model, options, config, role));
    }

    private EngineRequest request(String rid, int[] prompt, int newTokens, boolean logprobs, long room) {
        return PdTraffic.request(rid, prompt, newTokens, logprobs, registry, room);
    }

    private Map<String, List<Integer>> aggregated(String model, Map<String, int[]> prompts, int newTokens) {
        return PdTraffic.aggregated(model, prompts, newTokens, registry);
    }

    @ParameterizedTest(name = "{0} {1} page {2} chunk {3} tp {4}->{5}")
    @CsvSource({
        "deepseek-v3, SHM, 1, 16, 1, 1",
        "deepseek-v3, TCP, 4, 64, 1, 1",
        "deepseek-v3, AUTO, 16, 32, 2, 1",
        "deepseek-v3, SHM, 8, 24, 1, 2",
        "llama-gqa-llama3rope, TCP, 1, 7, 1, 1",
        "llama-gqa-llama3rope, SHM, 16, 48, 2, 1",
        "llama-gqa-llama3rope, TCP, 2, 20, 1, 2",
        "llama-gqa-llama3rope, AUTO, 64, 64, 2, 2"
    })
    void greedyAnswersAreThoseOfOneServer(
            String model, TransferBackend backend, int page, int chunk, int prefillRanks, int decodeRanks) {
        Map<String, int[]> prompts = prompts(14, page + chunk);
        int newTokens = 12;
        Map<String, List<Integer>> expected = aggregated(model, prompts, newTokens);
        PdSide prefill =
                side(model, options(prefillRanks, 640, 8), config(page, chunk).build(), role(Mode.PREFILL, backend));
        PdSide decode = side(
                model,
                options(decodeRanks, 448, 3),
                config(page, -1).radixCache(false).build(),
                role(Mode.DECODE, backend));
        long room = 1;
        for (var entry : prompts.entrySet()) {
            boolean decodeFirst = room % 2 == 0;
            EngineRequest request = request(entry.getKey(), entry.getValue(), newTokens, false, room++);
            (decodeFirst ? decode : prefill).submit(request);
            (decodeFirst ? prefill : decode).submit(request);
        }
        for (String rid : prompts.keySet()) {
            assertThat(decode.finish(rid)).isEqualTo(new FinishReason.Length(newTokens));
            assertThat(decode.ids(rid)).as(rid).isEqualTo(expected.get(rid));
            assertThat(prefill.finish(rid)).isEqualTo(new FinishReason.Length(0));
            assertThat(prefill.ids(rid)).isEqualTo(expected.get(rid).subList(0, 1));
        }
        prefill.awaitIdle();
        decode.awaitIdle();
    }

    @ParameterizedTest
    @EnumSource(names = {"SHM", "TCP"})
    void requestsThatLackMemoryGoToTheHostAndComeBackUnchanged(TransferBackend backend) {
        Map<String, int[]> prompts = prompts(8, 77);
        int newTokens = 60;
        Map<String, List<Integer>> expected = aggregated(Golden.LLAMA_GQA, prompts, newTokens);
        PdSide prefill =
                side(Golden.LLAMA_GQA, options(1, 700, 8), config(4, 32).build(), role(Mode.PREFILL, backend));
        PdSide decode = side(
                Golden.LLAMA_GQA,
                options(1, 260, 6),
                config(4, -1).radixCache(false).build(),
                role(Mode.DECODE, backend).withReservedDecodeTokens(0));
        long room = 1;
        for (var entry : prompts.entrySet()) {
            EngineRequest request = request(entry.getKey(), entry.getValue(), newTokens, false, room++);
            prefill.submit(request);
            decode.submit(request);
        }
        for (String rid : prompts.keySet()) {
            assertThat(decode.finish(rid)).isEqualTo(new FinishReason.Length(newTokens));
            assertThat(decode.ids(rid)).as(rid).isEqualTo(expected.get(rid));
        }
        assertThat(decode.state().retractedRequests()).isPositive();
        prefill.awaitIdle();
        decode.awaitIdle();
    }

    @Test
    void thePrefillServerMayHaveToBeginAPromptAgain() {
        Map<String, int[]> prompts = prompts(12, 5);
        Map<String, List<Integer>> expected = aggregated(Golden.DEEPSEEK, prompts, 4);
        PdSide prefill = side(
                Golden.DEEPSEEK, options(1, 128, 8), config(2, 8).build(), role(Mode.PREFILL, TransferBackend.TCP));
        PdSide decode = side(
                Golden.DEEPSEEK,
                options(1, 600, 8),
                config(2, -1).radixCache(false).build(),
                role(Mode.DECODE, TransferBackend.TCP));
        long room = 1;
        for (var entry : prompts.entrySet()) {
            EngineRequest request = request(entry.getKey(), entry.getValue(), 4, false, room++);
            prefill.submit(request);
            decode.submit(request);
        }
        for (String rid : prompts.keySet()) {
            assertThat(decode.finish(rid)).isEqualTo(new FinishReason.Length(4));
            assertThat(decode.ids(rid)).as(rid).isEqualTo(expected.get(rid));
        }
        prefill.awaitIdle();
        decode.awaitIdle();
    }

    @Test
    void theFirstTokenComesWithTheLogProbabilitiesOfThePrefillServer() {
        int[] prompt = prompts(1, 3).get("r0");
        List<TokenLogprob> expected;
        try (PdSide whole =
                PdSide.start(Golden.DEEPSEEK, options(1, 700, 8), config(1, 64).build(), DisaggregationConfig.NONE)) {
            whole.submit(request("r", prompt, 5, true, -1));
            whole.finish("r");
            expected = whole.logprobs("r");
        }
        PdSide prefill = side(
                Golden.DEEPSEEK, options(1, 700, 8), config(1, 64).build(), role(Mode.PREFILL, TransferBackend.AUTO));
        PdSide decode = side(
                Golden.DEEPSEEK,
                options(1, 700, 8),
                config(1, -1).radixCache(false).build(),
                role(Mode.DECODE, TransferBackend.AUTO));
        EngineRequest request = request("r", prompt, 5, true, 8);
        prefill.submit(request);
        decode.submit(request);
        decode.finish("r");
        assertThat(decode.logprobs("r")).hasSize(5);
        for (int i = 0; i < 5; i++) {
            assertThat(decode.logprobs("r").get(i).tokenId())
                    .isEqualTo(expected.get(i).tokenId());
            assertThat(decode.logprobs("r").get(i).topIds())
                    .isEqualTo(expected.get(i).topIds());
            assertThat(decode.logprobs("r").get(i).logprob())
                    .isCloseTo(expected.get(i).logprob(), org.assertj.core.data.Offset.offset(1e-4f));
        }
    }

    @Test
    void eachRoleServesAWarmUpRequestAlone() {
        PdSide prefill = side(
                Golden.LLAMA_TIED, options(1, 300, 4), config(1, 64).build(), role(Mode.PREFILL, TransferBackend.AUTO));
        PdSide decode = side(
                Golden.LLAMA_TIED,
                options(1, 300, 4),
                config(1, -1).radixCache(false).build(),
                role(Mode.DECODE, TransferBackend.AUTO));
        EngineRequest request = new EngineRequest(
                "warm",
                new int[] {5, 6, 7, 8},
                SamplingParams.greedy(8),
                null,
                new Bootstrap(FakeTransfer.HOST, 8998, 0),
                null);
        prefill.submit(request);
        decode.submit(request);
        assertThat(prefill.finish("warm")).isEqualTo(new FinishReason.Length(0));
        assertThat(decode.finish("warm").type()).isIn("length", "stop");
        prefill.awaitIdle();
        decode.awaitIdle();
    }

    @Test
    void anAbortOnOneServerEndsTheRequestOnTheOther() {
        PdSide prefill = side(
                Golden.LLAMA_TIED, options(1, 300, 4), config(1, 4).build(), role(Mode.PREFILL, TransferBackend.AUTO));
        PdSide decode = side(
                Golden.LLAMA_TIED,
                options(1, 300, 4),
                config(1, -1).radixCache(false).build(),
                role(Mode.DECODE, TransferBackend.AUTO));
        prefill.engine.slowDown(0.05).join();
        int[] prompt = new Random(1).ints(80, 3, 200).toArray();
        decode.submit(request("before", prompt, 5, false, 1));
        decode.engine.abort("before");
        assertThat(decode.finish("before").type()).isEqualTo("abort");
        prefill.submit(request("before", prompt, 5, false, 1));
        assertThat(((FinishReason.Abort) prefill.finish("before")).message()).contains("Aborted by AbortReq.");

        for (PdSide aborting : List.of(prefill, decode)) {
            PdSide other = aborting == prefill ? decode : prefill;
            String rid = "by" + (aborting == prefill);
            EngineRequest request = request(rid, prompt, 5, false, aborting == prefill ? 2 : 3);
            prefill.submit(request);
            decode.submit(request);
            await().until(() ->
                    decode.state().transferRequests() == 1 && prefill.state().forwardSteps() > 0);
            aborting.engine.abort(rid);
            assertThat(aborting.finish(rid).type()).isEqualTo("abort");
            FinishReason.Abort told = (FinishReason.Abort) other.finish(rid);
            assertThat(told.statusCode()).isEqualTo(500);
            assertThat(told.message())
                    .contains("KVTransferError(bootstrap_room=")
                    .contains("Aborted by AbortReq.");
            prefill.awaitIdle();
            decode.awaitIdle();
        }
    }

    @Test
    void aRoomInUseIsABadRequestAndTheFirstGoesOn() {
        PdSide prefill = side(
                Golden.LLAMA_TIED, options(1, 300, 4), config(1, 64).build(), role(Mode.PREFILL, TransferBackend.AUTO));
        PdSide decode = side(
                Golden.LLAMA_TIED,
                options(1, 300, 4),
                config(1, -1).radixCache(false).build(),
                role(Mode.DECODE, TransferBackend.AUTO));
        decode.submit(request("one", new int[] {5, 6}, 4, false, 9));
        decode.submit(request("two", new int[] {7}, 4, false, 9));
        FinishReason.Abort told = (FinishReason.Abort) decode.finish("two");
        assertThat(told.statusCode()).isEqualTo(400);
        assertThat(told.message()).contains("bootstrap_room 9 is already in use on this server");
        prefill.submit(request("one", new int[] {5, 6}, 4, false, 9));
        assertThat(decode.finish("one")).isEqualTo(new FinishReason.Length(4));
        decode.awaitIdle();
    }

    @Test
    void aRequestThatOneServerRefusesFailsOnTheOther() {
        PdSide prefill = side(
                Golden.LLAMA_TIED, options(1, 300, 4), config(1, 64).build(), role(Mode.PREFILL, TransferBackend.AUTO));
        PdSide decode = side(
                Golden.LLAMA_TIED,
                options(1, 60, 4),
                config(1, -1).radixCache(false).build(),
                role(Mode.DECODE, TransferBackend.AUTO));
        EngineRequest request = request("long", new Random(1).ints(100, 3, 200).toArray(), 5, false, 1);
        org.assertj.core.api.Assertions.assertThatThrownBy(() -> decode.submit(request))
                .hasMessageContaining("100 tokens");
        prefill.submit(request);
        FinishReason.Abort told = (FinishReason.Abort) prefill.finish("long");
        assertThat(told.message()).contains("refused the request").contains("100 tokens");
        prefill.awaitIdle();
    }

    @Test
    void aDecodeServerWithoutPrefillServerSaysWhichOneItMissed() throws IOException {
        PdSide decode = side(
                Golden.LLAMA_TIED,
                options(1, 300, 4),
                config(1, -1).radixCache(false).build(),
                role(Mode.DECODE, TransferBackend.AUTO)
                        .withTimeouts(Duration.ofSeconds(2), Duration.ofSeconds(2), Duration.ofSeconds(2)));
        int port = registry.port();
        registry.close();
        decode.submit(new EngineRequest(
                "r", new int[] {5}, SamplingParams.greedy(2), null, new Bootstrap("127.0.0.1", port, 1), null));
        FinishReason.Abort told = (FinishReason.Abort) decode.finish("r");
        assertThat(told.message())
                .startsWith("Decode handshake failed for request rank=0 req.rid=r")
                .contains("127.0.0.1:" + port);
        decode.awaitIdle();
    }
}
