package dev.baton.serve.http;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.serve.FakeEngine;
import dev.baton.serve.ServeException;
import dev.baton.serve.ServerFixture;
import java.net.Socket;
import java.util.ArrayList;
import java.util.List;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What clients put on the wire, well and badly formed, over real sockets. */
class WireTest {
    private static final String ONE = "{\"text\":\"hi\",\"sampling_params\":{\"max_new_tokens\":1}}";

    private ServerFixture fixture;

    private ServerFixture start(HttpLimits limits) {
        fixture = new ServerFixture(new FakeEngine(), config -> config.limits(limits));
        return fixture;
    }

    @AfterEach
    void close() {
        if (fixture != null) {
            assertThat(fixture.engine.liveRequests()).isZero();
            fixture.close();
        }
    }

    private String exchange(String wire) throws Exception {
        try (Socket socket = fixture.socket()) {
            ServerFixture.write(socket, wire);
            return ServerFixture.readUntil(socket, "no such text");
        }
    }

    @Test
    void pipelinedRequestsAreAnsweredInOrder() throws Exception {
        start(HttpLimits.DEFAULT);
        StringBuilder wire = new StringBuilder();
        int count = 3 * HttpLimits.DEFAULT.pipelined();
        for (int i = 1; i <= count; i++) {
            wire.append(ServerFixture.wire(
                    "/generate",
                    "{\"text\":\"hi\",\"rid\":\"r" + i + "\",\"sampling_params\":{\"max_new_tokens\":1}}"));
        }
        try (Socket socket = fixture.socket()) {
            ServerFixture.write(socket, wire.toString());
            String text = "";
            while (text.split("\"rid", -1).length < 1 || !text.contains("\"r" + count + "\"")) {
                text += ServerFixture.readUntil(socket, "}}");
            }
            List<Integer> positions = new ArrayList<>();
            for (int i = 1; i <= count; i++) {
                positions.add(text.indexOf("\"r" + i + "\""));
            }
            assertThat(positions).isSorted().doesNotContain(-1);
        }
    }

    @Test
    void aBodyOverTheLimitIs413EvenWhenTheClientWentOnSending() throws Exception {
        start(HttpLimits.DEFAULT.withBodyBytes(1_000));
        String big = "{\"text\":\"" + "x".repeat(300_000) + "\"}";
        assertThat(exchange(ServerFixture.wire("/generate", big)))
                .startsWith("HTTP/1.1 413 ")
                .contains("larger than the limit of 1000 bytes")
                .containsIgnoringCase("connection: close");
        String chunked = "POST /generate HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                + ("400\r\n" + "x".repeat(1_024) + "\r\n").repeat(4) + "0\r\n\r\n";
        assertThat(exchange(chunked)).startsWith("HTTP/1.1 413 ");
        assertThat(fixture.post("/generate", ONE).statusCode()).isEqualTo(200);
    }

    @Test
    void aChunkedBodyIsTakenLikeAnyOther() throws Exception {
        start(HttpLimits.DEFAULT);
        String half = ONE.substring(0, 10);
        String rest = ONE.substring(10);
        String wire = "POST /generate HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                + Integer.toHexString(half.length()) + "\r\n" + half + "\r\n"
                + Integer.toHexString(rest.length()) + "\r\n" + rest + "\r\n0\r\n\r\n";
        assertThat(exchange(wire)).startsWith("HTTP/1.1 200 ").contains("\"text\":\"a\"");
    }

    @Test
    void expectContinueIsAnswered() throws Exception {
        start(HttpLimits.DEFAULT);
        try (Socket socket = fixture.socket()) {
            ServerFixture.write(
                    socket,
                    "POST /generate HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: "
                            + ONE.length() + "\r\n\r\n");
            assertThat(ServerFixture.readUntil(socket, "\r\n\r\n")).startsWith("HTTP/1.1 100 ");
            ServerFixture.write(socket, ONE);
            assertThat(ServerFixture.readUntil(socket, "no such text")).startsWith("HTTP/1.1 200 ");
        }
    }

