package dev.baton.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.model.DType;
import dev.baton.tensor.DeviceExchange;
import dev.baton.tensor.PageMover;
import dev.baton.tensor.PageShape;
import dev.baton.tensor.SharedDeviceMemory;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.TensorException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Pages between memories that a GPU reaches, against copies by the host. */
@Tag("gpu")
class PageMoverTest {
    private static final long POOL_BYTES = 4 << 20;
    private static final int PAGES = 30;

    private final Random random = new Random();

    @BeforeAll
    static void needsAGpu() {
        Twin.requireGpu();
    }

    static Stream<PageShape> shapes() {
        return Stream.of(
                new PageShape(64, 512, 0, 512, 0, 512),
                new PageShape(1, 1152, 0, 1152, 0, 1152),
                // One of two heads, on the other side the first of four.
                new PageShape(16, 512, 256, 1024, 0, 256),
                new PageShape(3, 40, 8, 24, 0, 24),
                new PageShape(5, 36, 4, 12, 8, 4),
                new PageShape(7, 18, 2, 18, 4, 14),
                new PageShape(2, 33, 1, 35, 3, 29));
    }

    @ParameterizedTest
    @MethodSource("shapes")
    void pagesArriveWhereTheyBelongAndNowhereElse(PageShape shape) throws Exception {
        try (CudaDevice device = CudaDevice.open(CudaOptions.of(0, DType.BF16));
                PageMover mover = device.exchange().mover()) {
            requireMoved(device, mover, shape);
        }
    }

    @Test
    void pagesCrossToAnotherGpuOfThisProcess() throws Exception {
        Assumptions.assumeTrue(CudaDevice.count() > 1, "one GPU only");
        // A device belongs to the thread that opened it.
        try (ExecutorService other = Executors.newSingleThreadExecutor();
                CudaDevice first = CudaDevice.open(CudaOptions.of(0, DType.BF16));
                PageMover mover = first.exchange().mover()) {
            CudaDevice second = other.submit(() -> CudaDevice.open(CudaOptions.of(1, DType.BF16)))
                    .get();
            Tensor pool =
                    other.submit(() -> second.allocate(DType.U8, POOL_BYTES)).get();
            SharedDeviceMemory shared = other.submit(() -> {
                        second.synchronize();
                        return second.exchange().share(pool);
                    })
                    .get();
            assertThat(shared.isHere()).isTrue();
            MemorySegment reached = mover.open(shared);
            for (PageShape shape : shapes().toList()) {
                requireMoved(
                        first,
                        pool,
                        reached,
                        mover,
                        shape,
                        work -> other.submit(() -> work.accept(second)).get());
            }
            other.submit(second::close).get();
        }
    }

    /** Runs work on the thread of the device that has the target. */
    @FunctionalInterface
    private interface OnTarget {
        void run(Consumer<CudaDevice> work) throws Exception;
    }

    private void requireMoved(CudaDevice device, PageMover mover, PageShape shape) throws Exception {
        Tensor pool = device.allocate(DType.U8, POOL_BYTES);
        requireMoved(device, pool, pool.memory(), mover, shape, work -> work.accept(device));
    }

    private void requireMoved(
            CudaDevice from, Tensor target, MemorySegment reached, PageMover mover, PageShape shape, OnTarget to)
            throws Exception {
        try (Arena arena = Arena.ofShared()) {
            byte[] before = new byte[(int) POOL_BYTES];
            byte[] expected = new byte[(int) POOL_BYTES];
            random.nextBytes(before);
            random.nextBytes(expected);
            Tensor source = from.allocate(DType.U8, POOL_BYTES);
            from.toDevice(arena.allocateFrom(ValueLayout.JAVA_BYTE, before), source);
            from.synchronize();
            MemorySegment start = arena.allocateFrom(ValueLayout.JAVA_BYTE, expected);
            to.run(device -> {
                device.toDevice(start, target);
                device.synchronize();
            });
            int[] fromPages = random.ints(0, PAGES).distinct().limit(11).toArray();
            int[] toPages = random.ints(0, PAGES).distinct().limit(11).toArray();
            // Two buffers of one pool, the second one a page's row further on.
            long second = 1 << 20;
            mover.move(
                    shape,
                    mover.pages(fromPages, toPages),
                    new MemorySegment[] {source.memory(), source.memory().asSlice(second)},
                    new MemorySegment[] {reached, reached.asSlice(second)});
            mover.finish();
            for (long base : new long[] {0, second}) {
                for (int i = 0; i < fromPages.length; i++) {
                    for (int row = 0; row < shape.rows(); row++) {
                        System.arraycopy(
                                before,
                                at(base, fromPages[i], row, shape.rows(), shape.fromStride(), shape.fromOffset()),
                                expected,
                                at(base, toPages[i], row, shape.rows(), shape.toStride(), shape.toOffset()),
                                (int) shape.width());
                    }
                }
            }
            MemorySegment back = arena.allocate(POOL_BYTES);
            to.run(device -> device.toHost(target, back));
            assertThat(Arrays.mismatch(back.toArray(ValueLayout.JAVA_BYTE), expected))
                    .as("first different byte, %s", shape)
                    .isEqualTo(-1);
        }
    }

