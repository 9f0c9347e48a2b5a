package dev.baton.engine.disagg.transfer;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What one rank's KV cache looks like; both sides must agree on all of it but the heads.
 *
 * @param model name or digest of what the cache belongs to: architecture, sizes, rope
 * @param layers L
 * @param pageTokens tokens of a page, the unit of transfer
 * @param heads which heads this rank holds
 * @param buffers for a latent cache L buffers; otherwise L key buffers, then L value buffers
 */
public record KvLayout(String model, int layers, int pageTokens, HeadShare heads, List<Buffer> buffers) {
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
        if (layers < 1 || buffers.isEmpty() || buffers.size() % layers != 0) {
            throw new IllegalArgumentException(
                    buffers.size() + " KV buffers are not a whole number for each of " + layers + " layers");
        }
        if (pageTokens < 1) {
            throw new IllegalArgumentException("pageTokens must be at least 1, got " + pageTokens);
        }
    }

    /** A layout of equal buffers: {@code perLayer} of them a layer (1 for a latent, 2 for keys and values). */
    public static KvLayout uniform(
            String model, int layers, int perLayer, int pageTokens, HeadShare heads, String dtype, int headBytes) {
        return new KvLayout(
                model,
                layers,
                pageTokens,
                heads,
                java.util.Collections.nCopies(layers * perLayer, new Buffer(dtype, headBytes)));
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
     * Why pages of {@code prefill} cannot go to a cache of {@code decode}; null when they can. Heads may differ: what
     * a rank lacks comes from another rank.
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
        if (prefill.buffers.size() != decode.buffers.size()) {
            return differ("KV buffers", prefill.buffers.size(), decode.buffers.size());
        }
        for (int i = 0; i < prefill.buffers.size(); i++) {
            Buffer p = prefill.buffers.get(i);
            Buffer d = decode.buffers.get(i);
            if (!p.dtype.equals(d.dtype)) {
                return differ("kv_cache_dtype", p.dtype, d.dtype) + "; start both with the same --kv-cache-dtype";
            }
            if (p.headBytes != d.headBytes) {
                return differ("bytes a token and head of buffer " + i, p.headBytes, d.headBytes);
            }
        }
        if (prefill.heads.total() != decode.heads.total()) {
            return differ("key/value heads", prefill.heads.total(), decode.heads.total());
        }
        return null;
    }

    private static String differ(String what, Object prefill, Object decode) {
        return "prefill server has " + what + "=" + prefill + ", decode server has " + what + "=" + decode;
    }
}
