package dev.baton.model.config;

/**
 * Multi-head latent attention (DeepSeek-V2 technical report, section 2.1).
 *
 * @param qLoraRank rank of the query's down projection; 0 when queries are projected directly
 * @param kvLoraRank width of the cached latent
 * @param qkNopeHeadDim elements of a head without rope
 * @param qkRopeHeadDim elements of a head with rope; the key's are shared by all heads
 * @param vHeadDim elements of a value head
 */
public record MlaConfig(int qLoraRank, int kvLoraRank, int qkNopeHeadDim, int qkRopeHeadDim, int vHeadDim) {
    /** Elements of a query or key head: without rope, then with. */
    public int qkHeadDim() {
        return qkNopeHeadDim + qkRopeHeadDim;
    }

    /** Whether queries go through a low rank. */
    public boolean hasQueryLowRank() {
        return qLoraRank > 0;
    }

    /** Elements of one cached token and layer: latent, then the rotated key. */
    public int cacheDim() {
        return kvLoraRank + qkRopeHeadDim;
    }
}
