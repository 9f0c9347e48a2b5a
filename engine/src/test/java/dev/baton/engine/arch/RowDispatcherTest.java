package dev.baton.engine.arch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.baton.engine.EngineException;
import dev.baton.engine.arch.DispatchOptions.Overlap;
import dev.baton.engine.arch.RankCommunicators.Member;
import dev.baton.model.DType;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.cpu.CpuDevice;
import dev.baton.tensor.cpu.CpuOptions;
import dev.baton.tensor.parallel.Communicator;
import dev.baton.tensor.parallel.LocalCommunicator;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class RowDispatcherTest {
    private static final int HIDDEN = 200;
    private static final int TOP_K = 3;
    private static final int SLOTS = 8;
    private static final int MOST = 12;

    static Stream<Arguments> ways() {
        return Stream.of(AllToAll.NORMAL, AllToAll.LOW_LATENCY)
                .flatMap(mode -> Stream.of(WireFormat.values())
                        .flatMap(format -> Stream.of(1, 2, 4).map(ranks -> Arguments.of(mode, format, ranks))));
    }

    /** With experts that change nothing, a token comes back as itself times the sum of its weights. */
    @ParameterizedTest(name = "{0}, {1}, {2} ranks")
    @MethodSource("ways")
    void dispatchThenCombineIsTheIdentityForIdentityExperts(AllToAll mode, WireFormat format, int ranks)
            throws Exception {
        List<Communicator> group = LocalCommunicator.group(ranks, Duration.ofSeconds(20));
        try (ExecutorService pool = Executors.newFixedThreadPool(ranks)) {
            List<Future<?>> all = new ArrayList<>();
            for (int r = 0; r < ranks; r++) {
                int rank = r;
                all.add(pool.submit(() -> run(mode, format, rank, ranks, group.get(rank))));
            }
            for (Future<?> one : all) {
                one.get(60, TimeUnit.SECONDS);
            }
        }
    }

    private static void run(AllToAll mode, WireFormat format, int rank, int ranks, Communicator communicator) {
        try (CpuDevice device = CpuDevice.open(CpuOptions.of(1));
                CommunicationQueue queue = CommunicationQueue.threaded("dispatch-" + rank)) {
            WorkspacePlan plan = new WorkspacePlan(DType.F32);
            DispatchOptions options = new DispatchOptions(format, MOST, Overlap.SINGLE_BATCH);
            RowDispatcher dispatcher = new RowDispatcher(mode, options, HIDDEN, TOP_K, ranks, SLOTS / ranks, plan);
            Workspace workspace = new Workspace(device, plan, MOST * ranks);
            Member member =
                    new Member(communicator, IntStream.range(0, ranks).boxed().toList());
            for (int round = 0; round < 20; round++) {
                Random random = new Random(31L * round + rank);
                int tokens = random.nextInt(MOST + 1) * (random.nextInt(4) == 0 ? 0 : 1);
                ForwardContext context = new ForwardContext(
                        device.ops(),
                        new RankCommunicators(member, member, member),
                        workspace,
                        List.of(),
                        null,
                        StepShape.single(tokens, tokens, mode == AllToAll.NORMAL),
                        queue);
                oneLayer(device, dispatcher, context, random, tokens, format);
            }
        }
    }

    private static void oneLayer(
            CpuDevice device,
            RowDispatcher dispatcher,
            ForwardContext context,
            Random random,
            int tokens,
            WireFormat format) {
        Tensor x = device.allocate(DType.F32, tokens, HIDDEN);
        Tensor ids = device.allocate(DType.I32, tokens, TOP_K);
        Tensor weights = device.allocate(DType.F32, tokens, TOP_K);
        Tensor out = device.allocate(DType.F32, tokens, HIDDEN);
        float[] sums = new float[tokens];
        for (int t = 0; t < tokens; t++) {
            for (int i = 0; i < HIDDEN; i++) {
                x.memory().setAtIndex(ValueLayout.JAVA_FLOAT, (long) t * HIDDEN + i, random.nextFloat() - 0.5f);
            }
            for (int k = 0; k < TOP_K; k++) {
                int id = random.nextInt(SLOTS + 1) - 1;
                float weight = random.nextFloat();
                ids.memory().setAtIndex(ValueLayout.JAVA_INT, (long) t * TOP_K + k, id);
                weights.memory().setAtIndex(ValueLayout.JAVA_FLOAT, (long) t * TOP_K + k, weight);
                sums[t] += id < 0 ? 0 : weight;
            }
        }
        Dispatcher.Flight flight = dispatcher.dispatchA(context, x, ids, weights);
        Dispatcher.Received here = flight.dispatchB();
        for (int r = 0; r < here.x().rows(); r++) {
            float factor = 0;
            for (int k = 0; k < TOP_K; k++) {
                if (here.ids().memory().getAtIndex(ValueLayout.JAVA_INT, (long) r * TOP_K + k) >= 0) {
                    factor += here.weights().memory().getAtIndex(ValueLayout.JAVA_FLOAT, (long) r * TOP_K + k);
                }
            }
            for (int i = 0; i < HIDDEN; i++) {
                long at = (long) r * HIDDEN + i;
                here.results()
                        .memory()
                        .setAtIndex(
                                ValueLayout.JAVA_FLOAT,
                                at,
                                factor * here.x().memory().getAtIndex(ValueLayout.JAVA_FLOAT, at));
            }
        }
        flight.combineA(here.results());
        flight.combineB(out);
        // Half a step of the format's mantissa, of values and of results; the group's largest value is below 0.5.
        double tolerance = switch (format) {
            case F32 -> 1e-6;
            case BF16 -> 0.01;
            case FP8 -> 0.06;
        };
        for (int t = 0; t < tokens; t++) {
            for (int i = 0; i < HIDDEN; i++) {
                long at = (long) t * HIDDEN + i;
                double expected = sums[t] * x.memory().getAtIndex(ValueLayout.JAVA_FLOAT, at);
                assertThat((double) out.memory().getAtIndex(ValueLayout.JAVA_FLOAT, at))
                        .isCloseTo(expected, within(tolerance * Math.max(1, sums[t])));
            }
        }
        assertThatThrownBy(() -> flight.combineB(out)).isInstanceOf(IllegalStateException.class);
    }

    @Test
    void buffersThatAStepWouldNotFitAreRefused() {
        DispatchOptions options = new DispatchOptions(WireFormat.F32, 16, Overlap.NONE);
        options.requireFits(AllToAll.NORMAL, 2048, 64, 1);
        options.requireFits(AllToAll.AUTO, 2048, 64, 4);
        assertThatThrownBy(() -> options.requireFits(AllToAll.AUTO, 2048, 65, 4))
                .isInstanceOf(EngineException.class)
                .hasMessageContaining("65 tokens on 4 ranks, 17 each")
                .hasMessageContaining("hold 16")
                .hasMessageContaining("--max-running-requests");
        assertThatThrownBy(() -> options.requireFits(AllToAll.LOW_LATENCY, 2048, 4, 1))
                .hasMessageContaining("--deepep-mode auto");
        assertThatThrownBy(() -> new DispatchOptions(WireFormat.F32, 0, Overlap.NONE))
                .hasMessageContaining("got 0");
    }
}
