package dev.baton.lab.evaluate;

import dev.baton.lab.control.ServerControl;
import java.net.URI;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Answers from a server of the dialect: {@code /generate} for plain prompts, the OpenAI chat API for chats. */
public final class HttpAnswerer implements Evaluation.Answerer, AutoCloseable {
    private static final Duration DEADLINE = Duration.ofMinutes(5);

    private final ServerControl server;

    public HttpAnswerer(URI base) {
        this.server = new ServerControl(base);
    }

    @Override
    public String answer(EvalPrompt prompt) {
        Map<String, Object> body = new LinkedHashMap<>();
        if (prompt.prompt() != null) {
            Map<String, Object> sampling = new LinkedHashMap<>();
            sampling.put("temperature", 0);
            sampling.put("max_new_tokens", prompt.maxNewTokens());
            sampling.put("stop", prompt.stop());
            body.put("text", prompt.prompt());
            body.put("sampling_params", sampling);
            return post("/generate", body).get("text").asString();
        }
        body.put("model", "default");
        body.put("messages", prompt.messages());
        body.put("temperature", 0);
        body.put("max_tokens", prompt.maxNewTokens());
        if (!prompt.stop().isEmpty()) {
            body.put("stop", prompt.stop());
        }
        return post("/v1/chat/completions", body)
                .at("/choices/0/message/content")
                .asString();
    }

    private JsonNode post(String path, Map<String, Object> body) {
        return JsonMapper.shared()
                .readTree(server.post(path, JsonMapper.shared().writeValueAsString(body), DEADLINE));
    }

    @Override
    public void close() {
        server.close();
    }
}
