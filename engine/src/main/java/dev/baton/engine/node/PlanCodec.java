package dev.baton.engine.node;

import dev.baton.engine.request.EngineRequest.LogprobSpec;
import dev.baton.engine.schedule.ForwardMode;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.protocol.GrammarSpec;
import dev.baton.protocol.SamplingParams;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * How a {@link StepPlan} travels to other nodes. Matchers stay where they are: only the rank that chooses tokens has them.
 * Sequences of equal parameters share one copy.
 */
final class PlanCodec {
    private static final ForwardMode[] MODES = ForwardMode.values();
    private static final GrammarSpec.Kind[] GRAMMARS = GrammarSpec.Kind.values();

    private PlanCodec() {}

    static void write(WireBuffer out, StepPlan plan) {
        out.putLong(plan.step());
        out.putByte(plan.mode().ordinal());
        out.putInts(plan.rows());
        out.putInts(plan.tokenStart());
        out.putInts(plan.starts());
        out.putInts(plan.slots());
        out.putInts(plan.inputIds());
        out.putList(plan.prefixes(), prefix -> {
            out.putInt(prefix.row());
            out.putInts(prefix.slots());
            out.putInts(prefix.ids());
        });
        for (boolean sampled : plan.samples()) {
            out.putBoolean(sampled);
        }
        Map<SamplingParams, Integer> seen = new HashMap<>();
        for (SamplingParams params : plan.sampling()) {
            Integer known = seen.putIfAbsent(params, seen.size());
            out.putInt(known == null ? -1 : known);
            if (known == null) {
                sampling(out, params);
            }
        }
        out.putLongs(plan.seeds());
        for (LogprobSpec spec : plan.logprobs()) {
            out.putNullable(spec, s -> {
                out.putInt(s.startPosition());
                out.putInt(s.top());
                out.putInts(s.tokenIds());
            });
        }
        out.putInts(plan.promptTokens());
    }

    static StepPlan read(WireBuffer in) {
        long step = in.longValue();
        ForwardMode mode = MODES[in.byteValue()];
        int[] rows = in.ints();
        int sequences = rows.length;
        int[] tokenStart = in.ints();
        int[] starts = in.ints();
        int[] slots = in.ints();
        int[] inputIds = in.ints();
        List<StepPlan.Prefix> prefixes = in.list(() -> new StepPlan.Prefix(in.intValue(), in.ints(), in.ints()));
        boolean[] samples = new boolean[sequences];
        for (int b = 0; b < sequences; b++) {
            samples[b] = in.booleanValue();
        }
        SamplingParams[] sampling = new SamplingParams[sequences];
        Map<Integer, SamplingParams> seen = new HashMap<>();
        for (int b = 0; b < sequences; b++) {
            int known = in.intValue();
            SamplingParams params = known < 0 ? sampling(in) : seen.get(known);
            if (params == null) {
                throw new IllegalStateException("a plan that refers to parameters it does not hold");
            }
            if (known < 0) {
                seen.put(seen.size(), params);
            }
            sampling[b] = params;
        }
        long[] seeds = in.longs();
        @Nullable LogprobSpec[] logprobs = new LogprobSpec[sequences];
        for (int b = 0; b < sequences; b++) {
            logprobs[b] = in.nullable(() -> new LogprobSpec(in.intValue(), in.intValue(), in.ints()));
        }
        return new StepPlan(
                step,
                mode,
                rows,
                tokenStart,
                starts,
                slots,
                inputIds,
                prefixes,
                samples,
                sampling,
                seeds,
                logprobs,
                in.ints());
    }

    private static void sampling(WireBuffer out, SamplingParams p) {
        out.putInt(p.maxNewTokens());
        out.putInt(p.minNewTokens());
        out.putFloat(p.temperature());
        out.putFloat(p.topP());
        out.putInt(p.topK());
        out.putFloat(p.minP());
        out.putFloat(p.frequencyPenalty());
        out.putFloat(p.presencePenalty());
        out.putFloat(p.repetitionPenalty());
        out.putList(p.stop(), out::putText);
        out.putList(p.stopTokenIds(), out::putInt);
        out.putBoolean(p.ignoreEos());
        out.putInt(p.n());
        out.putBoolean(p.skipSpecialTokens());
        out.putBoolean(p.spacesBetweenSpecialTokens());
        out.putBoolean(p.noStopTrim());
        out.putNullable(p.seed(), out::putLong);
        out.putList(List.copyOf(p.logitBias().entrySet()), bias -> {
            out.putInt(bias.getKey());
            out.putFloat(bias.getValue());
        });
        out.putList(p.stopRegex(), out::putText);
        out.putNullable(p.grammar(), grammar -> {
            out.putByte(grammar.kind().ordinal());
            out.putText(grammar.text());
        });
    }

    private static SamplingParams sampling(WireBuffer in) {
        return new SamplingParams(
                in.intValue(),
                in.intValue(),
                in.floatValue(),
                in.floatValue(),
                in.intValue(),
                in.floatValue(),
                in.floatValue(),
                in.floatValue(),
                in.floatValue(),
                in.list(in::text),
                in.list(in::intValue),
                in.booleanValue(),
                in.intValue(),
                in.booleanValue(),
                in.booleanValue(),
                in.booleanValue(),
                in.nullable(in::longValue),
                bias(in),
                in.list(in::text),
                in.nullable(() -> new GrammarSpec(GRAMMARS[in.byteValue()], in.text())));
    }

    private static Map<Integer, Float> bias(WireBuffer in) {
        Map<Integer, Float> bias = new HashMap<>();
        for (int left = in.intValue(); left > 0; left--) {
            bias.put(in.intValue(), in.floatValue());
        }
        return bias;
    }
}
