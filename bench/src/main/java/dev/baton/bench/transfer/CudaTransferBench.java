package dev.baton.bench.transfer;

import dev.baton.bench.CommandLine;
import dev.baton.bench.Figures;
import dev.baton.cuda.CudaDevice;
import dev.baton.cuda.CudaOptions;
import dev.baton.engine.disagg.transfer.KvLayout;
import dev.baton.engine.disagg.transfer.KvRegion;
import dev.baton.engine.disagg.transfer.KvSender;
import dev.baton.engine.disagg.transfer.PrefillLocator;
import dev.baton.engine.disagg.transfer.SocketDecodeTransfer;
import dev.baton.engine.disagg.transfer.SocketPrefillTransfer;
import dev.baton.engine.disagg.transfer.TransferBackend;
import dev.baton.engine.disagg.transfer.TransferOptions;
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
import java.util.function.ToDoubleFunction;

/**
 * KV of some prompts from a prefill process's GPU to a decode process's, beside plain copies of as many bytes into the
 * same memory of the other process: copy, transfer, copy, transfer.
 *
 * <p>Time is wall-clock in the prefill process, for transfers from the first {@link KvSender#send} to the decode server's
 * last confirmation. Both rates count the bytes of KV once.
 *
 * <pre>
 * CudaTransferBench [--prefill-gpu N] [--decode-gpu N] [--prompts N] [--tokens N] [--rounds N] [--warm-up N] [--cases 0,1,...]
 * </pre>
 */
public final class CudaTransferBench {
    private static final List<TransferCase> CASES = List.of(
            new TransferCase(TransferBackend.SHM, TransferCase.Shape.GROUPED, 64, false),
            new TransferCase(TransferBackend.SHM, TransferCase.Shape.GROUPED, 64, true),
            new TransferCase(TransferBackend.SHM, TransferCase.Shape.GROUPED, 1, true),
            new TransferCase(TransferBackend.SHM, TransferCase.Shape.LATENT, 64, true),
            new TransferCase(TransferBackend.SHM, TransferCase.Shape.LATENT, 1, true),
            new TransferCase(TransferBackend.TCP, TransferCase.Shape.GROUPED, 64, true));

    private final int prefillGpu;
    private final int decodeGpu;
    private final Prompts prompts;
    private final int tokens;
    private final int rounds;
    private final int warmUp;

    private CudaTransferBench(List<String> options) {
        this.prefillGpu = CommandLine.number(options, "--prefill-gpu", 0);
        this.decodeGpu = CommandLine.number(options, "--decode-gpu", 0);
        this.prompts = new Prompts(CommandLine.number(options, "--prompts", 8), 0);
        this.tokens = CommandLine.number(options, "--tokens", 8192);
        this.rounds = CommandLine.number(options, "--rounds", 9);
        this.warmUp = CommandLine.number(options, "--warm-up", 30);
    }

