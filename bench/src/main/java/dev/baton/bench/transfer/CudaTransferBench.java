package dev.baton.bench.transfer;

import dev.baton.cuda.CudaDevice;
import dev.baton.cuda.CudaOptions;
import dev.baton.engine.disagg.transfer.AuxRecord;
import dev.baton.engine.disagg.transfer.HeadShare;
import dev.baton.engine.disagg.transfer.KvLayout;
import dev.baton.engine.disagg.transfer.KvPoll;
import dev.baton.engine.disagg.transfer.KvReceiver;
import dev.baton.engine.disagg.transfer.KvRegion;
import dev.baton.engine.disagg.transfer.KvSender;
import dev.baton.engine.disagg.transfer.PrefillLocator;
import dev.baton.engine.disagg.transfer.SocketDecodeTransfer;
import dev.baton.engine.disagg.transfer.SocketPrefillTransfer;
import dev.baton.engine.disagg.transfer.TransferBackend;
import dev.baton.engine.disagg.transfer.TransferOptions;
import dev.baton.engine.request.EngineRequest.Bootstrap;
import dev.baton.model.DType;
import dev.baton.tensor.PageMover;
import dev.baton.tensor.PageShape;
import dev.baton.tensor.SharedDeviceMemory;
import dev.baton.tensor.Tensor;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.concurrent.locks.LockSupport;

/**
 * KV of some prompts from a prefill process's GPU to a decode process's, beside plain copies of as many bytes into the
 * same memory of the other process: copy, transfer, copy, transfer.
 *
 * <p>Time is wall-clock in the prefill process, for transfers from the first {@link KvSender#send} to the decode server's
 * last confirmation. Both rates count the bytes of KV once.
 *
 * <pre>
 * CudaTransferBench [--prefill-gpu N] [--decode-gpu N] [--prompts N] [--tokens N] [--rounds N]
 * </pre>
 */
public final class CudaTransferBench {
    /** Qwen2.5-3B: 2 key/value heads of 128 in BF16; DeepSeek-V3: a latent of 576. */
    private enum Shape {
        GROUPED(36, 2, 512),
        LATENT(61, 1, 1152);

        private final int layers;
        private final int perLayer;
        private final int tokenBytes;

        Shape(int layers, int perLayer, int tokenBytes) {
            this.layers = layers;
            this.perLayer = perLayer;
            this.tokenBytes = tokenBytes;
        }

        KvLayout layout(int page) {
            return KvLayout.uniform(
                    name().toLowerCase(Locale.ROOT), layers, perLayer, page, HeadShare.whole(1), "BF16", tokenBytes);
        }
    }

    private record Case(TransferBackend backend, Shape shape, int page, boolean scattered) {
        String words() {
            return backend + "," + shape + "," + page + "," + scattered;
        }

        static Case of(String words) {
            String[] w = words.split(",", -1);
            return new Case(
                    TransferBackend.valueOf(w[0]),
                    Shape.valueOf(w[1]),
                    Integer.parseInt(w[2]),
                    Boolean.parseBoolean(w[3]));
        }
    }

    private static final int WARM_UP = 3;

    private static final List<Case> CASES = List.of(
            new Case(TransferBackend.SHM, Shape.GROUPED, 64, false),
            new Case(TransferBackend.SHM, Shape.GROUPED, 64, true),
            new Case(TransferBackend.SHM, Shape.GROUPED, 1, true),
            new Case(TransferBackend.SHM, Shape.LATENT, 64, true),
            new Case(TransferBackend.SHM, Shape.LATENT, 1, true),
            new Case(TransferBackend.TCP, Shape.GROUPED, 64, true));

    private final int prefillGpu;
    private final int decodeGpu;
    private final int prompts;
    private final int tokens;
    private final int rounds;

    private CudaTransferBench(List<String> options) {
        this.prefillGpu = number(options, "--prefill-gpu", 0);
        this.decodeGpu = number(options, "--decode-gpu", 0);
        this.prompts = number(options, "--prompts", 8);
        this.tokens = number(options, "--tokens", 8192);
        this.rounds = number(options, "--rounds", 9);
    }

