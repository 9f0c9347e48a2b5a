package dev.baton.serve.generate;

import dev.baton.engine.Engine;
import dev.baton.engine.EngineInfo;
import dev.baton.engine.request.EngineRequest;
import dev.baton.engine.request.TokenLogprob;
import dev.baton.protocol.SamplingParams;
import dev.baton.protocol.reply.LogprobPosition;
import dev.baton.protocol.request.BootstrapFields;
import dev.baton.protocol.request.GenerateRequest;
import dev.baton.serve.ServeConfig;
import dev.baton.serve.ServeException;
import dev.baton.serve.TextCodec;
import dev.baton.serve.http.Exchange;
import dev.baton.serve.http.StepDelivery;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** Checks requests against the model and hands them to the engine; sees to it that a client that goes frees them. */
public final class Requests {
    /** Answers that one HTTP request may ask for, over all its prompts. */
    private static final int MAX_ANSWERS = 65_536;

    /** A body that parses and tokenises in well under a millisecond. */
    private static final int QUICK_BODY_BYTES = 2_048;

    private static final List<byte[]> SLOW_KEYS = Stream.of(
                    "regex", "ebnf", "json_schema", "structural_tag", "stop_regex", "response_format", "tools")
            .map(key -> (key + "\"").getBytes(StandardCharsets.US_ASCII))
            .toList();

    private final Engine engine;
    private final EngineInfo info;
    private final TextCodec codec;
    private final ServeConfig config;
    private final StepDelivery delivery;
    private final @Nullable RequestMetrics metrics;
    private final AtomicLong sequence = new AtomicLong();

    /**
     * @param metrics null when they are off
     */
    public Requests(
            Engine engine,
            TextCodec codec,
            ServeConfig config,
            StepDelivery delivery,
            @Nullable RequestMetrics metrics) {
        this.engine = engine;
        this.info = engine.info();
        this.codec = codec;
        this.config = config;
        this.delivery = delivery;
        this.metrics = metrics;
    }

    /**
     * Small enough to be admitted on the event loop: a short body without {@code n}, which can ask for any number, and without
     * a grammar, which may have to be compiled first (a name written with an escape counts as one).
     */
    public static boolean isQuick(Exchange exchange) {
        byte[] body = exchange.body();
        if (body.length > QUICK_BODY_BYTES) {
            return false;
        }
        for (int i = 1; i < body.length - 1; i++) {
            if (body[i] == 'n' && body[i - 1] == '"' && body[i + 1] == '"'
                    || body[i - 1] == '"' && slow(body, i)
                    || body[i - 1] == '\\' && body[i] == 'u') {
                return false;
            }
        }
        return true;
    }

    /** A key whose value may have to be compiled stands at {@code at}. */
    private static boolean slow(byte[] body, int at) {
        for (byte[] key : SLOW_KEYS) {
            if (body[at] == key[0]
                    && at + key.length <= body.length
                    && Arrays.equals(body, at, at + key.length, key, 0, key.length)) {
                return true;
            }
        }
        return false;
    }

    public TextCodec codec() {
        return codec;
    }

    public ServeConfig config() {
        return config;
    }

    public StepDelivery delivery() {
        return delivery;
    }

    /** Metrics are on: replies tell more times. */
    public boolean keepsTimes() {
        return metrics != null;
    }

    /** A request id that no other live request has. */
    public static String newRid() {
        ThreadLocalRandom random = ThreadLocalRandom.current();
        HexFormat hex = HexFormat.of();
        return hex.toHexDigits(random.nextLong()) + hex.toHexDigits(random.nextLong());
    }

    /** Prompts times n, within what one HTTP request may ask for. */
    public static int answers(int prompts, int n) {
        if (n > MAX_ANSWERS / prompts) {
            throw new ServeException(
                    ServeException.Code.BAD_REQUEST,
                    "n must be at most " + MAX_ANSWERS / prompts + " for " + prompts + " prompts, got " + n + ".");
        }
        return prompts * n;
    }

    /**
     * One prompt as the engine takes it, checked: ids within the vocabulary, room in the context, ranges of the
     * sampling parameters, the bootstrap fields where the role needs them.
     *
     * @param rid the client's name for the request, null for a new one; the engine's id begins with it
     * @param field what the prompt is called in errors
     * @param bootstrap of this request
     * @param cacheSalt keeps its cached prefixes apart; null for none
     * @throws ServeException BAD_REQUEST
     * @throws dev.baton.protocol.ProtocolException INVALID_REQUEST
     */
    public EngineRequest prepare(
            @Nullable String rid,
            String field,
            int[] ids,
            SamplingParams sampling,
            EngineRequest.@Nullable LogprobSpec logprobs,
            BootstrapFields bootstrap,
            @Nullable Integer dataParallelRank,
            @Nullable String cacheSalt) {
        checkIds(field, ids);
        SamplingParams resolved = resolveLength(sampling, ids.length).validate(info.vocabularySize());
        checkLength(ids.length, resolved.maxNewTokens());
        if (logprobs != null) {
            checkLogprobs(logprobs, ids.length);
        }
        EngineRequest.Bootstrap other = bootstrap(bootstrap);
        if (dataParallelRank != null && (dataParallelRank < 0 || dataParallelRank >= info.dataParallel())) {
            throw bad("data_parallel_rank must be in [0, " + info.dataParallel() + "), got " + dataParallelRank + ".");
        }
        return new EngineRequest(engineRid(rid), ids, resolved, logprobs, other, dataParallelRank, cacheSalt);
    }

