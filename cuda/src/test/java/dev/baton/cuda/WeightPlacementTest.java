package dev.baton.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.model.DType;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.TensorException;
import dev.baton.tensor.Weight;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Weights that are placed on a GPU, read back. */
@Tag("gpu")
final class WeightPlacementTest {
    private final Random random = new Random();

    @BeforeAll
    static void needsAGpu() {
        Twin.requireGpu();
    }

    @Test
    void everyTensorArrivesWhole() {
        try (CudaDevice device = CudaDevice.open(CudaOptions.of(0, DType.BF16));
                Arena shared = Arena.ofShared();
                Arena own = Arena.ofConfined()) {
            for (int round = 0; round < 2; round++) {
                List<Tensor> hosts = new ArrayList<>();
                List<Tensor> placed = new ArrayList<>();
                hosts.add(tensor(shared, 3, 1_500_001, 1_500_001));
                hosts.add(tensor(shared, 4099, 2999, 3001));
                hosts.add(tensor(own, 501, 777, 1000));
                hosts.add(new Tensor(MemorySegment.ofArray(bytes(2 * 33 * 101)), DType.BF16, 101, 33, 77));
                hosts.add(tensor(shared, 0, 5, 5));
                for (int t = 0; t < 300; t++) {
                    int columns = 1 + random.nextInt(900);
                    hosts.add(tensor(shared, 1 + random.nextInt(60), columns, columns + random.nextInt(3)));
                }
                for (int t = 0; t < hosts.size(); t++) {
                    placed.add(device.place("t" + t, hosts.get(t)));
                }
                device.endPlacing();
                for (int t = 0; t < hosts.size(); t++) {
                    requireEqual(device, hosts.get(t), placed.get(t));
                }
            }
        }
    }

    @Test
    void layersPlacedInARowAreMergedWhereTheyLie() {
        try (CudaDevice device = CudaDevice.open(CudaOptions.of(0, DType.BF16));
                Arena arena = Arena.ofShared()) {
            for (int layer = 0; layer < 40; layer++) {
                List<Tensor> hosts = hosts(arena, 1024);
                List<Weight> parts = place(device, hosts);
                Weight merged = Objects.requireNonNull(device.merge(parts));
                assertThat(merged.matrix().memory().address())
                        .isEqualTo(parts.getFirst().matrix().memory().address());
                device.endPlacing();
                requireRows(device, merged.matrix(), hosts);
            }
        }
    }

    /** Sizes that are no multiples of 256 bytes leave gaps. */
    @Test
    void layersWithGapsBetweenThemAreCopiedTogether() {
        try (CudaDevice device = CudaDevice.open(CudaOptions.of(0, DType.BF16));
                Arena arena = Arena.ofShared()) {
            for (int layer = 0; layer < 6; layer++) {
                List<Tensor> hosts = hosts(arena, 1001);
                Weight merged = Objects.requireNonNull(device.merge(place(device, hosts)));
                device.endPlacing();
                requireRows(device, merged.matrix(), hosts);
            }
        }
    }

    private List<Tensor> hosts(Arena arena, int columns) {
        return IntStream.of(1234, 1, 77)
                .mapToObj(rows -> tensor(arena, rows, columns, columns))
                .toList();
    }

    private static List<Weight> place(CudaDevice device, List<Tensor> hosts) {
        return hosts.stream().map(host -> Weight.of(device.place("part", host))).toList();
    }

    private static void requireRows(CudaDevice device, Tensor whole, List<Tensor> parts) {
        int row = 0;
        for (Tensor part : parts) {
            requireEqual(device, part, whole.rowRange(row, part.rows()));
            row += part.rows();
        }
        assertThat(whole.rows()).isEqualTo(row);
    }

    @Test
    void aFileThatIsCutShortIsNamedAndTheDeviceLivesOn(@TempDir Path folder) throws IOException {
        Path file = folder.resolve("weights");
        int size = 4 << 20;
        Files.write(file, new byte[size]);
        try (Arena arena = Arena.ofShared();
                FileChannel channel = FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE);
                CudaDevice device = CudaDevice.open(CudaOptions.of(0, DType.BF16))) {
            MemorySegment mapped = channel.map(MapMode.READ_ONLY, 0, size, arena);
            channel.truncate(8192);
            device.place("layer.3", Tensor.dense(mapped, DType.U8, size));
            assertThatThrownBy(device::endPlacing)
                    .isInstanceOf(TensorException.class)
                    .hasMessageContaining("layer.3");
            Tensor host = tensor(arena, 700, 900, 900);
            Tensor placed = device.place("sound", host);
            device.endPlacing();
            requireEqual(device, host, placed);
        }
    }

    private byte[] bytes(int count) {
        byte[] bytes = new byte[count];
        random.nextBytes(bytes);
        return bytes;
    }

    private Tensor tensor(Arena arena, int rows, int columns, int stride) {
        MemorySegment memory = arena.allocate(Math.max(1, 2L * rows * stride), 64);
        memory.copyFrom(MemorySegment.ofArray(bytes(2 * rows * stride)));
        return new Tensor(memory, DType.BF16, stride, rows, columns);
    }

    private static void requireEqual(CudaDevice device, Tensor host, Tensor placed) {
        HostRows rows = HostRows.of(host);
        byte[] expected = new byte[(int) rows.bytes()];
        byte[] got = new byte[expected.length];
        if (got.length > 0) {
            rows.pack(0, expected.length, MemorySegment.ofArray(expected));
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment back = arena.allocate(got.length);
                device.toHost(placed, back);
                MemorySegment.copy(back, 0, MemorySegment.ofArray(got), 0, got.length);
            }
        }
        assertThat(Arrays.mismatch(got, expected)).as(host.toString()).isEqualTo(-1);
    }
}
