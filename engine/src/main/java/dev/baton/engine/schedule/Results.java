package dev.baton.engine.schedule;

import dev.baton.engine.request.RequestOutput;
import dev.baton.engine.request.TokenLogprob;
import dev.baton.protocol.FinishReason;
import java.lang.System.Logger;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Adds sampled tokens to requests, decides whether they have ended and tells their sinks. The checks come in SGLang's
 * order: abort, length, stop token (with a grammar, an end token in any case: it stands for the grammar's end), id outside
 * the vocabulary, stop string or expression.
 */
final class Results {
    private static final Logger LOG = System.getLogger(Results.class.getName());

    private final Set<Integer> endTokenIds;
    private final int vocabularySize;
    private final int streamInterval;

    /** @param endTokenIds the model's end tokens */
    Results(Set<Integer> endTokenIds, int vocabularySize, int streamInterval) {
        this.endTokenIds = Set.copyOf(endTokenIds);
        this.vocabularySize = vocabularySize;
        this.streamInterval = streamInterval;
    }

    /**
     * Adds a token.
     *
     * @return why the request ends with it, null while it goes on
     */
    @Nullable
    FinishReason append(Request r, int id, @Nullable TokenLogprob logprob) {
        boolean inVocabulary = id >= 0 && id < vocabularySize;
        boolean stopToken = inVocabulary && isStopToken(r, id);
        r.append(id);
        if (logprob != null) {
            r.addOutputLogprob(logprob);
        }
        if (inVocabulary && (!stopToken || r.sampling.noStopTrim())) {
            addText(r, id);
        }
        int limit = r.sampling.maxNewTokens();
        if (r.generated() >= limit) {
            // The text goes on to its end here: a stop token or string at the limit is reported as length.
            if (r.text != null && stopToken && !r.sampling.noStopTrim()) {
                r.newText.append(r.stops.remaining());
                r.text.append(id, r.newText);
            }
            return new FinishReason.Length(limit);
        }
        if (stopToken) {
            return new FinishReason.StopToken(id);
        }
        if (!inVocabulary) {
            return new FinishReason.Abort(
                    "The model gave token id " + id + ", which is outside its vocabulary of " + vocabularySize + ".",
                    500,
                    "InternalServerError");
        }
        String failure = r.matcher == null ? null : r.matcher.failure();
        if (failure != null) {
            return new FinishReason.Abort(failure, 400, "BadRequest");
        }
        String matched = r.stops.matched();
        return matched == null ? null : new FinishReason.StopString(matched);
    }

    /** Tells the sink when it is due. */
    void tell(Request r) {
        if (streamInterval == 1 || r.generated() % streamInterval == 1) {
            send(r, null);
        }
    }

    /** Tells the sink the last of the request. */
    void tellEnd(Request r, FinishReason reason) {
        if (r.text != null && !(reason instanceof FinishReason.StopString)) {
            r.newText.append(r.stops.remaining());
            r.text.flush(r.newText);
        }
        send(r, reason);
    }

    private static void addText(Request r, int id) {
        if (r.text != null) {
            if (!r.stops.looks()) {
                r.text.append(id, r.newText);
            } else {
                r.newText.append(r.stops.push(r.text.append(id)));
            }
        }
    }

    private boolean isStopToken(Request r, int id) {
        if (r.matcher != null && endTokenIds.contains(id)) {
            return true;
        }
        if (r.sampling.ignoreEos() || r.generated() < r.sampling.minNewTokens()) {
            return false;
        }
        return endTokenIds.contains(id)
                || !r.sampling.stopTokenIds().isEmpty()
                        && r.sampling.stopTokenIds().contains(id);
    }

    private static void send(Request r, @Nullable FinishReason reason) {
        RequestOutput output = new RequestOutput(
                r.rid(),
                Arrays.copyOf(r.newIds, r.newCount),
                r.newText.isEmpty() ? "" : r.newText.toString(),
                r.promptTold ? List.of() : r.inputLogprobs,
                r.outputLogprobs,
                r.promptTokens(),
                r.cachedTokens(),
                r.generated(),
                r.epoch,
                reason);
        r.newCount = 0;
        r.newText.setLength(0);
        r.inputLogprobs = List.of();
        r.outputLogprobs = List.of();
        r.promptTold = true;
        try {
            r.sink.accept(output);
        } catch (RuntimeException e) {
            LOG.log(Logger.Level.WARNING, "The receiver of request " + r.rid() + " failed; the request is ended", e);
            r.askToAbort();
        }
    }
}
