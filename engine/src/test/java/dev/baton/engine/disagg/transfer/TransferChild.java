package dev.baton.engine.disagg.transfer;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * A prefill or decode side in a process of its own, driven line by line over its standard input; it answers every line
 * with one. Pages of room r hold the contents of seed r.
 */
final class TransferChild {
    static final KvLayout LAYOUT = Caches.latent(6, 16, 320);
    static final int POOL_PAGES = 64;
    static final int PROMPT_PAGES = 20;

    private final Map<Long, KvSender> senders = new HashMap<>();
    private final Map<Long, KvReceiver> receivers = new HashMap<>();
    private final KvRegion region;
    private SocketPrefillTransfer prefill;
    private SocketDecodeTransfer decode;

    private TransferChild(KvRegion region) {
        this.region = region;
    }

    /** Arguments: {@code prefill BACKEND} or {@code decode BACKEND PORT}. */
    public static void main(String[] args) throws Exception {
        TransferBackend backend = TransferBackend.valueOf(args[1]);
        TransferOptions options = TransferOptions.defaults(backend, args[0] + " child");
        TransferChild child = new TransferChild(
                args[0].equals("prefill") ? Caches.region(LAYOUT, POOL_PAGES) : Caches.shared(LAYOUT, POOL_PAGES));
        if (args[0].equals("prefill")) {
            child.prefill = new SocketPrefillTransfer(options, List.of(child.region));
            System.out.println(child.prefill.address().getPort());
        } else {
            child.decode = new SocketDecodeTransfer(
                    options,
                    List.of(child.region),
                    Pair.at(new InetSocketAddress(InetAddress.getLoopbackAddress(), Integer.parseInt(args[2])), 1));
            System.out.println("ready");
        }
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] words = line.split(" ");
            System.out.println(child.run(words[0], Long.parseLong(words[1])));
        }
        System.exit(0);
    }

    private String run(String command, long room) {
        int[] pages = Caches.pages(PROMPT_PAGES, POOL_PAGES, room);
        switch (command) {
            case "open" -> {
                Caches.write(region, pages, room);
                KvSender sender = prefill.open(room);
                Pair.awaitSender(sender);
                senders.put(room, sender);
            }
            case "half" -> senders.get(room).send(0, 0, 3, 0, pages);
            case "rest" -> {
                KvSender sender = senders.get(room);
                sender.send(0, 3, 6, 0, pages);
                sender.finish(new AuxRecord((int) room, 0, null));
                Pair.awaitState(sender, KvPoll.SUCCESS);
                return sender.poll() + " " + sender.failure();
            }
            case "receive" -> {
                KvReceiver receiver = decode.open(Pair.room(room));
                Pair.awaitState(receiver, KvPoll.WAITING_FOR_INPUT);
                receiver.reserve(pages);
                receivers.put(room, receiver);
            }
            case "await" -> {
                KvReceiver receiver = receivers.get(room);
                Pair.awaitState(receiver, KvPoll.SUCCESS);
                return receiver.poll() + " " + Caches.difference(region, pages, room);
            }
            default -> throw new IllegalArgumentException(command);
        }
        return "ok";
    }

    /** The parent's handle. */
    static final class Handle implements AutoCloseable {
        private final Process process;
        private final BufferedReader out;
        final String firstLine;

        Handle(String... args) throws IOException {
            List<String> command = new ArrayList<>(List.of(
                    Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                    "-Xmx256m",
                    "-XX:+UseSerialGC",
                    "-XX:TieredStopAtLevel=1",
                    "--enable-native-access=ALL-UNNAMED",
                    "-cp",
                    System.getProperty("java.class.path"),
                    TransferChild.class.getName()));
            command.addAll(List.of(args));
            process = new ProcessBuilder(command)
                    .redirectError(ProcessBuilder.Redirect.INHERIT)
                    .start();
            out = new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
            firstLine = out.readLine();
        }

        String tell(String line) throws IOException {
            process.getOutputStream().write((line + "\n").getBytes(StandardCharsets.UTF_8));
            process.getOutputStream().flush();
            return out.readLine();
        }

        long pid() {
            return process.pid();
        }

        /** SIGKILL. */
        void kill() throws InterruptedException {
            process.destroyForcibly().waitFor(10, TimeUnit.SECONDS);
        }

        @Override
        public void close() {
            process.destroyForcibly();
        }
    }
}
