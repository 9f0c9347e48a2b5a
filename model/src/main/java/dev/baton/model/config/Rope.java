package dev.baton.model.config;

/**
 * Rotary frequencies and tables as Hugging Face transformers computes them: frequencies and angles in f32, so that long
 * positions round as they do there. Sources: RoFormer; Llama 3.1's published scaling; YaRN (Peng et al. 2023), section 3.
 *
 * @param rotaryDim rotated elements of a head
 * @param inverseFrequencies [rotaryDim / 2]
 * @param attentionFactor multiplies cos and sin (1 unless YaRN)
 */
public record Rope(int rotaryDim, float[] inverseFrequencies, float attentionFactor) {

    /** The frequencies and the magnitude that {@code config} describes. */
    public static Rope of(RopeConfig config) {
        int half = config.rotaryDim() / 2;
        float[] base = new float[half];
        for (int i = 0; i < half; i++) {
            float exponent = 2f * i / config.rotaryDim();
            base[i] = 1f / (float) Math.pow(config.theta(), exponent);
        }
        return switch (config.scaling()) {
            case RopeScaling.None none -> new Rope(config.rotaryDim(), base, 1f);
            case RopeScaling.Llama3 llama3 -> new Rope(config.rotaryDim(), smooth(base, llama3), 1f);
            case RopeScaling.Yarn yarn ->
                new Rope(config.rotaryDim(), stretch(base, config, yarn), (float) magnitude(yarn));
        };
    }

    /**
     * cos and sin of positions 0 to {@code positions - 1}: [positions, rotaryDim], a row holds rotaryDim/2 cosines, then
     * as many sines, all times the attention factor.
     */
    public float[] table(int positions) {
        int half = rotaryDim / 2;
        float[] table = new float[Math.multiplyExact(positions, rotaryDim)];
        for (int position = 0; position < positions; position++) {
            int row = position * rotaryDim;
            for (int i = 0; i < half; i++) {
                float angle = position * inverseFrequencies[i];
                table[row + i] = (float) Math.cos(angle) * attentionFactor;
                table[row + half + i] = (float) Math.sin(angle) * attentionFactor;
            }
        }
        return table;
    }

    /** The factor of query-key products, see {@link ModelConfig#attentionScale()}. */
    static float attentionScale(ModelConfig config) {
        double scale = 1 / Math.sqrt(config.headDim());
        if (config.mla() != null
                && config.rope().scaling() instanceof RopeScaling.Yarn yarn
                && yarn.mscaleAllDim() != null) {
            double m = magnitude(yarn.factor(), yarn.mscaleAllDim());
            scale *= m * m;
        }
        return (float) scale;
    }

    private static float[] smooth(float[] frequencies, RopeScaling.Llama3 scaling) {
        double original = scaling.originalMaxPositions();
        double low = scaling.lowFrequencyFactor();
        double high = scaling.highFrequencyFactor();
        float[] scaled = new float[frequencies.length];
        for (int i = 0; i < scaled.length; i++) {
            double frequency = frequencies[i];
            double wavelength = 2 * Math.PI / frequency;
            if (wavelength < original / high) {
                scaled[i] = frequencies[i];
            } else if (wavelength > original / low) {
                scaled[i] = (float) (frequency / scaling.factor());
            } else {
                double share = (original / wavelength - low) / (high - low);
                scaled[i] = (float) ((1 - share) * frequency / scaling.factor() + share * frequency);
            }
        }
        return scaled;
    }

    private static float[] stretch(float[] frequencies, RopeConfig config, RopeScaling.Yarn yarn) {
        double low = Math.max(yarnLow(config, yarn), 0);
        double high = Math.min(yarnHigh(config, yarn), config.rotaryDim() - 1);
        if (low == high) {
            high += 0.001;
        }
        float[] scaled = new float[frequencies.length];
        for (int i = 0; i < scaled.length; i++) {
            double ramp = Math.clamp((i - low) / (high - low), 0.0, 1.0);
            scaled[i] = (float) (frequencies[i] / yarn.factor() * ramp + frequencies[i] * (1 - ramp));
        }
        return scaled;
    }

    /** First dimension that is interpolated. */
    static double yarnLow(RopeConfig config, RopeScaling.Yarn yarn) {
        double dimension = correctionDimension(config, yarn, yarn.betaFast());
        return yarn.truncate() ? Math.floor(dimension) : dimension;
    }

    /** First dimension that is divided by the whole factor. */
    static double yarnHigh(RopeConfig config, RopeScaling.Yarn yarn) {
        double dimension = correctionDimension(config, yarn, yarn.betaSlow());
        return yarn.truncate() ? Math.ceil(dimension) : dimension;
    }

    /** The dimension that turns {@code rotations} times over the original context. */
    private static double correctionDimension(RopeConfig config, RopeScaling.Yarn yarn, double rotations) {
        return config.rotaryDim()
                * Math.log(yarn.originalMaxPositions() / (rotations * 2 * Math.PI))
                / (2 * Math.log(config.theta()));
    }

    /** Of cos and sin: the explicit one, DeepSeek's ratio when both magnitudes are given, or YaRN's. */
    private static double magnitude(RopeScaling.Yarn yarn) {
        if (yarn.attentionFactor() != null) {
            return yarn.attentionFactor();
        }
        Double mscale = yarn.mscale();
        Double allDim = yarn.mscaleAllDim();
        if (mscale != null && allDim != null) {
            return magnitude(yarn.factor(), mscale) / magnitude(yarn.factor(), allDim);
        }
        return magnitude(yarn.factor(), 1);
    }

    private static double magnitude(double factor, double mscale) {
        return factor <= 1 ? 1 : 0.1 * mscale * Math.log(factor) + 1;
    }
}