    public static void main(String[] arguments) throws Exception {
        List<String> options = Arrays.asList(arguments);
        CudaTransferBench bench = new CudaTransferBench(options);
        int at = options.indexOf("--prefill");
        if (at >= 0) {
            bench.prefill(Case.of(options.get(at + 1)));
            return;
        }
        System.out.printf(
                Locale.ROOT,
                "GPU %d to GPU %d, %d prompts of %d tokens, %d rounds%n%-8s %-8s %4s %-9s %8s %12s %12s %12s %7s%n",
                bench.prefillGpu,
                bench.decodeGpu,
                bench.prompts,
                bench.tokens,
                bench.rounds,
                "backend",
                "layout",
                "page",
                "pages",
                "MB",
                "copy",
                "kernel",
                "transfer",
                "share");
        for (Case one : CASES) {
            bench.decode(one, options);
        }
    }

    private static int number(List<String> options, String name, int otherwise) {
        int at = options.indexOf(name);
        return at < 0 ? otherwise : Integer.parseInt(options.get(at + 1));
    }

    private static long pool(KvLayout layout, int pages, List<Long> offsets) {
        long bytes = 0;
        for (int b = 0; b < layout.buffers().size(); b++) {
            offsets.add(bytes);
            bytes += layout.pageBytes(b) * pages;
        }
        return (bytes + (2 << 20) - 1) / (2 << 20) * (2 << 20);
    }

    private static KvRegion region(CudaDevice device, KvLayout layout, int pages, boolean shared) {
        List<Long> offsets = new ArrayList<>();
        Tensor whole = device.allocate(DType.U8, pool(layout, pages, offsets));
        device.synchronize();
        List<MemorySegment> buffers = new ArrayList<>();
        for (int b = 0; b < offsets.size(); b++) {
            buffers.add(whole.memory().asSlice(offsets.get(b), layout.pageBytes(b) * pages));
        }
        SharedDeviceMemory handle = shared ? device.exchange().share(whole) : null;
        return new KvRegion(layout, buffers, null, new KvRegion.DevicePool(device.exchange(), handle));
    }

    /** Receives every prompt; the child prints the figures. */
    private void decode(Case one, List<String> options) throws Exception {
        KvLayout layout = one.shape().layout(one.page());
        int pages = layout.pages(tokens);
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules",
                "jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                CudaTransferBench.class.getName()));
        command.addAll(options);
        command.addAll(List.of("--prefill", one.words()));
        Process child = new ProcessBuilder(command)
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        try (CudaDevice device = CudaDevice.open(CudaOptions.of(decodeGpu, DType.BF16));
                BufferedReader out =
                        new BufferedReader(new InputStreamReader(child.getInputStream(), StandardCharsets.UTF_8));
                BufferedWriter in =
                        new BufferedWriter(new OutputStreamWriter(child.getOutputStream(), StandardCharsets.UTF_8))) {
            KvRegion region = region(device, layout, prompts * pages + 1, true);
            SharedDeviceMemory shared = region.device().shared();
            in.write(shared.process() + " " + shared.device() + " " + shared.ordinal() + " " + shared.address() + " "
                    + shared.bytes() + " " + HexFormat.of().formatHex(shared.handle()) + "\n");
            in.flush();
            int port = Integer.parseInt(String.valueOf(out.readLine()));
            InetSocketAddress address = new InetSocketAddress(InetAddress.getLoopbackAddress(), port);
            PrefillLocator locator = bootstrap -> PrefillLocator.Group.oneStage(List.of(address));
            try (SocketDecodeTransfer decode = new SocketDecodeTransfer(
                    TransferOptions.defaults(one.backend(), "decode benchmark"), List.of(region), locator)) {
                for (int round = 0; round < WARM_UP + rounds; round++) {
                    receive(decode, device, region, one, pages, round);
                    in.write("next\n");
                    in.flush();
                }
                System.out.println(out.readLine());
            }
        } finally {
            child.destroyForcibly().waitFor();
        }
    }

    private void receive(
            SocketDecodeTransfer decode, CudaDevice device, KvRegion region, Case one, int pages, int round)
            throws IOException {
        List<KvReceiver> receivers = new ArrayList<>();
        for (int prompt = 0; prompt < prompts; prompt++) {
            receivers.add(decode.open(new Bootstrap("localhost", 8998, (long) round * prompts + prompt)));
        }
        int[] all = pageNumbers(one, prompts * pages, 2L * round + 1);
        for (int prompt = 0; prompt < prompts; prompt++) {
            KvReceiver receiver = receivers.get(prompt);
            while (receiver.poll() == KvPoll.BOOTSTRAPPING) {
                LockSupport.parkNanos(100_000);
            }
            receiver.reserve(Arrays.copyOfRange(all, prompt * pages, (prompt + 1) * pages));
        }
        for (int prompt = 0; prompt < prompts; prompt++) {
            try (KvReceiver receiver = receivers.get(prompt)) {
                while (!receiver.poll().isFinal()) {
                    LockSupport.parkNanos(200_000);
                }
                if (receiver.poll() != KvPoll.SUCCESS) {
                    throw new IOException("room " + receiver.room() + ": " + receiver.failure());
                }
            }
        }
        if (round == 0) {
            check(device, region, all, pages);
        }
    }

