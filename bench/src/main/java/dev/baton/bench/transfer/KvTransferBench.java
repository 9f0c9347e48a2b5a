package dev.baton.bench.transfer;

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
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.management.ManagementFactory;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * KV of four prompts at a time from a prefill process to a decode process on this host, beside a memory copy by one
 * thread of the same bytes: copy, transfer, copy, transfer.
 *
 * <p>Time is wall-clock in the prefill process from the first {@link KvSender#send} to the decode server's last
 * confirmation. The copy's rate counts bytes read and bytes written; the transfer's counts the bytes of KV once.
 *
 * <p>Usage: {@code KvTransferBench [--tokens N] [--rounds N]}
 */
public final class KvTransferBench {
    /** Shapes: name, layers, buffers a layer, bytes a token and buffer. */
    private enum Shape {
        /** Qwen2.5-3B: 2 key/value heads of 128 in bf16. */
        GROUPED(36, 2, 512),
        /** DeepSeek-V3: a latent of 576 in bf16. */
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

    /** @param scattered pages in random order instead of one run */
    private record Case(TransferBackend backend, Shape shape, int page, boolean scattered) {
        List<String> words() {
            return List.of(backend.name(), shape.name(), Integer.toString(page), Boolean.toString(scattered));
        }

        static Case of(List<String> words) {
            return new Case(
                    TransferBackend.valueOf(words.get(0)),
                    Shape.valueOf(words.get(1)),
                    Integer.parseInt(words.get(2)),
                    Boolean.parseBoolean(words.get(3)));
        }
    }

    /** Prompts under way at once: as in serving, the next one's pages follow while the last one is confirmed. */
    private static final int PROMPTS = 4;

    /** Rounds that are not counted: compilation, and first use of both sides' memory. */
    private static final int WARM_UP = 5;

    private static final List<Case> CASES = List.of(
            new Case(TransferBackend.SHM, Shape.GROUPED, 64, false),
            new Case(TransferBackend.SHM, Shape.GROUPED, 64, true),
            new Case(TransferBackend.SHM, Shape.GROUPED, 1, true),
            new Case(TransferBackend.SHM, Shape.LATENT, 64, true),
            new Case(TransferBackend.TCP, Shape.GROUPED, 64, true),
            new Case(TransferBackend.TCP, Shape.LATENT, 64, true));

    private KvTransferBench() {}

    public static void main(String[] arguments) throws Exception {
        List<String> options = Arrays.asList(arguments);
        int tokens = number(options, "--tokens", 2048);
        int rounds = number(options, "--rounds", 15);
        if (options.contains("--prefill")) {
            int at = options.indexOf("--prefill") + 1;
            prefill(Case.of(options.subList(at, at + 4)), tokens, rounds);
            return;
        }
        System.out.printf(
                Locale.ROOT,
                "prompts of %d tokens, %d rounds, load average %.2f%n%-8s %-8s %4s %-9s %8s %12s %12s %7s%n",
                tokens,
                rounds,
                ManagementFactory.getOperatingSystemMXBean().getSystemLoadAverage(),
                "backend",
                "layout",
                "page",
                "pages",
                "MB",
                "copy r+w",
                "transfer",
                "share");
        for (Case one : CASES) {
            decode(one, tokens, rounds);
        }
    }

    private static int number(List<String> options, String name, int otherwise) {
        int at = options.indexOf(name);
        return at < 0 ? otherwise : Integer.parseInt(options.get(at + 1));
    }

    /** Receives every prompt; the child prints the figures. */
    private static void decode(Case one, int tokens, int rounds) throws Exception {
        KvLayout layout = one.shape().layout(one.page());
        int pages = layout.pages(tokens);
        KvRegion region = KvRegion.allocateShared(layout, (PROMPTS * pages + 1) * one.page());
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx512m",
                "--add-modules",
                "jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                KvTransferBench.class.getName(),
                "--tokens",
                Integer.toString(tokens),
                "--rounds",
                Integer.toString(rounds),
                "--prefill"));
        command.addAll(one.words());
        Process child = new ProcessBuilder(command)
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        try (BufferedReader out =
                new BufferedReader(new InputStreamReader(child.getInputStream(), StandardCharsets.UTF_8))) {
            int port = Integer.parseInt(out.readLine());
            InetSocketAddress address = new InetSocketAddress(InetAddress.getLoopbackAddress(), port);
            PrefillLocator locator = bootstrap -> PrefillLocator.Group.oneStage(List.of(address));
            TransferOptions transfer = TransferOptions.defaults(one.backend(), "decode benchmark");
            try (SocketDecodeTransfer decode = new SocketDecodeTransfer(transfer, List.of(region), locator)) {
                for (int round = 0; round < WARM_UP + rounds; round++) {
                    receive(decode, region, one, pages, round);
                }
                System.out.println(out.readLine());
            }
        } finally {
            child.destroyForcibly().waitFor();
        }
    }

    private static void receive(SocketDecodeTransfer decode, KvRegion region, Case one, int pages, int round)
            throws IOException {
        List<KvReceiver> receivers = new ArrayList<>();
        for (int prompt = 0; prompt < PROMPTS; prompt++) {
            receivers.add(decode.open(new Bootstrap("localhost", 8998, room(round, prompt))));
        }
        int[] all = pageNumbers(one, PROMPTS * pages, 2L * round + 1);
        for (int prompt = 0; prompt < PROMPTS; prompt++) {
            KvReceiver receiver = receivers.get(prompt);
            while (receiver.poll() == KvPoll.BOOTSTRAPPING) {
                LockSupport.parkNanos(100_000);
            }
            receiver.reserve(Arrays.copyOfRange(all, prompt * pages, (prompt + 1) * pages));
        }
        for (int prompt = 0; prompt < PROMPTS; prompt++) {
            try (KvReceiver receiver = receivers.get(prompt)) {
                while (!receiver.poll().isFinal()) {
                    LockSupport.parkNanos(500_000);
                }
                requireSuccess(receiver.poll(), receiver.room(), receiver.failure());
            }
            if (round == 0) {
                visit(region, Arrays.copyOfRange(all, prompt * pages, (prompt + 1) * pages), true);
            }
        }
    }

    private static long room(int round, int prompt) {
        return (long) round * PROMPTS + prompt;
    }

    private static void requireSuccess(KvPoll state, long room, @Nullable String failure) throws IOException {
        if (state != KvPoll.SUCCESS) {
            throw new IOException("room " + room + ": " + failure);
        }
    }

    private static void prefill(Case one, int tokens, int rounds) throws Exception {
        KvLayout layout = one.shape().layout(one.page());
        int pages = layout.pages(tokens);
        List<MemorySegment> buffers = new ArrayList<>();
        for (int b = 0; b < layout.buffers().size(); b++) {
            buffers.add(Arena.global().allocate(layout.pageBytes(b) * (pages + 1), 4096));
        }
        KvRegion region = new KvRegion(layout, buffers, null);
        long bytes = layout.pageBytes() * pages;
        MemorySegment target = Arena.global().allocate(bytes, 4096);
        int[] numbers = pageNumbers(one, pages, 0);
        visit(region, numbers, false);
        double[] copy = new double[rounds];
        double[] transfer = new double[rounds];
        double[] share = new double[rounds];
        try (SocketPrefillTransfer prefill = new SocketPrefillTransfer(
                TransferOptions.defaults(one.backend(), "prefill benchmark"), List.of(region))) {
            System.out.println(prefill.address().getPort());
            for (int round = -WARM_UP; round < rounds; round++) {
                double copied = 2.0 * PROMPTS * bytes / copyNanos(buffers, target);
                double sent = (double) PROMPTS * bytes / sendNanos(prefill, layout.layers(), numbers, round + WARM_UP);
                if (round >= 0) {
                    copy[round] = copied;
                    transfer[round] = sent;
                    share[round] = sent / copied;
                }
            }
        }
        System.out.printf(
                Locale.ROOT,
                "%-8s %-8s %4d %-9s %8.1f %7.2f GB/s %7.2f GB/s %7.2f%n",
                one.backend(),
                one.shape(),
                one.page(),
                one.scattered() ? "scattered" : "one run",
                bytes / 1e6,
                median(copy),
                median(transfer),
                median(share));
    }

    /** From the first page of the first prompt to the confirmation of the last. */
    private static long sendNanos(SocketPrefillTransfer prefill, int layers, int[] pages, int round)
            throws IOException {
        List<KvSender> senders = new ArrayList<>();
        for (int prompt = 0; prompt < PROMPTS; prompt++) {
            senders.add(prefill.open(room(round, prompt)));
        }
        for (KvSender sender : senders) {
            while (sender.poll() == KvPoll.BOOTSTRAPPING) {
                LockSupport.parkNanos(100_000);
            }
        }
        long start = System.nanoTime();
        for (KvSender sender : senders) {
            for (int layer = 0; layer < layers; layer++) {
                sender.send(0, layer, layer + 1, 0, pages);
            }
            sender.finish(new AuxRecord(1, 0, null));
        }
        for (KvSender sender : senders) {
            while (!sender.poll().isFinal()) {
                LockSupport.parkNanos(100_000);
            }
        }
        long nanos = System.nanoTime() - start;
        for (KvSender sender : senders) {
            requireSuccess(sender.poll(), sender.room(), sender.failure());
            sender.close();
        }
        return nanos;
    }

    /** One thread copies every buffer's pages to private memory of the same size, once a prompt. */
    private static long copyNanos(List<MemorySegment> buffers, MemorySegment target) {
        long part = target.byteSize() / buffers.size();
        long start = System.nanoTime();
        for (int prompt = 0; prompt < PROMPTS; prompt++) {
            for (int b = 0; b < buffers.size(); b++) {
                MemorySegment.copy(buffers.get(b), 0, target, b * part, part);
            }
        }
        return System.nanoTime() - start;
    }

    private static int[] pageNumbers(Case one, int pages, long seed) {
        int[] numbers = new int[pages];
        for (int i = 0; i < pages; i++) {
            numbers[i] = i + 1;
        }
        SplittableRandom random = new SplittableRandom(seed);
        for (int i = pages - 1; one.scattered() && i > 0; i--) {
            int j = random.nextInt(i + 1);
            int swapped = numbers[i];
            numbers[i] = numbers[j];
            numbers[j] = swapped;
        }
        return numbers;
    }

    /** Writes or checks a number in front of every token's row of every buffer. */
    private static void visit(KvRegion region, int[] pages, boolean check) throws IOException {
        KvLayout layout = region.layout();
        int tokens = pages.length * layout.pageTokens();
        for (int b = 0; b < layout.buffers().size(); b++) {
            MemorySegment buffer = region.buffers().get(b);
            for (int token = 0; token < tokens; token++) {
                long slot =
                        (long) pages[token / layout.pageTokens()] * layout.pageTokens() + token % layout.pageTokens();
                long at = slot * layout.tokenBytes(b);
                long expected = b * 1_000_003L + token;
                if (!check) {
                    buffer.set(ValueLayout.JAVA_LONG_UNALIGNED, at, expected);
                } else if (buffer.get(ValueLayout.JAVA_LONG_UNALIGNED, at) != expected) {
                    throw new IOException("buffer " + b + ", token " + token + " did not arrive");
                }
            }
        }
    }

    private static double median(double[] values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        return sorted[sorted.length / 2];
    }
}