    private static int at(long base, int page, int row, int rows, long stride, long offset) {
        return (int) (base + ((long) page * rows + row) * stride + offset);
    }

    @Test
    void manyPagesAreSplitIntoSeveralListsAndHostBuffersAreReached() {
        try (CudaDevice device = CudaDevice.open(CudaOptions.of(0, DType.BF16));
                PageMover mover = device.exchange().mover();
                Arena arena = Arena.ofConfined()) {
            int pages = 1 << 20;
            byte[] bytes = new byte[pages * 16];
            random.nextBytes(bytes);
            Tensor source = device.allocate(DType.U8, bytes.length);
            device.toDevice(arena.allocateFrom(ValueLayout.JAVA_BYTE, bytes), source);
            device.synchronize();
            MemorySegment host = mover.hostBuffer(bytes.length);
            int[] straight = new int[pages];
            int[] reversed = new int[pages];
            for (int i = 0; i < pages; i++) {
                straight[i] = i;
                reversed[i] = pages - 1 - i;
            }
            mover.move(
                    new PageShape(1, 16, 0, 16, 0, 16),
                    mover.pages(straight, reversed),
                    new MemorySegment[] {source.memory()},
                    new MemorySegment[] {host});
            mover.finish();
            for (int i = 0; i < pages; i++) {
                assertThat(host.asSlice(16L * reversed[i], 16)
                                .mismatch(MemorySegment.ofArray(bytes).asSlice(16L * i, 16)))
                        .isEqualTo(-1);
            }
        }
    }

    @Test
    void aMarkIsPassedWhenWhatWasQueuedBeforeHasBeenDone() {
        try (CudaDevice device = CudaDevice.open(CudaOptions.of(0, DType.BF16))) {
            DeviceExchange exchange = device.exchange();
            assertThat(exchange.hasPassed(DeviceExchange.NOTHING)).isTrue();
            Tensor a = device.allocate(DType.F32, 1024, 1024);
            for (int i = 0; i < 50; i++) {
                device.ops().add(a, a);
            }
            long mark = exchange.mark();
            device.synchronize();
            assertThat(exchange.hasPassed(mark)).isTrue();
            assertThat(exchange.hasPassed(mark + 1)).isFalse();
        }
    }

    @Test
    void memoryThatCannotBeOpenedIsAnErrorAndSmallMemoryIsNotShared() {
        try (CudaDevice device = CudaDevice.open(CudaOptions.of(0, DType.BF16));
                PageMover mover = device.exchange().mover()) {
            SharedDeviceMemory foreign = new SharedDeviceMemory(
                    SharedDeviceMemory.THIS_PROCESS + 1, "other", 0, 1, POOL_BYTES, new byte[64]);
            assertThatThrownBy(() -> mover.open(foreign))
                    .isInstanceOfSatisfying(
                            TensorException.class,
                            e -> assertThat(e.code()).isEqualTo(TensorException.Code.UNAVAILABLE))
                    .hasMessageContaining("cuIpcOpenMemHandle");
            assertThatThrownBy(() -> device.exchange().share(device.allocate(DType.U8, 100)))
                    .hasMessageContaining("too small");
        }
    }
}
