package dev.baton.engine.schedule;

import dev.baton.engine.cache.CacheNode;
import dev.baton.engine.grammar.Matcher;
import dev.baton.engine.request.EngineRequest;
import dev.baton.engine.request.OutputSink;
import dev.baton.engine.request.StopMatcher;
import dev.baton.engine.request.TokenLogprob;
import dev.baton.model.tokenizer.IncrementalDecoder;
import dev.baton.protocol.SamplingParams;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A request on its way through one scheduler. Only the scheduler's thread reads or writes it, except for
 * {@link #askToAbort}.
 *
 * <p>{@code known} counts the ids that are known (prompt and output), {@code filled} the positions that have a slot, which
 * is the KV that will stand when every launched step has run. Between steps {@code filled <= known + inFlight}.
 */
public final class Request {
    /** Where a request is. */
    public enum Phase {
        /** In a queue of the role: before the waiting queue, or holding KV for a transfer. */
        ROLE,
        /** In the waiting queue, holding nothing. */
        WAITING,
        /** The one request whose prompt is computed in chunks. */
        CHUNKED,
        /** In the running batch. */
        RUNNING,
        /** Its whole prompt was launched and it will not decode: no token is wanted. */
        PREFILLED,
        /** Answered for the last time; holds nothing (or what its role still releases). */
        FINISHED
    }

    final EngineRequest source;
    final OutputSink sink;
    final SamplingParams sampling;
    final long seed;
    /** Orders requests by arrival. */
    final long arrival;

    Phase phase = Phase.ROLE;
    /** Counts retractions: results of steps launched before one are not for the request any more. */
    int epoch;

    int[] ids;
    int known;

    int row = -1;
    int[] slots;
    int filled;
    /** Deepest locked node of the prefix cache. */
    @Nullable
    CacheNode node;
    /** Positions whose slots belong to the prefix cache. */
    int treeTokens;
    /** The ranks' row must be written before the next step: it was entered or its slots were exchanged. */
    boolean writeRow;
    /** The next decode token's id is not in the ranks' token pool and must travel in the plan. */
    boolean carryId;
    /** Launched samples whose result has not been applied. */
    int inFlight;
    /** Planned steps, sampling or not, whose result has not been applied: they may still write to its slots. */
    int pendingSteps;
    /** Its slots are written from outside and do not hold their KV yet. */
    boolean awaitsKv;

    /** Prompt tokens found in the prefix cache when first admitted, -1 before. */
    int cachedTokens = -1;
    /** True until it has left the queues for the first time. */
    boolean queued = true;

    /** Follows the answer through its grammar; the rank that chooses tokens moves it. */
    final @Nullable Matcher matcher;

    final @Nullable IncrementalDecoder text;
    final StopMatcher stops;
    int[] newIds = new int[8];
    int newCount;
    final StringBuilder newText = new StringBuilder();
    List<TokenLogprob> inputLogprobs = List.of();
    List<TokenLogprob> outputLogprobs = List.of();
    boolean promptTold;

    private volatile boolean abortAsked;

    /**
     * @param sampling the source's, with {@code maxNewTokens} cut to what fits
     * @param seed of its random numbers
     * @param text makes text of the output tokens; null without a tokenizer
     */
    public Request(
            EngineRequest source,
            OutputSink sink,
            SamplingParams sampling,
            long seed,
            long arrival,
            @Nullable IncrementalDecoder text) {
        this(source, sink, sampling, seed, arrival, text, null);
    }

    /**
     * @param matcher of the answer's grammar; null for none
     * @throws dev.baton.engine.EngineException INVALID_REQUEST when a {@code stop_regex} cannot be served
     */
    public Request(
            EngineRequest source,
            OutputSink sink,
            SamplingParams sampling,
            long seed,
            long arrival,
            @Nullable IncrementalDecoder text,
            @Nullable Matcher matcher) {
        this.source = source;
        this.sink = sink;
        this.sampling = sampling;
        this.seed = seed;
        this.arrival = arrival;
        this.text = text;
        this.matcher = matcher;
        this.stops = new StopMatcher(sampling.stop(), sampling.stopRegex(), sampling.noStopTrim());
        this.ids = source.inputIds().clone();
        this.known = ids.length;
        this.slots = new int[0];
    }

    /** What was asked for. */
    public EngineRequest source() {
        return source;
    }

    public String rid() {
        return source.rid();
    }

    public Phase phase() {
        return phase;
    }

    /** Prompt length. */
    public int promptTokens() {
        return source.inputIds().length;
    }

    /** Prompt tokens found in the prefix cache, 0 before it was admitted. */
    public int cachedTokens() {
        return Math.max(cachedTokens, 0);
    }

    /** Output tokens that are known. */
    public int generated() {
        return known - promptTokens();
    }

    /** How often it had to give its memory back. */
    public int retractions() {
        return epoch;
    }

    /** The last known id. */
    public int lastId() {
        return ids[known - 1];
    }

    /** Table row, -1 when it holds none. */
    public int row() {
        return row;
    }

    /** Positions that have a slot: KV that stands once every launched step has run. */
    public int filledTokens() {
        return filled;
    }

    /** The slots of positions {@code [from, to)}, a copy. */
    public int[] slots(int from, int to) {
        return Arrays.copyOfRange(slots, from, to);
    }

    /** Parameters, with {@code maxNewTokens} cut to what fits. */
    public SamplingParams sampling() {
        return sampling;
    }

    /** Log probabilities of the last output token that have not been sent; null when not asked for. */
    public @Nullable TokenLogprob lastLogprob() {
        return outputLogprobs.isEmpty() ? null : outputLogprobs.getLast();
    }

    /** Prompt log probabilities gathered so far; empty when not asked for or already sent. */
    public List<TokenLogprob> inputLogprobs() {
        return inputLogprobs;
    }

    /** Asks the scheduler to end it at its next turn; from any thread. */
    public void askToAbort() {
        abortAsked = true;
    }

    boolean abortAsked() {
        return abortAsked;
    }

    boolean finished() {
        return phase == Phase.FINISHED;
    }

    /** True when the next decode step can still yield a token that is wanted. */
    boolean canDecode() {
        return phase == Phase.RUNNING && generated() + inFlight < sampling.maxNewTokens();
    }

    /** Output tokens that are still wanted, at most. */
    int remaining() {
        return Math.max(sampling.maxNewTokens() - generated(), 0);
    }

    void append(int id) {
        if (known == ids.length) {
            ids = Arrays.copyOf(ids, Math.max(16, known + (known >> 1) + 1));
        }
        ids[known++] = id;
        if (newCount == newIds.length) {
            newIds = Arrays.copyOf(newIds, newCount * 2);
        }
        newIds[newCount++] = id;
    }

    void addInputLogprobs(List<TokenLogprob> logprobs) {
        if (!promptTold) {
            inputLogprobs = inputLogprobs.isEmpty() ? new ArrayList<>() : inputLogprobs;
            inputLogprobs.addAll(logprobs);
        }
    }

    void addOutputLogprob(TokenLogprob logprob) {
        outputLogprobs = outputLogprobs.isEmpty() ? new ArrayList<>(1) : outputLogprobs;
        outputLogprobs.add(logprob);
    }

    /** Makes room for the slots of {@code tokens} positions. */
    void reserveSlots(int tokens) {
        if (slots.length < tokens) {
            slots = Arrays.copyOf(slots, Math.max(tokens, slots.length + (slots.length >> 1)));
        }
    }

    /** Log probabilities asked of the next step: a retracted request has had those of its prompt. */
    EngineRequest.@Nullable LogprobSpec logprobs() {
        EngineRequest.LogprobSpec spec = source.logprobs();
        return spec == null || !promptTold || spec.startPosition() < 0
                ? spec
                : new EngineRequest.LogprobSpec(-1, spec.top(), spec.tokenIds());
    }

    @Override
    public String toString() {
        return rid() + "[" + phase + " " + filled + "/" + known + "]";
    }
}
