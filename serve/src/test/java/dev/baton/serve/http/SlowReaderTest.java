package dev.baton.serve.http;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.serve.FakeEngine;
import dev.baton.serve.ServerFixture;
import java.net.Socket;
import java.util.List;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Test;

/** Clients that do not read what they asked for. */
class SlowReaderTest {
    private static final int TOKENS = 3_000;

    /** Cumulative text: the frames of one request of this length are about 30 MB. */
    private static final String BODY =
            "{\"text\":\"hi\",\"stream\":true,\"sampling_params\":{\"max_new_tokens\":" + TOKENS + "}}";

    @Test
    void aSlowClientGetsFewerFramesAndTheWholeText() throws Exception {
        var limits = HttpLimits.DEFAULT.withUnsentBytes(32 << 10, 64 << 20);
        try (var fixture = new ServerFixture(new FakeEngine(), config -> config.limits(limits));
                Socket socket = fixture.socket()) {
            ServerFixture.write(socket, ServerFixture.wire("/generate", BODY));
            // Nothing is read until the engine has ended: what does not fit the socket must be merged.
            Awaitility.await().until(() -> fixture.engine.submitted.size() == 1 && fixture.engine.liveRequests() == 0);
            String reply = ServerFixture.readUntil(socket, "[DONE]");
            long frames = reply.split("data: \\{", -1).length - 1;
            assertThat(frames).isBetween(2L, TOKENS / 2L);
            assertThat(reply).contains("\"completion_tokens\":" + TOKENS + ",");
        }
    }

    @Test
    void aClientThatReadsNothingIsClosedAndItsRequestAborted() throws Exception {
        var limits = HttpLimits.DEFAULT.withSeconds(60, 60, 1);
        FakeEngine engine = new FakeEngine();
        engine.pause();
        try (var fixture = new ServerFixture(engine, config -> config.limits(limits));
                Socket socket = fixture.socket()) {
            // Each frame repeats 200 alternatives for every token so far: megabytes soon.
            String body = "{\"text\":\"hi\",\"stream\":true,\"return_logprob\":true,\"top_logprobs_num\":200,"
                    + "\"sampling_params\":{\"max_new_tokens\":4000}}";
            ServerFixture.write(socket, ServerFixture.wire("/generate", body));
            Awaitility.await().until(() -> engine.liveRequests() == 1);
            // Steps until what the sockets cannot hold has waited too long; the request would live on.
            Awaitility.await().until(() -> {
                for (int i = 0; i < 20; i++) {
                    engine.step();
                }
                return fixture.server.connections() == 0;
            });
            Awaitility.await().until(() -> engine.liveRequests() == 0);
            assertThat(engine.aborted).hasSize(1);
        }
    }

    @Test
    void bytesUnsentOverTheLimitEndTheRequest() throws Exception {
        var limits = HttpLimits.DEFAULT.withUnsentBytes(1 << 10, 2 << 10);
        try (var fixture = new ServerFixture(new FakeEngine(), config -> config.limits(limits));
                Socket socket = fixture.socket()) {
            fixture.engine.pause();
            String batch = "{\"input_ids\":" + java.util.Collections.nCopies(64, List.of(1, 2))
                    + ",\"stream\":true,\"sampling_params\":{\"max_new_tokens\":4}}";
            ServerFixture.write(socket, ServerFixture.wire("/generate", batch));
            Awaitility.await().until(() -> fixture.engine.liveRequests() == 64);
            fixture.engine.step();
            Awaitility.await().until(() -> fixture.engine.liveRequests() == 0);
            assertThat(fixture.engine.aborted).hasSize(64);
        }
    }
}
