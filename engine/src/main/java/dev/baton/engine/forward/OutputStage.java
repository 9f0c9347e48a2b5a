package dev.baton.engine.forward;

import dev.baton.engine.grammar.Matcher;
import dev.baton.engine.request.EngineRequest;
import dev.baton.engine.request.TokenLogprob;
import dev.baton.engine.sample.DeviceSampling;
import dev.baton.engine.sample.Logprobs;
import dev.baton.engine.sample.Sampler;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.engine.schedule.StepResult;
import dev.baton.model.DType;
import dev.baton.model.config.ModelConfig;
import dev.baton.protocol.SamplingParams;
import dev.baton.tensor.Device;
import dev.baton.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Turns a step's logits into chosen tokens and log probabilities on the host. Rows whose choice is the plain largest logit
 * are chosen by the device; only the others are copied. What an asynchronous device can choose alone does not come here
 * ({@link LateChoices}). One thread.
 */
final class OutputStage {
    private final Device device;
    private final boolean hostMemory;
    private final int vocabulary;
    private final Sampler sampler;
    private final Logprobs logprobs;
    private final LogitRows rows = new LogitRows();
    private final LateChoices choices;
    /** I32 [logitRows] the largest logits' ids */
    private final MemorySegment bestOnHost;
    /** F32 [vocabulary] host memory of one row; unused where the device's memory is the host's. */
    private final @Nullable MemorySegment staging;
    /** [vocabulary] the row as the model gave it. */
    private final float[] logits;
    /** [vocabulary] a copy for the sampler to change, where log probabilities are told of the row as it was. */
    private final float[] changed;
    /** [vocabulary / 64] tokens that a grammar allows. */
    private final long[] mask;
    /**
     * By table row: the logits of the last token of a chunk, which tell about the first token of the next chunk, for
     * requests that want prompt log probabilities.
     */
    private final Map<Integer, float[]> carried = new HashMap<>();

    private @Nullable LogitsListener listener;
    private int[] nextIds = {};
    private @Nullable TokenLogprob[] outputs = {};
    private @Nullable List<TokenLogprob>[] inputs = lists(0);

    OutputStage(Device device, ModelConfig config, LateChoices choices, int logitRows) {
        this.device = device;
        this.hostMemory = device.info().kind().equals("cpu");
        this.vocabulary = config.vocabSize();
        this.sampler = new Sampler(vocabulary, config.eosIds());
        this.logprobs = new Logprobs(vocabulary);
        this.choices = choices;
        this.bestOnHost = device.hostBuffer(4L * logitRows);
        this.staging = hostMemory ? null : Arena.ofAuto().allocate(4L * vocabulary, 64);
        this.logits = new float[vocabulary];
        this.changed = new float[vocabulary];
        this.mask = new long[(vocabulary + 63) >> 6];
    }

    @SuppressWarnings({"unchecked", "rawtypes"})
    private static @Nullable List<TokenLogprob>[] lists(int length) {
        return new List[length];
    }

    void listen(@Nullable LogitsListener next) {
        this.listener = next;
    }

    /** Starts a step: what it needs logits of, and the log probabilities that a former chunk's logits tell. */
    void begin(StepPlan plan) {
        rows.of(plan);
        nextIds = new int[plan.sequences()];
        Arrays.fill(nextIds, -1);
        outputs = new TokenLogprob[plan.sequences()];
        inputs = lists(plan.sequences());
        for (StepPlan.Prefix prefix : plan.prefixes()) {
            carried.remove(prefix.row());
        }
        for (int b = 0; b < plan.sequences(); b++) {
            EngineRequest.LogprobSpec spec = plan.logprobs()[b];
            int start = plan.starts()[b];
            float[] former = carried.remove(plan.rows()[b]);
            if (spec == null || spec.startPosition() < 0 || start >= plan.promptTokens()[b]) {
                continue;
            }
            List<TokenLogprob> list = new ArrayList<>();
            inputs[b] = list;
            if (start + plan.count(b) <= spec.startPosition() || plan.count(b) == 0) {
                continue;
            }
            if (start <= spec.startPosition()) {
                list.add(Logprobs.unknown(plan.inputIds()[plan.tokenStart()[b] + spec.startPosition() - start]));
            } else {
                int id = plan.inputIds()[plan.tokenStart()[b]];
                list.add(former == null ? Logprobs.unknown(id) : logprobs.of(former, id, spec.top(), spec.tokenIds()));
            }
        }
    }

    LogitRows rows() {
        return rows;
    }

    /** [B], to be filled with rank 0's choices on the other ranks. */
    int[] nextIds() {
        return nextIds;
    }

