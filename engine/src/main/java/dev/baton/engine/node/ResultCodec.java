package dev.baton.engine.node;

import dev.baton.engine.request.TokenLogprob;
import dev.baton.engine.schedule.StepResult;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** How a {@link StepResult} travels to node 0. Times become this JVM's: the step ended now and took as long as it took. */
final class ResultCodec {
    private ResultCodec() {}

    static void write(WireBuffer out, StepResult result) {
        out.putLong(result.step());
        out.putInts(result.nextIds());
        for (TokenLogprob logprob : result.outputLogprobs()) {
            out.putNullable(logprob, p -> write(out, p));
        }
        for (List<TokenLogprob> logprobs : result.inputLogprobs()) {
            out.putNullable(logprobs, list -> out.putList(list, p -> write(out, p)));
        }
        out.putLong(result.endNanos() - result.startNanos());
    }

    static StepResult read(WireBuffer in) {
        long step = in.longValue();
        int[] ids = in.ints();
        @Nullable TokenLogprob[] outputs = new TokenLogprob[ids.length];
        for (int b = 0; b < ids.length; b++) {
            outputs[b] = in.nullable(() -> logprob(in));
        }
        @Nullable List<TokenLogprob>[] inputs = lists(ids.length);
        for (int b = 0; b < ids.length; b++) {
            inputs[b] = in.nullable(() -> in.list(() -> logprob(in)));
        }
        long now = System.nanoTime();
        return new StepResult(step, ids, outputs, inputs, now - in.longValue(), now);
    }

    @SuppressWarnings({"unchecked", "rawtypes"})
    private static @Nullable List<TokenLogprob>[] lists(int length) {
        return new List[length];
    }

    private static void write(WireBuffer out, TokenLogprob p) {
        out.putInt(p.tokenId());
        out.putFloat(p.logprob());
        out.putInts(p.topIds());
        floats(out, p.topLogprobs());
        floats(out, p.chosenLogprobs());
    }

    private static TokenLogprob logprob(WireBuffer in) {
        return new TokenLogprob(in.intValue(), in.floatValue(), in.ints(), floats(in), floats(in));
    }

    private static void floats(WireBuffer out, float[] values) {
        int[] bits = new int[values.length];
        for (int i = 0; i < bits.length; i++) {
            bits[i] = Float.floatToRawIntBits(values[i]);
        }
        out.putInts(bits);
    }

    private static float[] floats(WireBuffer in) {
        int[] bits = in.ints();
        float[] values = new float[bits.length];
        for (int i = 0; i < bits.length; i++) {
            values[i] = Float.intBitsToFloat(bits[i]);
        }
        return values;
    }
}
