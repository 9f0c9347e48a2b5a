package dev.baton.engine.arch;

import dev.baton.model.config.Rope;

/**
 * In which precision rotary frequencies are held. Positions are multiplied by them, so that BF16 frequencies turn a
 * model's long positions by whole radians: F32 is right for every trained model. BF16 exists for outputs that were
 * recorded from a model whose buffers had been cast along with its weights.
 */
public enum RopePrecision {
    F32,
    BF16;

    /** The rope with its frequencies in this precision. */
    public Rope apply(Rope rope) {
        return switch (this) {
            case F32 -> rope;
            case BF16 -> {
                float[] rounded = rope.inverseFrequencies().clone();
                for (int i = 0; i < rounded.length; i++) {
                    int bits = Float.floatToRawIntBits(rounded[i]);
                    // Round to nearest even.
                    int up = 0x7FFF + (bits >>> 16 & 1);
                    rounded[i] = Float.intBitsToFloat(bits + up & 0xFFFF0000);
                }
                yield new Rope(rope.rotaryDim(), rounded, rope.attentionFactor());
            }
        };
    }
}
