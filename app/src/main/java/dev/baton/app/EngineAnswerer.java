package dev.baton.app;

import dev.baton.engine.Engine;
import dev.baton.engine.request.EngineRequest;
import dev.baton.engine.request.RequestOutput;
import dev.baton.lab.evaluate.EvalPrompt;
import dev.baton.lab.evaluate.Evaluation;
import dev.baton.protocol.FinishReason;
import dev.baton.protocol.SamplingParams;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import tools.jackson.databind.JsonNode;

/** Answers evaluation prompts with an engine of this process, greedily. */
final class EngineAnswerer implements Evaluation.Answerer {
    private static final long DEADLINE_MINUTES = 10;

    private final Engine engine;
    private final TokenizerCodec codec;
    private final AtomicLong asked = new AtomicLong();

    EngineAnswerer(Engine engine, TokenizerCodec codec) {
        this.engine = engine;
        this.codec = codec;
    }

    @Override
    public String answer(EvalPrompt prompt) throws Exception {
        String plain = prompt.prompt();
        String text = plain != null ? plain : codec.renderChat(messages(prompt), false, Map.of());
        int[] ids = codec.encode(text, plain != null);
        SamplingParams greedy = SamplingParams.greedy(prompt.maxNewTokens()).withStop(prompt.stop());
        StringBuilder answer = new StringBuilder();
        CompletableFuture<String> whole = new CompletableFuture<>();
        engine.submit(
                EngineRequest.of("eval-" + asked.incrementAndGet(), ids, greedy),
                output -> take(output, answer, whole));
        return whole.get(DEADLINE_MINUTES, TimeUnit.MINUTES);
    }

    private static void take(RequestOutput output, StringBuilder answer, CompletableFuture<String> whole) {
        answer.append(output.newText());
        if (output.finish() instanceof FinishReason.Abort abort) {
            whole.completeExceptionally(new IllegalStateException(abort.message()));
        } else if (output.isLast()) {
            whole.complete(answer.toString());
        }
    }

    private static List<Map<String, Object>> messages(EvalPrompt prompt) {
        List<Map<String, Object>> messages = new ArrayList<>();
        JsonNode list = prompt.messages();
        if (list != null) {
            for (JsonNode message : list) {
                Map<String, Object> map = new LinkedHashMap<>();
                message.properties()
                        .forEach(p -> map.put(p.getKey(), p.getValue().asString()));
                messages.add(map);
            }
        }
        return messages;
    }
}
