package dev.baton.bench.transfer;

import dev.baton.bench.CommandLine;
import dev.baton.bench.Figures;
import dev.baton.engine.disagg.transfer.KvLayout;
import dev.baton.engine.disagg.transfer.KvRegion;
import dev.baton.engine.disagg.transfer.KvSender;
import dev.baton.engine.disagg.transfer.PrefillLocator;
import dev.baton.engine.disagg.transfer.SocketDecodeTransfer;
import dev.baton.engine.disagg.transfer.SocketPrefillTransfer;
import dev.baton.engine.disagg.transfer.TransferBackend;
import dev.baton.engine.disagg.transfer.TransferOptions;
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
    private static final Prompts PROMPTS = new Prompts(4, 100_000);

    /** Rounds that are not counted: compilation, and first use of both sides' memory. */
    private static final int WARM_UP = 5;

    private static final List<TransferCase> CASES = List.of(
            new TransferCase(TransferBackend.SHM, TransferCase.Shape.GROUPED, 64, false),
            new TransferCase(TransferBackend.SHM, TransferCase.Shape.GROUPED, 64, true),
            new TransferCase(TransferBackend.SHM, TransferCase.Shape.GROUPED, 1, true),
            new TransferCase(TransferBackend.SHM, TransferCase.Shape.LATENT, 64, true),
            new TransferCase(TransferBackend.TCP, TransferCase.Shape.GROUPED, 64, true),
            new TransferCase(TransferBackend.TCP, TransferCase.Shape.LATENT, 64, true));

    private KvTransferBench() {}

    public static void main(String[] arguments) throws Exception {
        List<String> options = Arrays.asList(arguments);
        int tokens = CommandLine.number(options, "--tokens", 2048);
        int rounds = CommandLine.number(options, "--rounds", 15);
        if (options.contains("--prefill")) {
            int at = options.indexOf("--prefill") + 1;
            prefill(TransferCase.of(options.subList(at, at + TransferCase.WORDS)), tokens, rounds);
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
        for (TransferCase one : CASES) {
            decode(one, tokens, rounds);
        }
    }

    /** Receives every prompt; the child prints the figures. */
    private static void decode(TransferCase one, int tokens, int rounds) throws Exception {
        KvLayout layout = one.layout();
        int pages = layout.pages(tokens);
        KvRegion region = KvRegion.allocateShared(layout, (PROMPTS.count() * pages + 1) * one.page());
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

    private static void receive(SocketDecodeTransfer decode, KvRegion region, TransferCase one, int pages, int round)
            throws IOException {
        int[] all = one.pageNumbers(PROMPTS.count() * pages, 2L * round + 1);
        PROMPTS.receive(decode, all, round);
        for (int prompt = 0; round == 0 && prompt < PROMPTS.count(); prompt++) {
            visit(region, Arrays.copyOfRange(all, prompt * pages, (prompt + 1) * pages), true);
        }
    }

    private static void prefill(TransferCase one, int tokens, int rounds) throws Exception {
        KvLayout layout = one.layout();
        int pages = layout.pages(tokens);
        List<MemorySegment> buffers = new ArrayList<>();
        for (int b = 0; b < layout.buffers().size(); b++) {
            buffers.add(Arena.global().allocate(layout.pageBytes(b) * (pages + 1), 4096));
        }
        KvRegion region = new KvRegion(layout, buffers, null);
        long bytes = layout.pageBytes() * pages;
        MemorySegment target = Arena.global().allocate(bytes, 4096);
        int[] numbers = one.pageNumbers(pages, 0);
        visit(region, numbers, false);
        double[] copy = new double[rounds];
        double[] transfer = new double[rounds];
        double[] share = new double[rounds];
        try (SocketPrefillTransfer prefill = new SocketPrefillTransfer(
                TransferOptions.defaults(one.backend(), "prefill benchmark"), List.of(region))) {
            System.out.println(prefill.address().getPort());
            for (int round = -WARM_UP; round < rounds; round++) {
                double copied = 2.0 * PROMPTS.count() * bytes / copyNanos(buffers, target);
                double sent = (double) PROMPTS.count()
                        * bytes
                        / PROMPTS.sendNanos(prefill, layout.layers(), numbers, round + WARM_UP);
                if (round >= 0) {
                    copy[round] = copied;
                    transfer[round] = sent;
                    share[round] = sent / copied;
                }
            }
        }
        System.out.printf(
                Locale.ROOT,
                "%s %8.1f %7.2f GB/s %7.2f GB/s %7.2f%n",
                one.columns(),
                bytes / 1e6,
                Figures.median(copy),
                Figures.median(transfer),
                Figures.median(share));
    }

    /** One thread copies every buffer's pages to private memory of the same size, once a prompt. */
    private static long copyNanos(List<MemorySegment> buffers, MemorySegment target) {
        long part = target.byteSize() / buffers.size();
        long start = System.nanoTime();
        for (int prompt = 0; prompt < PROMPTS.count(); prompt++) {
            for (int b = 0; b < buffers.size(); b++) {
                MemorySegment.copy(buffers.get(b), 0, target, b * part, part);
            }
        }
        return System.nanoTime() - start;
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
}
