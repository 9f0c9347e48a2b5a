package dev.baton.engine.disagg;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Answers as SGLang's bootstrap server does, one request a connection. */
final class FakeRegistry implements AutoCloseable {
    private static final Pattern REQUEST = Pattern.compile("(\\w+) ([^ ]+) HTTP/1.1");

    /** Bodies of PUTs and paths of GETs. */
    final List<String> seen = new CopyOnWriteArrayList<>();

    /** How many lookups are still answered with "not registered". */
    final AtomicInteger notYet = new AtomicInteger();

    private final ServerSocket server;
    private final Map<String, String> ranks = new ConcurrentHashMap<>();
    private volatile int tensorParallel = 1;
    private volatile int dataParallel = 1;
    private volatile int stages = 1;

    FakeRegistry() throws IOException {
        server = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
        Thread.ofVirtual().start(this::accept);
    }

    int port() {
        return server.getLocalPort();
    }

    private void accept() {
        while (!server.isClosed()) {
            try {
                Socket socket = server.accept();
                Thread.ofVirtual().start(() -> serve(socket));
            } catch (IOException e) {
                return;
            }
        }
    }

    private void serve(Socket socket) {
        try (socket) {
            BufferedReader in =
                    new BufferedReader(new InputStreamReader(socket.getInputStream(), StandardCharsets.ISO_8859_1));
            Matcher line = REQUEST.matcher(in.readLine());
            if (!line.matches()) {
                return;
            }
            int length = 0;
            for (String header = in.readLine(); !header.isEmpty(); header = in.readLine()) {
                if (header.toLowerCase().startsWith("content-length:")) {
                    length = Integer.parseInt(header.substring(15).strip());
                }
            }
            char[] body = new char[length];
            for (int got = 0; got < length; ) {
                got += in.read(body, got, length - got);
            }
            String answer = answer(line.group(1), line.group(2), new String(body));
            String status = answer.startsWith("503") ? "503 Service Unavailable" : "200 OK";
            String text = "HTTP/1.1 " + status + "\r\nConnection: close\r\nContent-Length: " + answer.length()
                    + "\r\n\r\n" + answer;
            socket.getOutputStream().write(text.getBytes(StandardCharsets.ISO_8859_1));
        } catch (IOException e) {
            // The client went away.
        }
    }

    private String answer(String method, String path, String body) {
        if (path.equals("/health")) {
            return "OK";
        }
        if (method.equals("PUT")) {
            seen.add(body);
            tensorParallel = number(body, "attn_tp_size");
            dataParallel = number(body, "system_dp_size");
            stages = number(body, "pp_size");
            ranks.put(
                    number(body, "attn_tp_rank") + "/" + number(body, "system_dp_rank") + "/" + number(body, "pp_rank"),
                    "{\"rank_ip\": \"127.0.0.1\", \"rank_port\": " + number(body, "rank_port") + ", \"first_layer\": "
                            + number(body, "first_layer") + ", \"end_layer\": " + number(body, "end_layer") + "}");
            return "OK";
        }
        seen.add(path);
        if (notYet.getAndDecrement() > 0) {
            return "503 Prefill server not fully registered yet (0 workers registered).";
        }
        int rank = number(path, "engine_rank");
        if (rank == -1) {
            return "{\"prefill_attn_tp_size\": " + tensorParallel + ", \"prefill_dp_size\": " + dataParallel
                    + ", \"prefill_pp_size\": " + stages + "}";
        }
        String found = ranks.get(rank + "/" + number(path, "target_dp_group") + "/" + number(path, "target_pp_rank"));
        return found == null ? "503 no such rank" : found;
    }

    private static int number(String text, String name) {
        Matcher found = Pattern.compile(name + "\"?[=:]\\s*(-?\\d+)").matcher(text);
        if (!found.find()) {
            throw new IllegalArgumentException(name + " is not in " + text);
        }
        return Integer.parseInt(found.group(1));
    }

    @Override
    public void close() throws IOException {
        server.close();
    }
}