    @Test
    void whatIsNoRequestIsRefusedWithItsStatus() throws Exception {
        start(HttpLimits.DEFAULT);
        assertThat(exchange("GET /" + "a".repeat(20_000) + " HTTP/1.1\r\n\r\n")).startsWith("HTTP/1.1 414 ");
        assertThat(exchange("GET / HTTP/1.1\r\nX: " + "a".repeat(70_000) + "\r\n\r\n"))
                .startsWith("HTTP/1.1 431 ");
        assertThat(exchange("\u0016\u0003\u0001 not HTTP at all\r\n\r\n")).startsWith("HTTP/1.1 400 ");
        assertThat(exchange("POST /generate HTTP/1.1\r\nContent-Length: -5\r\n\r\n"))
                .startsWith("HTTP/1.1 400 ");
        assertThat(fixture.get("/health").statusCode()).isEqualTo(200);
    }

    @Test
    void unknownPathsAndMethodsAreNamed() throws Exception {
        start(HttpLimits.DEFAULT);
        assertThat(fixture.get("/no/such/path").statusCode()).isEqualTo(404);
        assertThat(fixture.get("/generate").statusCode()).isEqualTo(405);
        assertThat(fixture.send("PUT", "/generate", ONE).statusCode()).isEqualTo(200);
    }

    @Test
    void anHttp10ClientGetsAStreamThatEndsWithTheConnection() throws Exception {
        start(HttpLimits.DEFAULT);
        String body = "{\"text\":\"hi\",\"stream\":true,\"sampling_params\":{\"max_new_tokens\":2}}";
        String reply = exchange(ServerFixture.wire("/generate", body).replace("HTTP/1.1", "HTTP/1.0"));
        assertThat(reply).doesNotContain("chunked").endsWith("data: [DONE]\n\n");
    }

    @Test
    void anIdleConnectionAndAHalfSentRequestAreClosed() throws Exception {
        start(HttpLimits.DEFAULT.withSeconds(1, 1, 30));
        try (Socket idle = fixture.socket();
                Socket half = fixture.socket()) {
            ServerFixture.write(half, "POST /generate HTTP/1.1\r\nContent-Length: 100\r\n\r\n{\"te");
            assertThat(ServerFixture.readUntil(idle, "no such text")).isEmpty();
            assertThat(ServerFixture.readUntil(half, "no such text")).startsWith("HTTP/1.1 408 ");
        }
    }

    @Test
    void connectionsOverTheLimitAreRefusedAndOthersGoOn() throws Exception {
        start(HttpLimits.DEFAULT.withConnections(2));
        try (Socket first = fixture.socket();
                Socket second = fixture.socket()) {
            Awaitility.await().until(() -> fixture.server.connections() == 2);
            try (Socket third = fixture.socket()) {
                assertThat(ServerFixture.readUntil(third, "later.")).startsWith("HTTP/1.1 503 ");
            }
            ServerFixture.write(first, ServerFixture.wire("/generate", ONE));
            assertThat(ServerFixture.readUntil(first, "}}")).startsWith("HTTP/1.1 200 ");
            ServerFixture.write(second, ServerFixture.wire("/generate", ONE));
            assertThat(ServerFixture.readUntil(second, "}}")).startsWith("HTTP/1.1 200 ");
        }
    }

    @Test
    void anyOriginMayAsk() throws Exception {
        start(HttpLimits.DEFAULT);
        String preflight = "OPTIONS /v1/chat/completions HTTP/1.1\r\nOrigin: http://page\r\n"
                + "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: x-key\r\n"
                + "Connection: close\r\n\r\n";
        assertThat(exchange(preflight))
                .startsWith("HTTP/1.1 200 ")
                .contains("access-control-allow-origin: *")
                .contains("access-control-allow-headers: x-key");
        assertThat(exchange("GET /v1/models HTTP/1.1\r\nOrigin: http://page\r\nConnection: close\r\n\r\n"))
                .contains("access-control-allow-origin: *");
    }

    @Test
    void aPortInUseIsSaidSo() {
        start(HttpLimits.DEFAULT);
        int port = fixture.server.port();
        assertThatThrownBy(() -> new ServerFixture(new FakeEngine(), config -> config.port(port)))
                .isInstanceOf(ServeException.class)
                .hasMessageContaining("127.0.0.1:" + port)
                .hasMessageContaining("choose another");
    }
}
