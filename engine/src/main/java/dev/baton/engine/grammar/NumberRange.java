package dev.baton.engine.grammar;

import dev.baton.engine.grammar.Expression.Chars;
import dev.baton.engine.grammar.Expression.Repeat;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.RoundingMode;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** JSON numbers between two bounds, without exponents, up to {@link JsonText#MAX_DIGITS} digits before the point. */
final class NumberRange {
    private static final BigInteger LARGEST =
            BigInteger.TEN.pow(JsonText.MAX_DIGITS).subtract(BigInteger.ONE);
    private static final Expression DIGITS = new Repeat(JsonText.DIGIT, 0, Expression.UNBOUNDED);

    /** A bound; {@code included} when the number itself is within. */
    record Bound(BigDecimal value, boolean included) {
        Bound negated() {
            return new Bound(value.negate(), included);
        }
    }

    private NumberRange() {}

    /** Integers from {@code least} to {@code most}, both included; null for none. */
    static Expression integers(@Nullable BigInteger least, @Nullable BigInteger most) {
        BigInteger low = least == null ? LARGEST.negate() : least.max(LARGEST.negate());
        BigInteger high = most == null ? LARGEST : most.min(LARGEST);
        List<Expression> options = new ArrayList<>();
        if (low.signum() < 0) {
            BigInteger from = high.signum() < 0 ? high.negate() : BigInteger.ONE;
            options.add(Expression.sequence(Expression.literal("-"), natural(from, low.negate())));
        }
        if (high.signum() >= 0) {
            options.add(natural(low.max(BigInteger.ZERO), high));
        }
        return new Expression.Choice(options);
    }

    /** Decimals between the bounds; null for none. */
    static Expression decimals(@Nullable Bound least, @Nullable Bound most) {
        Bound low = least == null ? new Bound(new BigDecimal(LARGEST.negate()), true) : least;
        Bound high = most == null ? new Bound(new BigDecimal(LARGEST), true) : most;
        Bound zero = new Bound(BigDecimal.ZERO, true);
        List<Expression> options = new ArrayList<>();
        if (low.value.signum() < 0) {
            Bound from = high.value.signum() < 0 ? high.negated() : new Bound(BigDecimal.ZERO, false);
            options.add(Expression.sequence(Expression.literal("-"), positive(from, low.negated())));
        }
        if (high.value.signum() >= 0) {
            options.add(positive(low.value.signum() < 0 ? zero : low, high));
        }
        return new Expression.Choice(options);
    }

    /** Natural numbers from {@code low} to {@code high}, without leading zeros. */
    private static Expression natural(BigInteger low, BigInteger high) {
        List<Expression> options = new ArrayList<>();
        String most = high.toString();
        if (low.compareTo(high) > 0) {
            return Expression.NEVER;
        }
        for (int digits = low.toString().length(); digits <= most.length(); digits++) {
            BigInteger first = digits == 1 ? BigInteger.ZERO : BigInteger.TEN.pow(digits - 1);
            BigInteger last = BigInteger.TEN.pow(digits).subtract(BigInteger.ONE);
            options.add(between(low.max(first).toString(), high.min(last).toString()));
        }
        return new Expression.Choice(options);
    }

    /** Strings of digits of one length, from one to the other. */
    private static Expression between(String low, String high) {
        if (low.isEmpty()) {
            return Expression.EMPTY;
        }
        char a = low.charAt(0);
        char b = high.charAt(0);
        int rest = low.length() - 1;
        if (low.equals("0".repeat(rest + 1)) && high.equals("9".repeat(rest + 1))) {
            return new Repeat(JsonText.DIGIT, rest + 1, rest + 1);
        }
        if (a == b) {
            return Expression.sequence(digit(a, a), between(low.substring(1), high.substring(1)));
        }
        return Expression.choice(
                Expression.sequence(digit(a, a), between(low.substring(1), "9".repeat(rest))),
                Expression.sequence(digit(a + 1, b - 1), new Repeat(JsonText.DIGIT, rest, rest)),
                Expression.sequence(digit(b, b), between("0".repeat(rest), high.substring(1))));
    }

    private static Expression digit(int first, int last) {
        return first > last ? Expression.NEVER : new Chars(CodePoints.range(first, last));
    }

    /** Decimals from {@code low}, not negative, to {@code high}. */
    private static Expression positive(Bound low, Bound high) {
        BigInteger a = low.value.setScale(0, RoundingMode.FLOOR).toBigInteger();
        BigInteger b = high.value.setScale(0, RoundingMode.FLOOR).toBigInteger();
        if (a.compareTo(b) > 0) {
            return Expression.NEVER;
        }
        String above = fraction(low.value);
        String below = fraction(high.value);
        if (a.equals(b)) {
            return whole(a, within(above, low.included, below, high.included));
        }
        List<Expression> options = new ArrayList<>();
        options.add(whole(a, atLeast(above, low.included)));
        Expression inner =
                natural(a.add(BigInteger.ONE), b.subtract(BigInteger.ONE).min(LARGEST));
        options.add(Expression.sequence(inner, fraction(DIGITS)));
        options.add(whole(b, atMost(below, high.included)));
        return new Expression.Choice(options);
    }

    private static Expression whole(BigInteger integer, Expression digits) {
        return integer.compareTo(LARGEST) > 0
                ? Expression.NEVER
                : Expression.sequence(Expression.literal(integer.toString()), fraction(digits));
    }

    /** The digits behind the point, without zeros at their end. */
    private static String fraction(BigDecimal value) {
        BigDecimal part = value.subtract(value.setScale(0, RoundingMode.FLOOR)).stripTrailingZeros();
        if (part.signum() == 0) {
            return "";
        }
        return part.toPlainString().substring(2);
    }

    /** A point and one or more of the digits that {@code digits} allows, or nothing when it allows none of them. */
    private static Expression fraction(Expression digits) {
        CharNfa nfa = CharNfa.of(digits);
        Expression some = new Expression.Machine(nfa.and(CharNfa.length(1, JsonText.MAX_FRACTION)), false);
        Expression withPoint = Expression.sequence(Expression.literal("."), some);
        return nfa.ends.getFirst() ? Expression.optional(withPoint) : withPoint;
    }

    // Digits behind a point, compared with given ones; the given ones have no zero at their end.

    private static Expression positiveDigits() {
        return Expression.sequence(Expression.any(CodePoints.of('0')), digit('1', '9'), DIGITS);
    }

    private static Expression atLeast(String low, boolean included) {
        if (low.isEmpty()) {
            return included ? DIGITS : positiveDigits();
        }
        char first = low.charAt(0);
        return Expression.choice(
                Expression.sequence(digit(first + 1, '9'), DIGITS),
                Expression.sequence(digit(first, first), atLeast(low.substring(1), included)));
    }

    private static Expression atMost(String high, boolean included) {
        if (high.isEmpty()) {
            return included ? new Repeat(digit('0', '0'), 0, 1) : Expression.NEVER;
        }
        char first = high.charAt(0);
        return Expression.choice(
                Expression.EMPTY,
                Expression.sequence(digit('0', first - 1), DIGITS),
                Expression.sequence(digit(first, first), atMost(high.substring(1), included)));
    }

    private static Expression within(String low, boolean lowIncluded, String high, boolean highIncluded) {
        if (low.isEmpty()) {
            return lowIncluded ? atMost(high, highIncluded) : positiveAtMost(high, highIncluded);
        }
        if (high.isEmpty()) {
            return Expression.NEVER;
        }
        char a = low.charAt(0);
        char b = high.charAt(0);
        if (a == b) {
            return Expression.sequence(
                    digit(a, a), within(low.substring(1), lowIncluded, high.substring(1), highIncluded));
        }
        return a > b
                ? Expression.NEVER
                : Expression.choice(
                        Expression.sequence(digit(a, a), atLeast(low.substring(1), lowIncluded)),
                        Expression.sequence(digit(a + 1, b - 1), DIGITS),
                        Expression.sequence(digit(b, b), atMost(high.substring(1), highIncluded)));
    }

    private static Expression positiveAtMost(String high, boolean included) {
        if (high.isEmpty()) {
            return Expression.NEVER;
        }
        char first = high.charAt(0);
        if (first == '0') {
            return Expression.sequence(digit('0', '0'), positiveAtMost(high.substring(1), included));
        }
        return Expression.choice(
                Expression.sequence(digit('0', '0'), positiveDigits()),
                Expression.sequence(digit('1', first - 1), DIGITS),
                Expression.sequence(digit(first, first), atMost(high.substring(1), included)));
    }
}
