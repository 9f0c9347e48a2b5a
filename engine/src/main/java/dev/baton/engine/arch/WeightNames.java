package dev.baton.engine.arch;

/**
 * Where a checkpoint keeps what. Names are those of {@code model.safetensors} without {@code .weight}; those below a
 * layer come after {@link #layer}, {@code %d} is the layer's or the expert's number.
 *
 * @param embedding token embedding
 * @param finalNorm norm before the output projection
 * @param output output projection, unused when it is tied to the embedding
 * @param layer prefix of a layer
 * @param attentionNorm norm before attention
 * @param mlpNorm norm before the MLP
 * @param attention prefix of the attention's projections
 * @param mlp prefix of the MLP
 * @param projections of a dense or shared MLP
 * @param router the experts' gate, below {@link #mlp}
 * @param correctionBias full name of the router's bias, below {@link #mlp}
 * @param expert prefix of one routed expert, below {@link #mlp}
 * @param expertProjections of a routed expert
 * @param sharedExperts prefix of the shared experts, below {@link #mlp}
 */
public record WeightNames(
        String embedding,
        String finalNorm,
        String output,
        String layer,
        String attentionNorm,
        String mlpNorm,
        String attention,
        String mlp,
        Projections projections,
        String router,
        String correctionBias,
        String expert,
        Projections expertProjections,
        String sharedExperts) {

    /** The names that Hugging Face's Llama gave to most decoders. */
    public static final WeightNames HUGGING_FACE = new WeightNames(
            "model.embed_tokens",
            "model.norm",
            "lm_head",
            "model.layers.%d.",
            "input_layernorm",
            "post_attention_layernorm",
            "self_attn.",
            "mlp.",
            Projections.HUGGING_FACE,
            "gate",
            "gate.e_score_correction_bias",
            "experts.%d.",
            Projections.HUGGING_FACE,
            "shared_experts.");

    /** The three projections of a gated MLP. */
    public record Projections(String gate, String up, String down) {
        static final Projections HUGGING_FACE = new Projections("gate_proj", "up_proj", "down_proj");
    }

    /** The same names but for the experts: they live under {@code mlp} and have these projections. */
    WeightNames withExperts(String mlp, Projections projections) {
        return new WeightNames(
                embedding,
                finalNorm,
                output,
                layer,
                attentionNorm,
                mlpNorm,
                attention,
                mlp,
                this.projections,
                router,
                correctionBias,
                expert,
                projections,
                sharedExperts);
    }

    /** The prefix of layer {@code i}. */
    public String layer(int i) {
        return layer.replace("%d", Integer.toString(i));
    }

    /** The prefix of routed expert {@code e} below the MLP's prefix. */
    public String expert(int e) {
        return expert.replace("%d", Integer.toString(e));
    }
}
