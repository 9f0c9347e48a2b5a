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
 * @param gate gate projection of a dense, shared or routed MLP
 * @param up its up projection
 * @param down its down projection
 * @param router the experts' gate, below {@link #mlp}
 * @param correctionBias full name of the router's bias, below {@link #mlp}
 * @param expert prefix of one routed expert, below {@link #mlp}
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
        String gate,
        String up,
        String down,
        String router,
        String correctionBias,
        String expert,
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
            "gate_proj",
            "up_proj",
            "down_proj",
            "gate",
            "gate.e_score_correction_bias",
            "experts.%d.",
            "shared_experts.");

    /** The prefix of layer {@code i}. */
    public String layer(int i) {
        return layer.replace("%d", Integer.toString(i));
    }

    /** The prefix of routed expert {@code e} below the MLP's prefix. */
    public String expert(int e) {
        return expert.replace("%d", Integer.toString(e));
    }
}
