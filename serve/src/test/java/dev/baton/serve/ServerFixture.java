package dev.baton.serve;

import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.ObjectMapper;

/** A live server on a free port over a {@link FakeEngine}, and clients for it. */
public final class ServerFixture implements AutoCloseable {
    public static final ObjectMapper JSON = new ObjectMapper();

    public final FakeEngine engine;
    public final BatonServer server;
    private final HttpClient client =
            HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    public ServerFixture() {
        this(new FakeEngine(), config -> config);
    }

    public ServerFixture(FakeEngine engine, UnaryOperator<ServeConfig.Builder> change) {
        this(engine, new ByteCodec(), change);
    }

    public ServerFixture(FakeEngine engine, TextCodec codec, UnaryOperator<ServeConfig.Builder> change) {
        this.engine = engine;
        var config = ServeConfig.of("models/fake").port(0).accessLog(false).healthTimeoutSeconds(5);
        server = BatonServer.start(change.apply(config).build(), engine, codec);
        server.ready();
    }

    public HttpResponse<String> send(String method, String path, String body) throws Exception {
        var request = HttpRequest.newBuilder(URI.create(server.url() + path))
                .timeout(Duration.ofSeconds(20))
                .header("content-type", "application/json")
                .method(
                        method,
                        body == null ? HttpRequest.BodyPublishers.noBody() : HttpRequest.BodyPublishers.ofString(body));
        return client.send(request.build(), HttpResponse.BodyHandlers.ofString());
    }

    public HttpResponse<String> post(String path, String body) throws Exception {
        return send("POST", path, body);
    }

    public HttpResponse<String> get(String path) throws Exception {
        return send("GET", path, null);
    }

    public JsonNode postJson(String path, String body) throws Exception {
        HttpResponse<String> reply = post(path, body);
        if (reply.statusCode() != 200) {
            throw new AssertionError(reply.statusCode() + " " + reply.body());
        }
        return JSON.readTree(reply.body());
    }

    /** The data of each frame, the last one {@code [DONE]}. */
    public static List<String> frames(String stream) {
        List<String> frames = new ArrayList<>();
        for (String frame : stream.split("\n\n")) {
            if (!frame.startsWith("data: ") || frame.indexOf('\n') >= 0) {
                throw new AssertionError("not one data line: " + frame);
            }
            frames.add(frame.substring(6));
        }
        return frames;
    }

    public Socket socket() throws IOException {
        Socket socket = new Socket("127.0.0.1", server.port());
        socket.setSoTimeout(20_000);
        return socket;
    }

    public static void write(Socket socket, String text) throws IOException {
        socket.getOutputStream().write(text.getBytes(StandardCharsets.ISO_8859_1));
        socket.getOutputStream().flush();
    }

    /** A POST as bytes on the wire. */
    public static String wire(String path, String body) {
        return "POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "
                + body.getBytes(StandardCharsets.UTF_8).length + "\r\n\r\n" + body;
    }

    /** Reads until the connection closes or the text holds {@code end}. */
    public static String readUntil(Socket socket, String end) throws IOException {
        InputStream in = socket.getInputStream();
        StringBuilder text = new StringBuilder();
        byte[] buffer = new byte[8_192];
        while (text.indexOf(end) < 0) {
            int count = in.read(buffer);
            if (count < 0) {
                break;
            }
            text.append(new String(buffer, 0, count, StandardCharsets.UTF_8));
        }
        return text.toString();
    }

    @Override
    public void close() {
        server.close();
        engine.close();
        client.close();
    }
}
