package dev.baton.engine.disagg.transfer;

import dev.baton.engine.request.TokenLogprob;
import java.io.IOException;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.jspecify.annotations.Nullable;

/**
 * What the decode server needs beside the pages to go on.
 *
 * @param firstId the token that prefill sampled
 * @param cachedTokens prompt tokens that prefill found in its prefix cache
 * @param logprob log probability of {@code firstId}; null when not asked for
 */
public record AuxRecord(
        int firstId, int cachedTokens, @Nullable TokenLogprob logprob) {
    private static final int MAX_ENTRIES = 1 << 20;

    /** Little endian: firstId, cachedTokens, has logprob, then id, value and three counted arrays. */
    public ByteBuffer encode() {
        int bytes = 12;
        if (logprob != null) {
            bytes += 8 + 12 + 8 * logprob.topIds().length + 4 * logprob.chosenLogprobs().length;
        }
        ByteBuffer out = ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
        out.putInt(firstId).putInt(cachedTokens).putInt(logprob == null ? 0 : 1);
        if (logprob != null) {
            out.putInt(logprob.tokenId()).putFloat(logprob.logprob());
            out.putInt(logprob.topIds().length);
            for (int id : logprob.topIds()) {
                out.putInt(id);
            }
            putFloats(out, logprob.topLogprobs());
            putFloats(out, logprob.chosenLogprobs());
        }
        return out.flip();
    }

    /** @throws IOException when the bytes are no such record */
    public static AuxRecord decode(ByteBuffer body) throws IOException {
        ByteBuffer in = body.order(ByteOrder.LITTLE_ENDIAN);
        try {
            int firstId = in.getInt();
            int cached = in.getInt();
            if (in.getInt() == 0) {
                return new AuxRecord(firstId, cached, null);
            }
            int id = in.getInt();
            float value = in.getFloat();
            int[] topIds = new int[count(in)];
            for (int i = 0; i < topIds.length; i++) {
                topIds[i] = in.getInt();
            }
            return new AuxRecord(firstId, cached, new TokenLogprob(id, value, topIds, floats(in), floats(in)));
        } catch (BufferUnderflowException e) {
            throw new IOException("the record beside the pages is too short: " + body.limit() + " bytes", e);
        }
    }

    private static void putFloats(ByteBuffer out, float[] values) {
        out.putInt(values.length);
        for (float v : values) {
            out.putFloat(v);
        }
    }

    private static float[] floats(ByteBuffer in) throws IOException {
        float[] values = new float[count(in)];
        for (int i = 0; i < values.length; i++) {
            values[i] = in.getFloat();
        }
        return values;
    }

    private static int count(ByteBuffer in) throws IOException {
        int count = in.getInt();
        if (count < 0 || count > MAX_ENTRIES) {
            throw new IOException("the record beside the pages has an array of " + count + " entries");
        }
        return count;
    }
}