    /** The first and last token of every page of the first and last prompt and of some buffers. */
    private void check(CudaDevice device, KvRegion region, int[] all, int pages) throws IOException {
        KvLayout layout = region.layout();
        try (Arena arena = Arena.ofConfined()) {
            for (int b = 0; b < layout.buffers().size(); b += 7) {
                MemorySegment buffer = region.buffers().get(b);
                MemorySegment host = arena.allocate(buffer.byteSize(), 64);
                device.toHost(Tensor.dense(buffer, DType.U8, buffer.byteSize()), host);
                for (int prompt = 0; prompt < prompts; prompt += Math.max(1, prompts - 1)) {
                    for (int p = 0; p < pages; p++) {
                        long there = all[prompt * pages + p] * layout.pageBytes(b);
                        long got = host.get(ValueLayout.JAVA_LONG_UNALIGNED, there);
                        long last = host.get(ValueLayout.JAVA_LONG_UNALIGNED, there + layout.pageBytes(b) - Long.BYTES);
                        if (got != number(b, p, 0) || last != number(b, p, 1)) {
                            throw new IOException("buffer " + b + ", page " + p + " of prompt " + prompt
                                    + " did not arrive: " + got + " " + last);
                        }
                    }
                }
            }
        }
    }

    private static long number(int buffer, int page, int end) {
        return (buffer * 1_000_003L + page) * 2 + end;
    }

    /** Writes what {@link #check} looks for. */
    private static void fill(CudaDevice device, KvRegion region, int[] numbers) {
        KvLayout layout = region.layout();
        try (Arena arena = Arena.ofConfined()) {
            for (int b = 0; b < layout.buffers().size(); b++) {
                MemorySegment buffer = region.buffers().get(b);
                MemorySegment host = arena.allocate(buffer.byteSize(), 64);
                byte[] noise = new byte[1 << 16];
                new Random(b).nextBytes(noise);
                for (long at = 0; at < host.byteSize(); at += noise.length) {
                    MemorySegment.copy(noise, 0, host, ValueLayout.JAVA_BYTE, at, (int)
                            Math.min(noise.length, host.byteSize() - at));
                }
                for (int p = 0; p < numbers.length; p++) {
                    long at = numbers[p] * layout.pageBytes(b);
                    host.set(ValueLayout.JAVA_LONG_UNALIGNED, at, number(b, p, 0));
                    host.set(ValueLayout.JAVA_LONG_UNALIGNED, at + layout.pageBytes(b) - Long.BYTES, number(b, p, 1));
                }
                device.toDevice(host, Tensor.dense(buffer, DType.U8, buffer.byteSize()));
                device.synchronize();
            }
        }
    }

    private void prefill(Case one) throws Exception {
        KvLayout layout = one.shape().layout(one.page());
        int pages = layout.pages(tokens);
        BufferedReader parent = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        String[] told = parent.readLine().split(" ", -1);
        SharedDeviceMemory peer = new SharedDeviceMemory(
                Long.parseLong(told[0]),
                told[1],
                Integer.parseInt(told[2]),
                Long.parseLong(told[3]),
                Long.parseLong(told[4]),
                HexFormat.of().parseHex(told[5]));
        try (CudaDevice device = CudaDevice.open(CudaOptions.of(prefillGpu, DType.BF16));
                PageMover mover = device.exchange().mover()) {
            KvRegion region = region(device, layout, pages + 1, false);
            int[] numbers = pageNumbers(one, pages, 0);
            fill(device, region, numbers);
            MemorySegment target = mover.open(peer);
            long bytes = layout.pageBytes() * pages;
            double[] copy = new double[rounds];
            double[] kernel = new double[rounds];
            double[] transfer = new double[rounds];
            double[] share = new double[rounds];
            try (SocketPrefillTransfer prefill = new SocketPrefillTransfer(
                    TransferOptions.defaults(one.backend(), "prefill benchmark"), List.of(region))) {
                System.out.println(prefill.address().getPort());
                for (int round = -WARM_UP; round < rounds; round++) {
                    double copied = (double) prompts * bytes / copyNanos(device, region, target, bytes);
                    double moved = (double) prompts * bytes / moveNanos(mover, region, numbers, target);
                    double sent = (double) prompts * bytes / sendNanos(prefill, region, numbers, round + WARM_UP);
                    // The copy of the next round writes what the parent still checks.
                    parent.readLine();
                    if (round >= 0) {
                        copy[round] = copied;
                        kernel[round] = moved;
                        transfer[round] = sent;
                        share[round] = sent / copied;
                    }
                }
            }
            System.out.printf(
                    Locale.ROOT,
                    "%-8s %-8s %4d %-9s %8.1f %7.1f GB/s %7.1f GB/s %7.1f GB/s %7.2f%n",
                    one.backend(),
                    one.shape(),
                    one.page(),
                    one.scattered() ? "scattered" : "one run",
                    prompts * bytes / 1e6,
                    median(copy),
                    median(kernel),
                    median(transfer),
                    median(share));
        }
    }

