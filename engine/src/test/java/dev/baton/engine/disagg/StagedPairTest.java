package dev.baton.engine.disagg;

import static dev.baton.engine.disagg.PdTraffic.config;
import static dev.baton.engine.disagg.PdTraffic.prompts;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.baton.engine.disagg.DisaggregationConfig.Mode;
import dev.baton.engine.disagg.transfer.TransferBackend;
import dev.baton.engine.forward.Golden;
import dev.baton.engine.schedule.SchedulerConfig;
import dev.baton.protocol.FinishReason;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Pairs whose sides have pipeline stages and attention groups of their own answer as one server of one rank does. */
class StagedPairTest extends PairTest {
    private PdSide side(
            String model, String layout, int poolTokens, int rows, SchedulerConfig.Builder config, Mode mode) {
        return side(model, layout, poolTokens, rows, config, PdTraffic.role(mode, TransferBackend.AUTO, registry));
    }

    private PdSide side(
            String model,
            String layout,
            int poolTokens,
            int rows,
            SchedulerConfig.Builder config,
            DisaggregationConfig role) {
        return opened(PdTraffic.side(model, layout, poolTokens, rows, config, role, 1));
    }

    private void submit(PdSide prefill, PdSide decode, Map<String, int[]> prompts, int newTokens) {
        PdTraffic.submit(prefill, decode, prompts, newTokens, registry);
    }

    @ParameterizedTest(name = "{0}: {1} -> {2}")
    @CsvSource({
        "deepseek-v3, pp 2, tp 1",
        "deepseek-v3, tp 2 pp 2, tp 2 dp 2",
        "deepseek-v3, tp 2 dp 2 pp 2, pp 3",
        "deepseek-v3, tp 2 dp 2, tp 1",
        "deepseek-v3, tp 2 ep 2 pp 2 eplb 3, tp 2 dp 2 travel 2 eplb 3",
        "deepseek-v3, tp 2 dp 2 travel 2 pp 2, tp 2 ep 2 eplb 5 pp 2",
        "llama-gqa-llama3rope, pp 3, pp 2",
        "llama-gqa-llama3rope, tp 1, tp 2 pp 2",
        "llama-gqa-llama3rope, tp 2 pp 2, tp 4 dp 2 pp 2"
    })
    void greedyAnswersAreThoseOfOneServer(String model, String prefillLayout, String decodeLayout) {
        Map<String, int[]> prompts = prompts(12, prefillLayout.hashCode());
        int newTokens = 10;
        Map<String, List<Integer>> expected = PdTraffic.aggregated(model, prompts, newTokens, registry);
        PdSide prefill = side(model, prefillLayout, 640, 8, config(4, 24), Mode.PREFILL);
        PdSide decode = side(model, decodeLayout, 448, 4, config(4, -1).radixCache(false), Mode.DECODE);
        submit(prefill, decode, prompts, newTokens);
        for (String rid : prompts.keySet()) {
            assertThat(decode.finish(rid)).isEqualTo(new FinishReason.Length(newTokens));
            assertThat(decode.ids(rid)).as(rid).isEqualTo(expected.get(rid));
            prefill.finish(rid);
            assertThat(prefill.ids(rid)).isEqualTo(expected.get(rid).subList(0, 1));
        }
        prefill.awaitIdle();
        decode.awaitIdle();
    }

    @Test
    void requestsThatLackMemoryOnADecodePipelineGoToTheHostAndComeBackUnchanged() {
        Map<String, int[]> prompts = prompts(8, 77);
        int newTokens = 50;
        Map<String, List<Integer>> expected = PdTraffic.aggregated(Golden.LLAMA_GQA, prompts, newTokens, registry);
        PdSide prefill = side(Golden.LLAMA_GQA, "pp 2", 700, 8, config(4, 32), Mode.PREFILL);
        DisaggregationConfig role =
                PdTraffic.role(Mode.DECODE, TransferBackend.AUTO, registry).withReservedDecodeTokens(0);
        PdSide decode = side(Golden.LLAMA_GQA, "pp 2", 240, 6, config(4, -1).radixCache(false), role);
        submit(prefill, decode, prompts, newTokens);
        for (String rid : prompts.keySet()) {
            assertThat(decode.finish(rid)).isEqualTo(new FinishReason.Length(newTokens));
            assertThat(decode.ids(rid)).as(rid).isEqualTo(expected.get(rid));
        }
        assertThat(decode.state().retractedRequests()).isPositive();
        prefill.awaitIdle();
        decode.awaitIdle();
    }

    /** The other side hears of it and is free again. */
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void aStageThatFailsEndsItsRequestsOnBothSides(boolean prefillFails) {
        PdSide prefill = side(Golden.LLAMA_GQA, "pp 2", 640, 8, config(4, 8), Mode.PREFILL);
        PdSide decode = side(Golden.LLAMA_GQA, "pp 2", 640, 8, config(4, -1).radixCache(false), Mode.DECODE);
        PdSide failing = prefillFails ? prefill : decode;
        PdSide other = prefillFails ? decode : prefill;
        AtomicInteger steps = new AtomicInteger();
        failing.groups.getFirst().runBetweenSteps(rank -> {
            if (rank == 1) {
                failing.groups.getFirst().runner(1).listenToLayers((plan, layer) -> {
                    if (steps.incrementAndGet() == 6) {
                        throw new IllegalStateException("stage 1 broken on purpose");
                    }
                });
            }
        });
        Random random = new Random(3);
        Map<String, int[]> prompts = Map.of(
                "a",
                random.ints(80, 3, 200).toArray(),
                "b",
                random.ints(70, 3, 200).toArray());
        submit(prefill, decode, prompts, 40);
        for (String rid : prompts.keySet()) {
            FinishReason.Abort told = (FinishReason.Abort) failing.finish(rid);
            assertThat(told.statusCode()).isEqualTo(500);
            assertThat(told.message()).contains("stage 1 broken on purpose");
        }
        if (prefillFails) {
            for (String rid : prompts.keySet()) {
                FinishReason.Abort told = (FinishReason.Abort) decode.finish(rid);
                assertThat(told.message()).contains("KVTransferError(bootstrap_room=");
            }
        } else {
            await().until(() -> prompts.keySet().stream().allMatch(prefill::isFinished));
        }
        other.awaitIdle();
    }
}
