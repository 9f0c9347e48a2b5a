package dev.baton.engine.check;

import dev.baton.engine.Engine;
import dev.baton.engine.check.GoldenAnswers.Answer;
import dev.baton.engine.request.EngineRequest;
import dev.baton.engine.request.RequestOutput;
import dev.baton.engine.request.TokenLogprob;
import dev.baton.protocol.FinishReason;
import dev.baton.protocol.SamplingParams;
import dev.baton.protocol.request.GenerateRequest;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicLong;

/** Asks an engine of this process. */
public final class EngineAnswerer implements GoldenAnswers.Answerer {
    private final Engine engine;
    private final AtomicLong asked = new AtomicLong();

    public EngineAnswerer(Engine engine) {
        this.engine = engine;
    }

    @Override
    public CompletableFuture<Answer> ask(int[] prompt, int firstRow, int newTokens, int vocabulary) {
        // As a client would ask for it.
        String body =
                "{\"input_ids\":[0],\"sampling_params\":{\"temperature\":0,\"ignore_eos\":true,\"max_new_tokens\":"
                        + newTokens + "}}";
        SamplingParams greedy = GenerateRequest.read(body.getBytes(StandardCharsets.UTF_8))
                .items()
                .getFirst()
                .sampling();
        EngineRequest.LogprobSpec spec = new EngineRequest.LogprobSpec(firstRow, vocabulary, new int[0]);
        EngineRequest request =
                new EngineRequest("golden-" + asked.incrementAndGet(), prompt, greedy, spec, null, null);
        CompletableFuture<Answer> whole = new CompletableFuture<>();
        List<Integer> tokens = new ArrayList<>();
        List<TokenLogprob> rows = new ArrayList<>();
        engine.submit(request, output -> take(output, vocabulary, tokens, rows, whole));
        return whole;
    }

    private static void take(
            RequestOutput output,
            int vocabulary,
            List<Integer> tokens,
            List<TokenLogprob> rows,
            CompletableFuture<Answer> whole) {
        // What stands first among the asked-for positions has no predecessor among them.
        output.inputLogprobs().stream().skip(1).forEach(rows::add);
        if (tokens.isEmpty() && !output.outputLogprobs().isEmpty()) {
            rows.add(output.outputLogprobs().getFirst());
        }
        for (int id : output.newIds()) {
            tokens.add(id);
        }
        if (output.finish() instanceof FinishReason.Abort abort) {
            whole.completeExceptionally(new IllegalStateException(abort.message()));
        } else if (output.isLast()) {
            whole.complete(new Answer(
                    rows.stream().map(row -> byId(row, vocabulary)).toArray(float[][]::new),
                    tokens.stream().mapToInt(Integer::intValue).toArray()));
        }
    }

    private static float[] byId(TokenLogprob row, int vocabulary) {
        float[] logs = new float[vocabulary];
        for (int i = 0; i < row.topIds().length; i++) {
            logs[row.topIds()[i]] = row.topLogprobs()[i];
        }
        return logs;
    }
}
