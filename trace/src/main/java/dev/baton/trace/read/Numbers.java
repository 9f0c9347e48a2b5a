package dev.baton.trace.read;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.nio.charset.StandardCharsets;

/** Numbers as traces write them: decimal microseconds, ids as numbers or strings. */
final class Numbers {
    /** What {@link #nanos} and {@link #whole} give for what is no number or does not fit. */
    static final long NONE = Long.MIN_VALUE;

    private Numbers() {}

    /** Microseconds with any number of decimals in {@code b[from, to)}, as nanoseconds rounded to the nearest. */
    static long nanos(byte[] b, int from, int to) {
        int i = from;
        boolean negative = b[i] == '-';
        if (negative) {
            i++;
        }
        int firstDigit = i;
        long value = 0;
        while (i < to && b[i] >= '0' && b[i] <= '9') {
            value = value * 10 + (b[i++] - '0');
        }
        if (i == firstDigit || i - firstDigit > 15) {
            return slow(b, from, to, 3);
        }
        int decimals = 0;
        if (i < to && b[i] == '.') {
            i++;
            while (i < to && decimals < 3 && b[i] >= '0' && b[i] <= '9') {
                value = value * 10 + (b[i++] - '0');
                decimals++;
            }
            if (i < to) {
                return slow(b, from, to, 3);
            }
        } else if (i < to) {
            return slow(b, from, to, 3);
        }
        for (; decimals < 3; decimals++) {
            value *= 10;
        }
        return negative ? -value : value;
    }

    /** A whole number in {@code b[from, to)}. */
    static long whole(byte[] b, int from, int to) {
        int i = from;
        boolean negative = i < to && b[i] == '-';
        if (negative) {
            i++;
        }
        if (i == to || to - i > 18) {
            return slow(b, from, to, 0);
        }
        long value = 0;
        for (; i < to; i++) {
            if (b[i] < '0' || b[i] > '9') {
                return slow(b, from, to, 0);
            }
            value = value * 10 + (b[i] - '0');
        }
        return negative ? -value : value;
    }

    private static long slow(byte[] b, int from, int to, int shift) {
        if (to - from > 64) {
            return NONE;
        }
        try {
            BigDecimal value = new BigDecimal(new String(b, from, to - from, StandardCharsets.ISO_8859_1).strip());
            if (Math.abs((long) value.precision() - value.scale()) > 40) {
                return value.precision() - (long) value.scale() < 0 ? 0 : NONE;
            }
            return value.movePointRight(shift)
                    .setScale(0, RoundingMode.HALF_EVEN)
                    .longValueExact();
        } catch (NumberFormatException | ArithmeticException e) {
            return NONE;
        }
    }
}
