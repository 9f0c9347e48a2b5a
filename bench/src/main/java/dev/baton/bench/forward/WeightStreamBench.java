package dev.baton.bench.forward;

import dev.baton.cuda.CudaDevice;
import dev.baton.cuda.CudaOptions;
import dev.baton.model.DType;
import dev.baton.model.safetensors.Checkpoint;
import dev.baton.model.safetensors.SafetensorsWriter;
import dev.baton.model.safetensors.StoredTensor;
import dev.baton.tensor.DeviceSpan;
import dev.baton.tensor.DeviceSpan.Kind;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.TensorException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;

/**
 * How fast the weights of a safetensors file reach a GPU, beside copies of page-locked memory in the same process, and how
 * much of that time copies run, by CUPTI's records. Each way maps the file anew, so that its pages are met for the first time;
 * they lie in memory where the file was just written.
 *
 * <p>{@code WeightStreamBench FOLDER [GIGABYTES]}: a folder without a checkpoint gets one of random bytes.
 */
public final class WeightStreamBench {
    private static final long LOCKED_BYTES = 256 << 20;
    private static final int COLUMNS = 4096;
    /** Rows of matrices that follow each other, as in a layer of Llama-3.1-8B. */
    private static final int[] ROWS = {4096, 1024, 1024, 4096, 14336, 14336, 14336};

    private WeightStreamBench() {}

    public static void main(String[] arguments) throws IOException {
        Path folder = Path.of(arguments[0]);
        Path file = folder.resolve("model.safetensors");
        if (!Files.exists(file)) {
            write(file, (long) (1e9 * Double.parseDouble(arguments.length > 1 ? arguments[1] : "4")));
        }
        for (int round = 0; round < 3; round++) {
            // A device of its own: what is placed stays until it closes.
            try (CudaDevice device = CudaDevice.open(CudaOptions.of(0, DType.BF16))) {
                double locked = locked(device);
                double direct = stream(device, folder, Way.DRIVER);
                double placed = stream(device, folder, Way.PLACED);
                System.out.printf(
                        Locale.ROOT,
                        "page-locked copy %.1f GB/s, mapped file by the driver alone %.1f (%.2f), as weights are placed %.1f"
                                + " GB/s (%.2f); %s%n",
                        locked,
                        direct,
                        direct / locked,
                        placed,
                        placed / locked,
                        recorded(device, folder));
            }
        }
    }

    /** Places once more, recorded. */
    private static String recorded(CudaDevice device, Path folder) {
        try {
            device.activity().start();
        } catch (TensorException e) {
            return "no record: " + e.getMessage();
        }
        long start = System.nanoTime();
        stream(device, folder, Way.PLACED_UNCHECKED);
        long end = System.nanoTime();
        List<DeviceSpan> copies = device.activity().stop().stream()
                .filter(span -> span.kind() == Kind.COPY)
                .sorted(Comparator.comparingLong(DeviceSpan::startNanos))
                .toList();
        long busy = 0;
        long until = start;
        for (DeviceSpan copy : copies) {
            busy += Math.max(0, copy.endNanos() - Math.max(until, copy.startNanos()));
            until = Math.max(until, copy.endNanos());
        }
        return String.format(
                Locale.ROOT,
                "recorded: %d copies run %.2f of %.1f ms, the first after %.1f ms",
                copies.size(),
                (double) busy / (end - start),
                (end - start) / 1e6,
                (copies.getFirst().startNanos() - start) / 1e6);
    }

    private static void write(Path file, long bytes) throws IOException {
        Files.createDirectories(file.getParent());
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment noise = arena.allocate(2L * COLUMNS * 14336, 64);
            Random random = new Random(1);
            for (long at = 0; at < noise.byteSize(); at += Long.BYTES) {
                noise.set(ValueLayout.JAVA_LONG, at, random.nextLong());
            }
            List<StoredTensor> tensors = new ArrayList<>();
            for (long sum = 0; sum < bytes; sum += tensors.getLast().data().byteSize()) {
                int n = tensors.size();
                int rows = ROWS[n % ROWS.length];
                long[] shape = {rows, COLUMNS};
                tensors.add(new StoredTensor(
                        String.format(Locale.ROOT, "t%05d", n),
                        DType.BF16,
                        shape,
                        noise.asSlice(0, 2L * COLUMNS * rows)));
            }
            SafetensorsWriter.write(file, Map.of(), tensors);
        }
    }

    private static double locked(CudaDevice device) {
        MemorySegment host = device.hostBuffer(LOCKED_BYTES);
        Tensor target = device.allocate(DType.U8, LOCKED_BYTES);
        device.toDevice(host, target);
        device.synchronize();
        int times = 16;
        long start = System.nanoTime();
        for (int i = 0; i < times; i++) {
            device.toDevice(host, target);
        }
        device.synchronize();
        double rate = (double) times * LOCKED_BYTES / (System.nanoTime() - start);
        return rate;
    }

    private enum Way {
        DRIVER,
        PLACED,
        PLACED_UNCHECKED
    }

    /** GB/s of all tensors of the checkpoint; each one is compared afterwards. */
    private static double stream(CudaDevice device, Path folder, Way way) {
        try (Checkpoint checkpoint = Checkpoint.open(folder)) {
            List<Tensor> from = new ArrayList<>();
            for (String name : checkpoint.names()) {
                StoredTensor stored = checkpoint.find(name);
                if (stored != null) {
                    from.add(Tensor.dense(stored.data(), stored.dtype(), stored.shape()));
                }
            }
            List<Tensor> to = new ArrayList<>();
            long bytes = 0;
            device.synchronize();
            long start = System.nanoTime();
            for (Tensor tensor : from) {
                if (way == Way.DRIVER) {
                    Tensor target = device.allocate(tensor.dtype(), tensor.shape());
                    device.toDevice(tensor.memory(), target);
                    to.add(target);
                } else {
                    to.add(device.place(tensor.toString(), tensor));
                }
                bytes += tensor.elements() * tensor.dtype().bytes();
            }
            device.endPlacing();
            device.synchronize();
            double rate = (double) bytes / (System.nanoTime() - start);
            for (int t = 0; t < from.size() && way != Way.PLACED_UNCHECKED; t++) {
                check(device, from.get(t), to.get(t));
            }
            return rate;
        }
    }

    private static void check(CudaDevice device, Tensor from, Tensor to) {
        long bytes = from.elements() * from.dtype().bytes();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment host = arena.allocate(bytes, 64);
            device.toHost(to, host);
            if (host.mismatch(from.memory().asSlice(0, bytes)) >= 0) {
                throw new IllegalStateException(from + " did not arrive as it is");
            }
        }
    }
}
