package dev.baton.engine.arch;

/**
 * An architecture: which blocks a decoder layer is made of, and how its weights are called. Everything that is a number
 * or a switch of {@code config.json} (biases, experts, ranks, rope) comes from the configuration.
 *
 * @param attention kind of attention
 * @param queryKeyNorm RMSNorm over each query and key head before rope
 * @param names the weights' names
 */
public record ArchitectureSpec(AttentionKind attention, boolean queryKeyNorm, WeightNames names) {
    /** Kinds of attention. */
    public enum AttentionKind {
        /** Multi-head, grouped-query or multi-query: heads with keys and values of their own. */
        GROUPED,
        /** Multi-head latent attention. */
        LATENT
    }

    /** Layers are {@code h = x + attention(norm(x)); y = h + mlp(norm(h))}, with grouped attention. */
    public static ArchitectureSpec grouped(WeightNames names) {
        return new ArchitectureSpec(AttentionKind.GROUPED, false, names);
    }

    /** The same layers with latent attention. */
    public static ArchitectureSpec latent(WeightNames names) {
        return new ArchitectureSpec(AttentionKind.LATENT, false, names);
    }

    /** With an RMSNorm over each query and key head before rope. */
    public ArchitectureSpec withQueryKeyNorm() {
        return new ArchitectureSpec(attention, true, names);
    }
}