    /** Whether a device that samples can choose every token of the step, and nobody wants to see logits. */
    boolean fitsDevice(StepPlan plan) {
        for (int i = 0; i < rows.count(); i++) {
            int b = rows.sequence(i);
            boolean fits = rows.sampled(i)
                    && plan.matchers()[b] == null
                    && plan.logprobs()[b] == null
                    && DeviceSampling.serves(plan.sampling()[b], generated(plan, b));
            if (!fits) {
                return false;
            }
        }
        return listener == null;
    }

    /** Whether some choice is not the plain largest logit. */
    boolean samples(StepPlan plan) {
        for (int i = 0; i < rows.count(); i++) {
            if (!isPlain(plan, rows.sequence(i))) {
                return true;
            }
        }
        return false;
    }

    private static int generated(StepPlan plan, int b) {
        return plan.contextLength(b) - plan.promptTokens()[b];
    }

    /**
     * Chooses and tells about rows {@code [from, from + count)} of {@link #rows}, whose logits are given and whose
     * largest ones {@link LateChoices#choose} has found.
     */
    void take(StepPlan plan, StepTables tables, Tensor slice, int from, int count) {
        choices.read(count, bestOnHost);
        for (int i = 0; i < count; i++) {
            int b = rows.sequence(from + i);
            boolean sampled = rows.sampled(from + i);
            boolean plain = sampled && isPlain(plan, b);
            if (plain) {
                nextIds[b] = bestOnHost.getAtIndex(ValueLayout.JAVA_INT, i);
            }
            if (!plain || plan.logprobs()[b] != null || listener != null) {
                read(slice, i);
                int position = plan.starts()[b] + rows.token(from + i) - plan.tokenStart()[b];
                if (listener != null) {
                    listener.logits(plan, b, position, logits);
                }
                if (sampled) {
                    choose(plan, tables, b, plain);
                } else {
                    promptLogprob(plan, b, position);
                }
            }
        }
    }

    /** Whether ranks with the same logits choose the same without telling each other: every choice is the largest logit. */
    boolean choosesAlike(StepPlan plan) {
        for (int b = 0; b < plan.sequences(); b++) {
            if (!plan.samples()[b] || !isPlain(plan, b) || plan.logprobs()[b] != null) {
                return false;
            }
        }
        return true;
    }

    private static boolean isPlain(StepPlan plan, int b) {
        return plan.matchers()[b] == null && Sampler.isPlainGreedy(plan.sampling()[b], generated(plan, b));
    }

    private void read(Tensor slice, int row) {
        long offset = row * slice.rowStride() * 4;
        MemorySegment source = slice.memory().asSlice(offset, 4L * vocabulary);
        if (hostMemory || staging == null) {
            MemorySegment.copy(source, ValueLayout.JAVA_FLOAT, 0, logits, 0, vocabulary);
        } else {
            device.toHost(Tensor.dense(source, DType.F32, vocabulary), staging);
            MemorySegment.copy(staging, ValueLayout.JAVA_FLOAT, 0, logits, 0, vocabulary);
        }
    }

    private void choose(StepPlan plan, StepTables tables, int b, boolean chosen) {
        SamplingParams params = plan.sampling()[b];
        EngineRequest.LogprobSpec spec = plan.logprobs()[b];
        if (!chosen) {
            if (spec != null) {
                System.arraycopy(logits, 0, changed, 0, vocabulary);
            }
            int[] tokens = tables.tokens(plan.rows()[b]);
            Matcher matcher = plan.matchers()[b];
            if (matcher != null) {
                // The token before was chosen here and stands in the table, whether or not the scheduler knows it yet.
                matcher.follow(tokens, plan.promptTokens()[b], plan.contextLength(b));
                matcher.allowed(mask);
            }
            nextIds[b] = sampler.choose(
                    spec == null ? logits : changed,
                    params,
                    tokens,
                    plan.promptTokens()[b],
                    plan.contextLength(b),
                    plan.seeds()[b],
                    matcher == null ? null : mask);
        }
        if (spec != null) {
            outputs[b] = logprobs.of(logits, nextIds[b], spec.top(), spec.tokenIds());
        }
    }

    private void promptLogprob(StepPlan plan, int b, int position) {
        int next = position + 1 - plan.starts()[b];
        EngineRequest.LogprobSpec spec = plan.logprobs()[b];
        List<TokenLogprob> list = inputs[b];
        if (spec == null || list == null) {
            return;
        }
        if (next == plan.count(b)) {
            carried.put(plan.rows()[b], logits.clone());
        } else {
            int id = plan.inputIds()[plan.tokenStart()[b] + next];
            list.add(logprobs.of(logits, id, spec.top(), spec.tokenIds()));
        }
    }

    StepResult result(StepPlan plan, long startNanos, long endNanos) {
        return new StepResult(plan.step(), nextIds, outputs, inputs, startNanos, endNanos);
    }
}
