package dev.baton.model.config;

import dev.baton.model.DType;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/**
 * A decoder's configuration, read from {@code config.json} and {@code generation_config.json} of a Hugging Face model
 * folder, in either generation of keys ({@code rope_theta}, {@code rope_scaling}, {@code torch_dtype} or
 * {@code rope_parameters}, {@code dtype}). Whatever the file asks for and this module does not know is an error.
 *
 * @param intermediateSize of the dense MLP
 * @param headDim elements of a query and key head (MLA: without rope + with rope)
 * @param rmsNormEpsilon added to the mean of squares
 * @param maxPositions longest context, tokens
 * @param tiedEmbeddings the output projection is the embedding
 * @param qkvBias query, key and value projections have a bias
 * @param outputBias the attention's output projection has a bias
 * @param dtype the type that the file declares for weights and activations
 * @param bosId token that begins a text, -1 when there is none
 * @param eosIds tokens that end a generation; config.json's and generation_config.json's
 * @param mla null unless the architecture has latent attention
 * @param moe null when every layer is dense
 * @param quantization null when weights are stored as they are
 */
public record ModelConfig(
        Architecture architecture,
        int hiddenSize,
        int intermediateSize,
        int layers,
        int heads,
        int kvHeads,
        int headDim,
        int vocabSize,
        double rmsNormEpsilon,
        RopeConfig rope,
        int maxPositions,
        boolean tiedEmbeddings,
        boolean qkvBias,
        boolean outputBias,
        DType dtype,
        int bosId,
        List<Integer> eosIds,
        @Nullable MlaConfig mla,
        @Nullable MoeConfig moe,
        @Nullable Quantization quantization,
        GenerationDefaults generation) {

    public ModelConfig {
        eosIds = List.copyOf(eosIds);
    }

    /**
     * Reads a model folder.
     *
     * @throws dev.baton.model.ModelException naming the file, field, value and what is supported
     */
    public static ModelConfig read(Path folder) {
        return ModelConfigReader.read(folder);
    }

    /**
     * As {@link #read(Path)} from parsed files.
     *
     * @param generation generation_config.json, null when there is none
     * @param origin names the file in errors
     */
    public static ModelConfig of(JsonNode config, @Nullable JsonNode generation, String origin) {
        return ModelConfigReader.of(config, generation, origin);
    }

    /** Whether {@code layer} has experts. */
    public boolean sparse(int layer) {
        return moe != null && moe.sparse(layer);
    }

    /** Elements of a value head. */
    public int valueHeadDim() {
        return mla != null ? mla.vHeadDim() : headDim;
    }

    /** The factor of query-key products: headDim^-1/2, and DeepSeek's YaRN magnitude squared. */
    public float attentionScale() {
        return Rope.attentionScale(this);
    }
}