    /** As many bytes as all prompts have, in one copy a prompt; over the memory in front, which the next round writes. */
    private long copyNanos(CudaDevice device, KvRegion region, MemorySegment target, long bytes) {
        long each = Math.min(
                bytes,
                region.layout().pageBytes(0) * region.pages() * region.buffers().size());
        MemorySegment first = region.buffers().getFirst();
        Tensor from = Tensor.dense(MemorySegment.ofAddress(first.address()).reinterpret(each), DType.U8, each);
        device.synchronize();
        long start = System.nanoTime();
        for (int prompt = 0; prompt < prompts; prompt++) {
            device.copy(from, Tensor.dense(target.asSlice(prompt * each, each), DType.U8, each));
        }
        device.synchronize();
        return System.nanoTime() - start;
    }

    /** The kernel alone, a prompt after the other, to pages in a row. */
    private long moveNanos(PageMover mover, KvRegion region, int[] numbers, MemorySegment target) {
        KvLayout layout = region.layout();
        MemorySegment[] from = region.buffers().toArray(MemorySegment[]::new);
        MemorySegment[] to = new MemorySegment[from.length];
        long each = layout.pageBytes(0) * (prompts * (long) numbers.length + 1);
        for (int b = 0; b < to.length; b++) {
            to[b] = target.asSlice(b * each, each);
        }
        long width = layout.pageBytes(0);
        PageShape shape = new PageShape(1, width, 0, width, 0, width);
        int[] next = numbers.clone();
        mover.finish();
        long start = System.nanoTime();
        for (int prompt = 0; prompt < prompts; prompt++) {
            mover.move(shape, mover.pages(numbers, next), from, to);
        }
        mover.finish();
        return System.nanoTime() - start;
    }

    /** From the first page of the first prompt to the confirmation of the last. */
    private long sendNanos(SocketPrefillTransfer prefill, KvRegion region, int[] pages, int round) throws IOException {
        List<KvSender> senders = new ArrayList<>();
        for (int prompt = 0; prompt < prompts; prompt++) {
            senders.add(prefill.open((long) round * prompts + prompt));
        }
        for (KvSender sender : senders) {
            while (sender.poll() == KvPoll.BOOTSTRAPPING) {
                LockSupport.parkNanos(50_000);
            }
        }
        long start = System.nanoTime();
        for (KvSender sender : senders) {
            for (int layer = 0; layer < region.layout().layers(); layer++) {
                sender.send(0, layer, layer + 1, 0, pages);
            }
            sender.finish(new AuxRecord(1, 0, null));
        }
        for (KvSender sender : senders) {
            while (!sender.poll().isFinal()) {
                Thread.onSpinWait();
            }
        }
        long nanos = System.nanoTime() - start;
        for (KvSender sender : senders) {
            if (sender.poll() != KvPoll.SUCCESS) {
                throw new IOException("room " + sender.room() + ": " + sender.failure());
            }
            sender.close();
        }
        return nanos;
    }

    private static int[] pageNumbers(Case one, int pages, long seed) {
        int[] numbers = new int[pages];
        for (int i = 0; i < pages; i++) {
            numbers[i] = i + 1;
        }
        Random random = new Random(seed);
        for (int i = pages - 1; one.scattered() && i > 0; i--) {
            int j = random.nextInt(i + 1);
            int swapped = numbers[i];
            numbers[i] = numbers[j];
            numbers[j] = swapped;
        }
        return numbers;
    }

    private static double median(double[] values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        return sorted[sorted.length / 2];
    }
}