    /**
     * A client may use one id twice, and the engine aborts by prefix: what ends one request must not end another, so
     * the client's id gets a unique end.
     */
    private String engineRid(@Nullable String rid) {
        return rid == null ? newRid() : rid + "#" + Long.toHexString(sequence.incrementAndGet()) + ";";
    }

    private void checkIds(String field, int[] ids) {
        if (ids.length == 0) {
            throw bad(field + " is empty: a prompt needs at least one token.");
        }
        int vocabulary = info.vocabularySize();
        for (int i = 0; i < ids.length; i++) {
            if (ids[i] < 0 || ids[i] >= vocabulary) {
                throw bad(field + "[" + i + "] is " + ids[i] + ", outside the vocabulary [0, " + vocabulary + ").");
            }
        }
    }

    private SamplingParams resolveLength(SamplingParams sampling, int promptTokens) {
        if (sampling.maxNewTokens() != GenerateRequest.REST_OF_CONTEXT) {
            return sampling;
        }
        int room = Math.min(info.contextTokens(), info.maxTotalTokens()) - promptTokens - 1;
        return sampling.withMaxNewTokens(Math.max(1, room));
    }

    private void checkLength(int promptTokens, int newTokens) {
        int context = info.contextTokens();
        if (promptTokens >= context) {
            throw bad("The input (" + promptTokens + " tokens) is longer than the model's context length (" + context
                    + " tokens).");
        }
        if (newTokens > 0 && (long) promptTokens + newTokens > context) {
            throw bad("Requested token count exceeds the model's maximum context length of " + context
                    + " tokens: the prompt has " + promptTokens + " and " + newTokens
                    + " new ones are asked for. Shorten the prompt or ask for at most " + (context - promptTokens)
                    + ".");
        }
    }

    private void checkLogprobs(EngineRequest.LogprobSpec logprobs, int promptTokens) {
        if (logprobs.startPosition() > promptTokens) {
            throw bad("logprob_start_len must be at most the prompt's length " + promptTokens + ", got "
                    + logprobs.startPosition() + ".");
        }
        for (int id : logprobs.tokenIds()) {
            if (id < 0 || id >= info.vocabularySize()) {
                throw bad("token_ids_logprob holds " + id + ", outside the vocabulary [0, " + info.vocabularySize()
                        + ").");
            }
        }
    }

    private EngineRequest.@Nullable Bootstrap bootstrap(BootstrapFields fields) {
        String role = info.role();
        if (role == null || role.isEmpty() || role.equals("null")) {
            return null;
        }
        if (fields.room() == null) {
            throw bad("Invalid request: Disaggregated request received without boostrap room id."
                    + " Send it to the router, which adds one.");
        }
        String host = fields.host();
        if (host == null) {
            if (role.equals("decode")) {
                throw bad("bootstrap_host is missing: a decode server must know its prefill server.");
            }
            host = config.host();
        }
        int port = fields.port() == null ? config.bootstrapPort() : fields.port();
        return new EngineRequest.Bootstrap(host, port, fields.room());
    }

    private static ServeException bad(String message) {
        return new ServeException(ServeException.Code.BAD_REQUEST, message);
    }

    /**
     * Hands each request to the engine with its answer as the sink, all or none, and begins the reply.
     *
     * @param requests one for each answer of the reply
     * @throws dev.baton.engine.EngineException QUEUE_FULL and others; nothing runs then
     */
    public void admit(Reply reply, List<EngineRequest> requests) {
        List<TokenStream> answers = reply.answers();
        reply.exchange().onClose(() -> answers.forEach(TokenStream::abort));
        int submitted = 0;
        try {
            for (; submitted < requests.size(); submitted++) {
                EngineRequest request = requests.get(submitted);
                TokenStream answer = answers.get(submitted);
                RequestTimes times = metrics == null
                        ? null
                        : new RequestTimes(metrics, reply.exchange().receivedNanos());
                answer.submitted(() -> engine.abort(request.rid()), times);
                engine.submit(request, answer);
            }
        } catch (RuntimeException e) {
            // First: an abort's own output must not begin the stream that is about to be refused.
            reply.refused();
            for (int i = 0; i < submitted; i++) {
                answers.get(i).abort();
            }
            throw e;
        }
        reply.begin();
        if (reply.exchange().isClosed()) {
            answers.forEach(TokenStream::abort);
        }
    }

    /** The engine's log probabilities as replies write them. */
    public static LogprobPosition position(TokenLogprob from, int[] askedIds) {
        return new LogprobPosition(
                from.tokenId(), from.logprob(), from.topIds(), from.topLogprobs(), askedIds, from.chosenLogprobs());
    }
}
