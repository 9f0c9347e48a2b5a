package dev.baton.model.template;

import java.math.BigDecimal;
import java.math.MathContext;
import java.math.RoundingMode;

/** Floats in Python's f, e and g forms. */
final class NumberFormat {
    private NumberFormat() {}

    /** @param form one of f, F, e, E, g, G */
    static String format(double value, char form, int precision, boolean alternate) {
        if (Double.isNaN(value) || Double.isInfinite(value)) {
            String text = PythonText.decimal(value);
            return Character.isUpperCase(form) ? text.toUpperCase(java.util.Locale.ROOT) : text;
        }
        String sign = value < 0 || 1 / value < 0 ? "-" : "";
        BigDecimal exact = new BigDecimal(Math.abs(value));
        String text = switch (Character.toLowerCase(form)) {
            case 'f' -> exact.setScale(precision, RoundingMode.HALF_EVEN).toPlainString();
            case 'e' -> scientific(exact, precision);
            default -> general(exact, Math.max(precision, 1), alternate);
        };
        return sign + (Character.isUpperCase(form) ? text.toUpperCase(java.util.Locale.ROOT) : text);
    }

    private static String scientific(BigDecimal value, int precision) {
        if (value.signum() == 0) {
            return (precision > 0 ? "0." + "0".repeat(precision) : "0") + "e+00";
        }
        BigDecimal rounded = value.round(new MathContext(precision + 1, RoundingMode.HALF_EVEN));
        int exponent = rounded.precision() - rounded.scale() - 1;
        StringBuilder digits = new StringBuilder(rounded.unscaledValue().toString());
        while (digits.length() < precision + 1) {
            digits.append('0');
        }
        String fraction = precision > 0 ? "." + digits.substring(1, precision + 1) : "";
        return digits.charAt(0) + fraction + "e" + (exponent < 0 ? "-" : "+") + "%02d".formatted(Math.abs(exponent));
    }

    private static String general(BigDecimal value, int precision, boolean alternate) {
        BigDecimal rounded = value.round(new MathContext(precision, RoundingMode.HALF_EVEN));
        int exponent = value.signum() == 0 ? 0 : rounded.precision() - rounded.scale() - 1;
        if (exponent < -4 || exponent >= precision) {
            String text = scientific(value, precision - 1);
            int at = text.indexOf('e');
            return alternate ? text : withoutZeros(text.substring(0, at)) + text.substring(at);
        }
        String text = rounded.setScale(Math.max(precision - 1 - exponent, 0), RoundingMode.HALF_EVEN)
                .toPlainString();
        return alternate ? text : withoutZeros(text);
    }

    private static String withoutZeros(String text) {
        if (text.indexOf('.') < 0) {
            return text;
        }
        int end = text.length();
        while (text.charAt(end - 1) == '0') {
            end--;
        }
        return text.substring(0, text.charAt(end - 1) == '.' ? end - 1 : end);
    }
}
