package dev.baton.engine.disagg.transfer;

import java.util.Collections;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What one rank's KV cache looks like; both sides must agree on all of it but the heads.
 *
 * @param model name or digest of what the cache belongs to: architecture, sizes, rope
 * @param layers of the whole model
 * @param held the L of them that this rank holds: those of its pipeline stage
 * @param pageTokens tokens of a page, the unit of transfer
 * @param heads which heads this rank holds
 * @param buffers for a latent cache L buffers; otherwise L key buffers, then L value buffers
 */
public record KvLayout(
        String model, int layers, LayerRange held, int pageTokens, HeadShare heads, List<Buffer> buffers) {
    /**
     * @param dtype element type, as safetensors writes it
     * @param headBytes bytes that one token takes for one head
     */
    public record Buffer(String dtype, int headBytes) {
        public Buffer {
            if (headBytes < 1) {
                throw new IllegalArgumentException("headBytes must be at least 1, got " + headBytes);
            }
        }
    }

    public KvLayout {
        buffers = List.copyOf(buffers);
        if (held.end() > layers || buffers.isEmpty() || buffers.size() % held.count() != 0) {
            throw new IllegalArgumentException(
                    buffers.size() + " KV buffers are not a whole number for each of layers " + held + " of " + layers);
        }
        if (pageTokens < 1) {
            throw new IllegalArgumentException("pageTokens must be at least 1, got " + pageTokens);
        }
    }

    /** A layout of equal buffers for all layers: {@code perLayer} of them a layer (1 for a latent, 2 for keys and values). */
    public static KvLayout uniform(
            String model, int layers, int perLayer, int pageTokens, HeadShare heads, String dtype, int headBytes) {
        return new KvLayout(
                model,
                layers,
                new LayerRange(0, layers),
                pageTokens,
                heads,
                Collections.nCopies(layers * perLayer, new Buffer(dtype, headBytes)));
    }

    /** Buffers of one layer. */
    public int kinds() {
        return buffers.size() / held.count();
    }

    /**
     * Number of a layer's buffer.
     *
     * @param kind 0 for latents or keys, 1 for values
     * @param layer of the model; held by this rank
     */
    int buffer(int kind, int layer) {
        return kind * held.count() + layer - held.first();
    }

    /** Bytes of one token in buffer {@code i} of this rank. */
    public long tokenBytes(int i) {
        return (long) buffers.get(i).headBytes() * heads.count();
    }

    /** Bytes of one page in buffer {@code i} of this rank. */
    public long pageBytes(int i) {
        return tokenBytes(i) * pageTokens;
    }

    /** Bytes of one page over all buffers of this rank. */
    public long pageBytes() {
        long sum = 0;
        for (int i = 0; i < buffers.size(); i++) {
            sum += pageBytes(i);
        }
        return sum;
    }

    /** Pages that {@code tokens} take. */
    public int pages(int tokens) {
        return (tokens + pageTokens - 1) / pageTokens;
    }

    /**
     * Why pages of {@code prefill} cannot go to a cache of {@code decode}; null when they can. Heads and layers may
     * differ: what a rank lacks comes from another rank.
     */
    public static @Nullable String mismatch(KvLayout prefill, KvLayout decode) {
        if (!prefill.model.equals(decode.model)) {
            return differ("model", prefill.model, decode.model);
        }
        if (prefill.pageTokens != decode.pageTokens) {
            return "Page size mismatch: " + differ("page_size", prefill.pageTokens, decode.pageTokens)
                    + "; start both with the same --page-size";
        }
        if (prefill.layers != decode.layers) {
            return differ("layers", prefill.layers, decode.layers);
        }
        if (prefill.kinds() != decode.kinds()) {
            return differ("KV buffers a layer", prefill.kinds(), decode.kinds());
        }
        for (int kind = 0; kind < prefill.kinds(); kind++) {
            String different = mismatch(prefill, decode, kind);
            if (different != null) {
                return different;
            }
        }
        if (prefill.heads.total() != decode.heads.total()) {
            return differ("key/value heads", prefill.heads.total(), decode.heads.total());
        }
        return null;
    }

    /** Of one kind's buffers in the layers that both have. */
    private static @Nullable String mismatch(KvLayout prefill, KvLayout decode, int kind) {
        int end = Math.min(prefill.held.end(), decode.held.end());
        for (int layer = Math.max(prefill.held.first(), decode.held.first()); layer < end; layer++) {
            Buffer p = prefill.buffers.get(prefill.buffer(kind, layer));
            Buffer d = decode.buffers.get(decode.buffer(kind, layer));
            if (!p.dtype.equals(d.dtype)) {
                return differ("kv_cache_dtype", p.dtype, d.dtype) + "; start both with the same --kv-cache-dtype";
            }
            if (p.headBytes != d.headBytes) {
                return differ("bytes a token and head in layer " + layer, p.headBytes, d.headBytes);
            }
        }
        return null;
    }

    private static String differ(String what, Object prefill, Object decode) {
        return "prefill server has " + what + "=" + prefill + ", decode server has " + what + "=" + decode;
    }
}
