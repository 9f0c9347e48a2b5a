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
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Pairs of which a side's ranks live on several nodes: each node's ranks send and receive their own pages. */
class NodePairTest extends PairTest {
    /** @param layout as in {@link StagedPairTest}, with {@code on N} for N nodes */
    private PdSide side(String model, String layout, int poolTokens, SchedulerConfig.Builder config, Mode mode) {
        return side(model, layout, poolTokens, config, PdTraffic.role(mode, TransferBackend.AUTO, registry));
    }

    private PdSide side(
            String model, String layout, int poolTokens, SchedulerConfig.Builder config, DisaggregationConfig role) {
        String[] words = layout.split(" on ");
        return opened(PdTraffic.side(
                model, words[0], poolTokens, 6, config, role, words.length == 1 ? 1 : Integer.parseInt(words[1])));
    }

    private void answerAlike(PdSide prefill, PdSide decode, String model, Map<String, int[]> prompts, int newTokens) {
        Map<String, List<Integer>> expected = PdTraffic.aggregated(model, prompts, newTokens, registry);
        PdTraffic.submit(prefill, decode, prompts, newTokens, registry);
        for (String rid : prompts.keySet()) {
            assertThat(decode.finish(rid)).isEqualTo(new FinishReason.Length(newTokens));
            assertThat(decode.ids(rid)).as(rid).isEqualTo(expected.get(rid));
            prefill.finish(rid);
            assertThat(prefill.ids(rid)).isEqualTo(expected.get(rid).subList(0, 1));
        }
        prefill.awaitIdle();
        decode.awaitIdle();
    }

    @ParameterizedTest(name = "{0}: {1} -> {2}")
    @CsvSource({
        "llama-gqa-llama3rope, tp 2 on 2, tp 1",
        "llama-gqa-llama3rope, tp 1, tp 2 on 2",
        // A latent: the decode rank takes it from one prefill rank, and the other node has nothing to send.
        "deepseek-v3, tp 2 on 2, tp 1",
        "deepseek-v3, tp 2 dp 2 on 2, tp 4 dp 2 on 2",
        "llama-gqa-llama3rope, pp 2 on 2, tp 2 pp 2 on 4"
    })
    void greedyAnswersAreThoseOfOneServer(String model, String prefillLayout, String decodeLayout) {
        PdSide prefill = side(model, prefillLayout, 640, config(4, 24), Mode.PREFILL);
        PdSide decode = side(model, decodeLayout, 448, config(4, -1).radixCache(false), Mode.DECODE);
        answerAlike(prefill, decode, model, prompts(10, prefillLayout.hashCode()), 10);
    }

    /** Retraction: a prompt that is sent anew from other pages; answers that wait on every node's host. */
    @Test
    void memoryThatRunsOutOnEitherSideChangesNothing() {
        PdSide prefill = side(Golden.LLAMA_GQA, "tp 2 on 2", 160, config(4, 16), Mode.PREFILL);
        DisaggregationConfig role =
                PdTraffic.role(Mode.DECODE, TransferBackend.AUTO, registry).withReservedDecodeTokens(0);
        PdSide decode = side(Golden.LLAMA_GQA, "tp 2 on 2", 240, config(4, -1).radixCache(false), role);
        answerAlike(prefill, decode, Golden.LLAMA_GQA, prompts(8, 77), 50);
        assertThat(decode.state().retractedRequests()).isPositive();
    }

    /** The other side hears of it and is free again. */
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void aNodeThatDiesEndsItsRequestsOnBothSides(boolean prefillDies) {
        PdSide prefill = side(Golden.LLAMA_GQA, "tp 2 on 2", 640, config(4, 8), Mode.PREFILL);
        PdSide decode = side(Golden.LLAMA_GQA, "tp 2 on 2", 640, config(4, -1).radixCache(false), Mode.DECODE);
        PdSide dying = prefillDies ? prefill : decode;
        PdSide other = prefillDies ? decode : prefill;
        Random random = new Random(3);
        Map<String, int[]> prompts = Map.of(
                "a",
                random.ints(80, 3, 200).toArray(),
                "b",
                random.ints(70, 3, 200).toArray());
        dying.nodes.node(1).setLayerListeners(rank -> (plan, layer) -> {
            if (plan.step() >= 3) {
                dying.killFollowers();
            }
        });
        PdTraffic.submit(prefill, decode, prompts, 40, registry);
        for (String rid : prompts.keySet()) {
            FinishReason.Abort told = (FinishReason.Abort) dying.finish(rid);
            assertThat(told.statusCode()).isEqualTo(500);
            // The loss of the node's ranks and that of its transfers are noticed one by one.
            assertThat(told.message()).containsAnyOf("node 1", "KVTransferError(bootstrap_room=");
        }
        dying.role.endTransfers();
        if (prefillDies) {
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
