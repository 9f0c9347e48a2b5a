package dev.baton.model;

/** The 8-bit floating-point format of weights. Source: "FP8 Formats for Deep Learning" (Micikevicius et al. 2022). */
public final class Float8 {
    /** Largest finite E4M3 value. */
    public static final float E4M3_MAX = 448;

    private static final float[] E4M3 = e4m3Values();

    private Float8() {}

    /** E4M3 "fn": 4 exponent bits with bias 7, 3 mantissa bits, no infinities, NaN is 0x7F and 0xFF. */
    public static float e4m3ToFloat(byte bits) {
        return E4M3[bits & 0xff];
    }

    private static float[] e4m3Values() {
        float[] values = new float[256];
        for (int code = 0; code < 256; code++) {
            int exponent = code >> 3 & 15;
            int mantissa = code & 7;
            float magnitude;
            if (exponent == 15 && mantissa == 7) {
                magnitude = Float.NaN;
            } else if (exponent == 0) {
                magnitude = Math.scalb((float) mantissa, -9);
            } else {
                magnitude = Math.scalb(8f + mantissa, exponent - 10);
            }
            values[code] = (code & 0x80) == 0 ? magnitude : -magnitude;
        }
        return values;
    }
}
