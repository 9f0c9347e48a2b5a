package dev.baton.engine.balance;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.engine.EngineException;
import dev.baton.engine.forward.Golden;
import dev.baton.model.config.ModelConfig;
import dev.baton.trace.expert.EplbAlgorithm;
import dev.baton.trace.expert.ExpertFile;
import dev.baton.trace.expert.InitialLocation;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** What does not fit is refused with the numbers. */
class BalanceOptionsTest {
    /** 16 experts, 3 layers, the first of them dense. */
    private static final ModelConfig MODEL = ModelConfig.read(Golden.folder(Golden.DEEPSEEK));

    private static BalanceOptions options(String location, int redundant) {
        return BalanceOptions.NONE.withSlots(ExpertFile.location(location), redundant, null);
    }

    private static @Nullable ExpertBalance plan(BalanceOptions options, int ranks) {
        return ExpertBalance.of(options, MODEL, 1, ranks, ranks, 1, RanksHere.all(ranks), (peers, depth) -> Map.of());
    }

    private static void refused(Runnable what, String... parts) {
        assertThatThrownBy(what::run)
                .isInstanceOfSatisfying(
                        EngineException.class, e -> assertThat(e.code()).isEqualTo(EngineException.Code.CONFIGURATION))
                .satisfies(e -> assertThat(e.getMessage()).contains(parts));
    }

    @Test
    void slotsMustDivideOverTheRanks() {
        int experts = java.util.Objects.requireNonNull(MODEL.moe()).experts();
        int redundant = 1;
        refused(
                () -> plan(options("trivial", redundant), 4),
                "--ep-num-redundant-experts 1: " + experts + " + 1 = " + (experts + 1) + " slots do not divide over"
                        + " --ep-size 4: " + (experts + 1) + " = " + experts / 4 + " * 4 + 1; choose 0");
        assertThat(plan(options("trivial", 4), 4)).isNotNull();
    }

    @Test
    void locationsMustFitTheModel() {
        refused(
                () -> plan(options("{\"physical_to_logical_map\": [[0]]}", 0), 1),
                "the JSON of --init-expert-location: physical_to_logical_map has 1 layers, the model has "
                        + MODEL.layers());
        refused(
                () -> plan(options(json("physical_to_logical_map", 20, i -> i % 16), 0), 1),
                "has 20 slots, the server has 16 experts + 0 redundant = 16; set --ep-num-redundant-experts 4");
        refused(
                () -> plan(options(json("physical_to_logical_map", 16, i -> 3), 0), 1),
                "has no slot for expert 0 in layer 1");
        refused(
                () -> plan(options(json("physical_to_logical_map", 16, i -> i + 1), 0), 1),
                "names expert 16 in layer 1, the model has 0 to 15");
        refused(() -> plan(options(json("logical_count", 8, i -> i), 0), 1), "x 8 experts, the model has");
        refused(() -> plan(options(json("logical_count", 16, i -> 0), 0), 1), "is zero everywhere");
        refused(() -> plan(options(json("logical_count", 16, i -> -1), 0), 1), "below 0");
        ExpertBalance planned = plan(options(json("logical_count", 16, i -> i == 5 ? 900 : 10), 4), 4);
        assertThat(java.util.Objects.requireNonNull(planned).initial(1).replicasOf(5))
                .hasSizeGreaterThan(2);
    }

    private static String json(String key, int columns, java.util.function.IntUnaryOperator value) {
        String row = java.util.stream.IntStream.range(0, columns)
                .map(value)
                .boxed()
                .toList()
                .toString();
        return "{\"" + key + "\": " + java.util.Collections.nCopies(MODEL.layers(), row) + "}";
    }

    @Test
    void flagsThatContradictEachOtherAreRefused() {
        refused(() -> plan(BalanceOptions.NONE.withRebalancing(10, 0, 1), 1), "--ep-size is 1", "at least 2");
        refused(() -> BalanceOptions.NONE.withRebalancing(10, 0, 1.5), "from 0 to 1", "1.5");
        refused(() -> BalanceOptions.NONE.withRecorder(RecorderMode.STAT, 0), "buffer-size", "at least 1");
        refused(
                () -> new BalanceOptions(
                        new InitialLocation.Trivial(), 0, null, EplbAlgorithm.AUTO, true, 100, 0, 1, null, 200, false),
                "--eplb-rebalance-num-iterations 100 is less than --expert-distribution-recorder-buffer-size 200");
        refused(
                () -> BalanceOptions.NONE
                        .withSlots(new InitialLocation.Trivial(), 0, DispatchAlgorithm.FAKE)
                        .withRebalancing(10, 0, 1),
                "nothing to balance");
        refused(
                () -> ExpertBalance.of(
                        options("trivial", 4),
                        ModelConfig.read(Golden.folder(Golden.LLAMA_TIED)),
                        1,
                        1,
                        1,
                        1,
                        RanksHere.all(1),
                        (peers, depth) -> Map.of()),
                "has no experts");
    }

    @Test
    void replicasAreChosenStaticallyWhereThereIsAChoice() {
        assertThat(BalanceOptions.NONE.effectiveDispatch()).isNull();
        assertThat(BalanceOptions.NONE.effectiveRecorder()).isNull();
        assertThat(options("trivial", 4).effectiveDispatch()).isEqualTo(DispatchAlgorithm.STATIC);
        BalanceOptions moving = BalanceOptions.NONE.withRebalancing(10, 0, 1);
        assertThat(moving.effectiveDispatch()).isEqualTo(DispatchAlgorithm.STATIC);
        assertThat(moving.effectiveRecorder()).isEqualTo(RecorderMode.STAT);
    }
}
