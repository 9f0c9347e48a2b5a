package dev.baton.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.model.DType;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.TensorException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** How tensors find their way through several threads, to memory of the host that stands for a device's. */
@Timeout(60)
final class WeightStreamTest {
    private static final int WORKERS = 5;
    private static final long PIECE_BYTES = 4099;

    private final Random random = new Random();
    private final AtomicInteger open = new AtomicInteger();

    /** Copies late: what was sent arrives when somebody waits for it. */
    private final class HostLane implements WeightLane {
        private final MemorySegment device;
        private final List<Runnable> queued = new ArrayList<>();

        HostLane(MemorySegment device) {
            this.device = device;
            open.incrementAndGet();
        }

        @Override
        public void send(HostRows rows, long at, long count, long target) {
            MemorySegment piece = MemorySegment.ofArray(new byte[(int) count]);
            rows.pack(at, count, piece);
            queued.add(() -> MemorySegment.copy(piece, 0, device, target + at, count));
        }

        @Override
        public long pieceBytes() {
            return PIECE_BYTES;
        }

        @Override
        public void arrived() {
            queued.forEach(Runnable::run);
            queued.clear();
        }

        @Override
        public void close() {
            assertThat(queued).isEmpty();
            open.decrementAndGet();
        }
    }

    @Test
    void manyTensorsArriveWholeAndNothingElseIsTouched() {
        try (Arena arena = Arena.ofShared()) {
            MemorySegment device = arena.allocate(8 << 20);
            byte[] expected = new byte[8 << 20];
            try (WeightStream stream = new WeightStream(WORKERS, () -> new HostLane(device))) {
                int at = 0;
                for (int t = 0; t < 400; t++) {
                    Tensor tensor = tensor(arena, t);
                    byte[] dense = dense(tensor);
                    if (at + dense.length + 8 > expected.length) {
                        break;
                    }
                    stream.send("t" + t, tensor, at);
                    System.arraycopy(dense, 0, expected, at, dense.length);
                    at += dense.length + random.nextInt(8);
                    if (t % 97 == 0) {
                        stream.await();
                        assertThat(device.asSlice(0, at)
                                        .mismatch(
                                                MemorySegment.ofArray(expected).asSlice(0, at)))
                                .isEqualTo(-1);
                    }
                }
                stream.await();
                assertThat(device.mismatch(MemorySegment.ofArray(expected))).isEqualTo(-1);
            }
            assertThat(open).hasValue(0);
        }
    }

    /** Dense or strided, of one element up to some pieces. */
    private Tensor tensor(Arena arena, int t) {
        int rows = 1 + random.nextInt(t % 3 == 0 ? 3 : 90);
        int columns = 1 + random.nextInt(500);
        int stride = columns + (t % 2 == 0 ? 0 : random.nextInt(40));
        byte[] bytes = new byte[2 * rows * stride];
        random.nextBytes(bytes);
        MemorySegment memory = arena.allocate(bytes.length);
        memory.copyFrom(MemorySegment.ofArray(bytes));
        return new Tensor(memory, DType.BF16, stride, rows, columns);
    }

    private static byte[] dense(Tensor tensor) {
        HostRows rows = HostRows.of(tensor);
        byte[] bytes = new byte[(int) rows.bytes()];
        rows.pack(0, bytes.length, MemorySegment.ofArray(bytes));
        return bytes;
    }

    @Test
    void memoryOfOneThreadIsRefused() {
        try (Arena own = Arena.ofConfined();
                WeightStream stream = new WeightStream(1, () -> new HostLane(MemorySegment.ofArray(new byte[8])))) {
            assertThat(stream.reads(own.allocate(8))).isFalse();
            assertThat(stream.reads(MemorySegment.ofArray(new byte[8]))).isTrue();
        }
    }

    @Test
    void aFileThatIsCutShortIsNamed(@TempDir Path folder) throws IOException {
        Path file = folder.resolve("weights");
        Files.write(file, new byte[1 << 20]);
        try (Arena arena = Arena.ofShared();
                FileChannel channel = FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            MemorySegment mapped = channel.map(MapMode.READ_ONLY, 0, 1 << 20, arena);
            MemorySegment device = arena.allocate(1 << 20);
            WeightStream stream = new WeightStream(WORKERS, () -> new HostLane(device));
            stream.send("whole", Tensor.dense(mapped.asSlice(0, 4096), DType.U8, 4096), 0);
            stream.await();
            channel.truncate(8192);
            stream.send("layer.3", Tensor.dense(mapped, DType.U8, 1 << 20), 0);
            assertThatThrownBy(stream::await)
                    .isInstanceOf(TensorException.class)
                    .hasMessageContainingAll("layer.3", "cut short");
            assertThatThrownBy(() -> stream.send("later", Tensor.dense(device, DType.U8, 1 << 20), 0))
                    .hasMessageContaining("layer.3");
            stream.close();
            assertThat(open).hasValue(0);
        }
    }

    @Test
    void lanesThatDoNotOpenEndTheWait() {
        AtomicInteger made = new AtomicInteger();
        try (Arena arena = Arena.ofShared();
                WeightStream stream = new WeightStream(WORKERS, () -> {
                    if (made.incrementAndGet() == 3) {
                        throw new TensorException(TensorException.Code.OUT_OF_MEMORY, "no memory to lock");
                    }
                    return new HostLane(arena.allocate(16));
                })) {
            assertThatThrownBy(() -> {
                        while (true) {
                            stream.send("any", Tensor.dense(arena.allocate(16), DType.U8, 16), 0);
                            stream.await();
                        }
                    })
                    .isInstanceOfSatisfying(
                            TensorException.class,
                            e -> assertThat(e.code()).isEqualTo(TensorException.Code.OUT_OF_MEMORY))
                    .hasMessageContaining("no memory to lock");
        }
        assertThat(open).hasValue(0);
    }
}
