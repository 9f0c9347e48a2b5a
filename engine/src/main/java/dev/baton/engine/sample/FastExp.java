package dev.baton.engine.sample;

/**
 * e^x for x at most 0 in f32, relative error below 3e-7. What lies below {@link #CLAMP} gives e^CLAMP, not 0.
 * {@link RowMath#scaledExp} does the same operations on vectors.
 */
final class FastExp {
    /** The smallest exponent taken: e^-87 is the last normal number. */
    static final float CLAMP = -87f;

    static final float LOG2_E = 1.44269504f;
    /** ln 2 in two parts, the first exact in few bits, so that x - n ln 2 loses nothing. */
    static final float LN2_HIGH = 0.693359375f;

    static final float LN2_LOW = -2.12194440e-4f;
    /** Taylor's coefficients 1/3! to 1/6!. */
    static final float C3 = 1f / 6;

    static final float C4 = 1f / 24;
    static final float C5 = 1f / 120;
    static final float C6 = 1f / 720;

    private FastExp() {}

    static float exp(float x) {
        float clamped = Math.max(x, CLAMP);
        int n = (int) (clamped * LOG2_E - 0.5f);
        float f = clamped - n * LN2_HIGH - n * LN2_LOW;
        // Taylor's polynomial of degree 6 on |f| <= ln 2 / 2.
        float p = C6;
        p = p * f + C5;
        p = p * f + C4;
        p = p * f + C3;
        p = p * f + 0.5f;
        p = p * f + 1f;
        p = p * f + 1f;
        return p * Float.intBitsToFloat((n + 127) << 23);
    }
}