    public static void main(String[] arguments) throws Exception {
        List<String> options = Arrays.asList(arguments);
        CudaTransferBench bench = new CudaTransferBench(options);
        int at = options.indexOf("--prefill");
        if (at >= 0) {
            bench.prefill(TransferCase.of(options.subList(at + 1, at + 1 + TransferCase.WORDS)));
            return;
        }
        System.out.printf(
                Locale.ROOT,
                "GPU %d to GPU %d, %d prompts of %d tokens, %d rounds%n%-8s %-8s %4s %-9s %8s %12s %12s %12s %7s%n",
                bench.prefillGpu,
                bench.decodeGpu,
                bench.prompts.count(),
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
        int named = options.indexOf("--cases");
        List<String> wanted =
                named < 0 ? List.of() : List.of(options.get(named + 1).split(",", -1));
        for (int i = 0; i < CASES.size(); i++) {
            if (named < 0 || wanted.contains(Integer.toString(i))) {
                bench.decode(CASES.get(i), options);
            }
        }
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
    private void decode(TransferCase one, List<String> options) throws Exception {
        KvLayout layout = one.layout();
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
        command.add("--prefill");
        command.addAll(one.words());
        Process child = new ProcessBuilder(command)
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        try (CudaDevice device = CudaDevice.open(CudaOptions.of(decodeGpu, DType.BF16));
                BufferedReader out =
                        new BufferedReader(new InputStreamReader(child.getInputStream(), StandardCharsets.UTF_8));
                BufferedWriter in =
                        new BufferedWriter(new OutputStreamWriter(child.getOutputStream(), StandardCharsets.UTF_8))) {
            KvRegion region = region(device, layout, prompts.count() * pages + 1, true);
            SharedDeviceMemory shared = region.device().shared();
            in.write(shared.process() + " " + shared.device() + " " + shared.ordinal() + " " + shared.address() + " "
                    + shared.bytes() + " " + HexFormat.of().formatHex(shared.handle()) + "\n");
            in.flush();
            int port = Integer.parseInt(String.valueOf(out.readLine()));
            InetSocketAddress address = new InetSocketAddress(InetAddress.getLoopbackAddress(), port);
            PrefillLocator locator = bootstrap -> PrefillLocator.Group.oneStage(List.of(address));
            try (SocketDecodeTransfer decode = new SocketDecodeTransfer(
                    TransferOptions.defaults(one.backend(), "decode benchmark"), List.of(region), locator)) {
                for (int round = 0; round < warmUp + rounds; round++) {
                    int[] all = one.pageNumbers(prompts.count() * pages, 2L * round + 1);
                    prompts.receive(decode, all, round);
                    if (round == 0) {
                        check(device, region, all, pages);
                    }
                    in.write("next\n");
                    in.flush();
                }
                for (String line = out.readLine(); line != null; line = out.readLine()) {
                    System.out.println(line);
                }
            }
        } finally {
            child.destroyForcibly().waitFor();
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
                for (int prompt = 0; prompt < prompts.count(); prompt += Math.max(1, prompts.count() - 1)) {
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

    private void prefill(TransferCase one) throws Exception {
        KvLayout layout = one.layout();
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
            int[] numbers = one.pageNumbers(pages, 0);
            fill(device, region, numbers);
            MemorySegment target = mover.open(peer);
            long bytes = layout.pageBytes() * pages;
            List<Round> all = new ArrayList<>();
            try (SocketPrefillTransfer prefill = new SocketPrefillTransfer(
                    TransferOptions.defaults(one.backend(), "prefill benchmark"), List.of(region))) {
                System.out.println(prefill.address().getPort());
                for (int round = 0; round < warmUp + rounds; round++) {
                    long copied = copyNanos(device, region, target, bytes);
                    long moved = moveNanos(mover, region, numbers, target);
                    Prompts.Spent sent = prompts.send(prefill, layout.layers(), numbers, round);
                    all.add(new Round(copied, moved, sent));
                    // The copy of the next round writes what the parent still checks.
                    parent.readLine();
                }
            }
            print(one, prompts.count() * bytes, all);
        }
    }

    /** What a round took, in nanoseconds. */
    private record Round(long copy, long kernel, Prompts.Spent transfer) {}

    /** The rounds behind the warm-up in one line, where their time goes in another, beside that of the first rounds. */
    private void print(TransferCase one, long bytes, List<Round> all) {
        List<Round> warm = all.subList(warmUp, all.size());
        System.out.printf(
                Locale.ROOT,
                "%s %8.1f %7.1f GB/s %7.1f GB/s %7.1f GB/s %7.2f%n",
                one.columns(),
                bytes / 1e6,
                bytes / median(warm, Round::copy),
                bytes / median(warm, Round::kernel),
                bytes / median(warm, round -> round.transfer.whole()),
                median(warm, round -> 1e6 * round.copy / round.transfer.whole()) / 1e6);
        stages("warm", warm);
        int cold = Math.min(3, warmUp);
        for (int round = 0; round < cold; round++) {
            stages("round " + (round + 1), all.subList(round, round + 1));
        }
    }

    private static void stages(String name, List<Round> rounds) {
        System.out.printf(
                Locale.ROOT,
                "  %-8s ms: copy %.2f, kernel %.2f, transfer %.2f: until begun %.2f, until all has arrived %.2f, last"
                        + " confirmation %.2f; within: calls %.2f, launches %.2f%n",
                name,
                median(rounds, Round::copy) / 1e6,
                median(rounds, Round::kernel) / 1e6,
                median(rounds, round -> round.transfer.whole()) / 1e6,
                median(rounds, round -> round.transfer.untilBegun()) / 1e6,
                median(rounds, round -> round.transfer.moving()) / 1e6,
                median(rounds, round -> round.transfer.confirming()) / 1e6,
                median(rounds, round -> round.transfer.calls()) / 1e6,
                median(rounds, round -> round.transfer.handing()) / 1e6);
    }

    private static double median(List<Round> rounds, ToDoubleFunction<Round> figure) {
        return Figures.median(rounds.stream().mapToDouble(figure).toArray());
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
        for (int prompt = 0; prompt < prompts.count(); prompt++) {
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
        long each = layout.pageBytes(0) * (prompts.count() * (long) numbers.length + 1);
        for (int b = 0; b < to.length; b++) {
            to[b] = target.asSlice(b * each, each);
        }
        long width = layout.pageBytes(0);
        PageShape shape = new PageShape(1, width, 0, width, 0, width);
        int[] next = numbers.clone();
        mover.finish();
        long start = System.nanoTime();
        for (int prompt = 0; prompt < prompts.count(); prompt++) {
            mover.move(shape, mover.pages(numbers, next), from, to);
        }
        mover.finish();
        return System.nanoTime() - start;
    }
}
