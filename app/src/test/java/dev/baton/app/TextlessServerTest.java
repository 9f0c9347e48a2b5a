package dev.baton.app;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.protocol.flag.ServerArgs;
import dev.baton.serve.BatonServer;
import dev.baton.serve.ServeConfig;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A server without a tokenizer, and one whose chat template fails: what its clients are told. */
class TextlessServerTest {
    private static HttpResponse<String> post(List<String> flags, String path, String body) throws Exception {
        List<String> words = new ArrayList<>(List.of(
                "--model-path=" + ServerUnderTest.NANO,
                "--host=127.0.0.1",
                "--max-total-tokens=1024",
                "--max-running-requests=2",
                "--cpu-threads=1"));
        words.addAll(flags);
        ServerArgs args = ServerArgs.parse(words);
        try (EngineAssembly assembly = EngineAssembly.start(args, EngineAssembly.RoleWiring.NONE);
                BatonServer server = BatonServer.start(
                        ServeConfig.of("nano").host("127.0.0.1").port(0).build(),
                        assembly.engine(),
                        new TokenizerCodec(
                                assembly.tokenizer(),
                                ChatTemplates.find(ServerUnderTest.NANO, args.textOrNull("chat-template"))));
                HttpClient client = HttpClient.newHttpClient()) {
            server.ready();
            return client.send(
                    HttpRequest.newBuilder(URI.create(server.url() + path))
                            .timeout(Duration.ofSeconds(60))
                            .header("Content-Type", "application/json")
                            .POST(BodyPublishers.ofString(body))
                            .build(),
                    BodyHandlers.ofString());
        }
    }

    @Test
    void aTemplateThatFailsIsABadRequestThatQuotesItsLine(@TempDir Path folder) throws Exception {
        Path template = folder.resolve("strict.jinja");
        Files.writeString(
                template,
                "{{ bos_token }}\n{% for m in messages %}\n{{ raise_exception('no ' ~ m.role) }}\n{% endfor %}");
        HttpResponse<String> reply = post(
                List.of("--chat-template=" + template),
                "/v1/chat/completions",
                "{\"model\":\"nano\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}");
        assertThat(reply.statusCode()).isEqualTo(400);
        assertThat(reply.body()).contains("line 3").contains("no user").contains("raise_exception('no ' ~ m.role)");
    }

    @Test
    void withoutATokenizerIdsAreServedAndTextIsRefused() throws Exception {
        List<String> flags = List.of("--skip-tokenizer-init");
        HttpResponse<String> ids = post(
                flags,
                "/generate",
                "{\"input_ids\":[1,20,21],\"sampling_params\":{\"max_new_tokens\":3,\"ignore_eos\":true}}");
        assertThat(ids.statusCode()).isEqualTo(200);
        assertThat(ids.body()).contains("\"output_ids\":[").doesNotContain("\"text\":\"a");
        HttpResponse<String> text = post(flags, "/generate", "{\"text\":\"Hi\"}");
        assertThat(text.statusCode()).isEqualTo(400);
        assertThat(text.body()).contains("without a tokenizer").contains("input_ids");
    }
}
