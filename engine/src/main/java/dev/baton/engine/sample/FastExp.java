package dev.baton.engine.sample;

/**
 * e^x for x at most 0 in f32, relative error below 3e-7: written so that the compiler turns a loop over it into vector
 * code. What lies below {@link #LOWEST} gives a number below 1e-37, not 0.
 */
final class FastExp {
    /** e^x is taken for nothing below this. */
    static final float LOWEST = -86f;

    private static final float LOG2_E = 1.44269504f;
    /** ln 2 in two parts, the first exact in few bits, so that x - n ln 2 loses nothing. */
    private static final float LN2_HIGH = 0.693359375f;

    private static final float LN2_LOW = -2.12194440e-4f;

    private FastExp() {}

    static float exp(float x) {
        float clamped = Math.max(x, -87f);
        int n = (int) (clamped * LOG2_E - 0.5f);
        float f = clamped - n * LN2_HIGH - n * LN2_LOW;
        // Taylor's polynomial of degree 6 on |f| <= ln 2 / 2.
        float p = 1f / 720;
        p = p * f + 1f / 120;
        p = p * f + 1f / 24;
        p = p * f + 1f / 6;
        p = p * f + 0.5f;
        p = p * f + 1f;
        p = p * f + 1f;
        return p * Float.intBitsToFloat((n + 127) << 23);
    }

    /** target[i] = e^((x[i] - max) * factor). */
    static void scaled(float[] x, float max, float factor, float[] target, int count) {
        for (int i = 0; i < count; i++) {
            target[i] = exp((x[i] - max) * factor);
        }
    }
}
