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

    /** The nearest E4M3 value, ties to even; what is beyond the largest finite one becomes that. */
    public static byte floatToE4m3(float value) {
        int sign = Float.floatToRawIntBits(value) >>> 24 & 0x80;
        float magnitude = Math.min(Math.abs(value), E4M3_MAX);
        if (Float.isNaN(magnitude)) {
            return (byte) (sign | 0x7F);
        }
        if (magnitude < 0x1p-6f) {
            // Multiples of 2^-9; eight of them are the smallest normal number, whose code is 8.
            return (byte) (sign | (int) Math.rint(magnitude * 512));
        }
        int bits = Float.floatToRawIntBits(magnitude);
        int rounded = bits + 0x7FFFF + (bits >> 20 & 1) >> 20;
        return (byte) (sign | Math.min(rounded - (120 << 3), 0x7E));
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
