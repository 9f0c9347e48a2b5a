package dev.baton.model.template;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** {@code + - * / // % **} and signs, with Python's rules; integers have 64 bits here. */
final class Arithmetic {
    /** A template that multiplies text or lists beyond this fails instead of filling the memory. */
    private static final long MAX_LENGTH = 1L << 26;

    private Arithmetic() {}

    static long toLong(Object value) {
        return switch (value) {
            case Boolean bool -> bool ? 1 : 0;
            case Number number -> number.longValue();
            default -> throw TemplateFault.type("an integer is required (got type " + Values.typeName(value) + ")");
        };
    }

    static double toDouble(Object value) {
        return switch (value) {
            case Boolean bool -> bool ? 1 : 0;
            case Number number -> number.doubleValue();
            default -> throw TemplateFault.type("must be real number, not " + Values.typeName(value));
        };
    }

    static Object apply(String operator, @Nullable Object left, @Nullable Object right) {
        if (left instanceof Undefined undefined) {
            throw undefined.fault();
        }
        String text = Values.asString(left);
        if (text != null && operator.equals("%")) {
            return PercentFormat.format(text, right);
        }
        if (right instanceof Undefined undefined) {
            throw undefined.fault();
        }
        if (left != null && right != null && Values.number(left) && Values.number(right)) {
            return left instanceof Double || right instanceof Double
                    ? onDoubles(operator, toDouble(left), toDouble(right))
                    : onLongs(operator, toLong(left), toLong(right));
        }
        Object result = switch (operator) {
            case "+" -> concatenate(left, right);
            case "*" -> repeat(left, right);
            default -> null;
        };
        if (result == null) {
            throw TemplateFault.type("unsupported operand type(s) for " + operator + ": '" + Values.typeName(left)
                    + "' and '" + Values.typeName(right) + "'");
        }
        return result;
    }

    static Object signed(String operator, @Nullable Object value) {
        if (value instanceof Undefined undefined) {
            throw undefined.fault();
        }
        if (value == null || !Values.number(value)) {
            throw TemplateFault.type("bad operand type for unary " + operator + ": '" + Values.typeName(value) + "'");
        }
        boolean negate = operator.equals("-");
        if (value instanceof Double number) {
            return negate ? -number : number;
        }
        return negate ? Math.negateExact(toLong(value)) : toLong(value);
    }

    private static @Nullable Object concatenate(@Nullable Object left, @Nullable Object right) {
        if (left instanceof Markup || right instanceof Markup) {
            String a = Values.asString(left);
            String b = Values.asString(right);
            if (a != null && b != null) {
                return new Markup((left instanceof Markup ? a : Markup.escape(a))
                        + (right instanceof Markup ? b : Markup.escape(b)));
            }
        }
        if (left instanceof String a) {
            if (right instanceof String b) {
                return a + b;
            }
            throw TemplateFault.type("can only concatenate str (not \"" + Values.typeName(right) + "\") to str");
        }
        if (left instanceof List<?> a
                && right instanceof List<?> b
                && !(left instanceof Range)
                && left instanceof Tuple == right instanceof Tuple
                && !(right instanceof Range)) {
            List<@Nullable Object> both = new ArrayList<>(a);
            both.addAll(b);
            return left instanceof Tuple ? new Tuple(both) : both;
        }
        return null;
    }

    private static @Nullable Object repeat(@Nullable Object left, @Nullable Object right) {
        if (right instanceof Long || right instanceof Boolean) {
            long times = Math.max(toLong(right), 0);
            String text = Values.asString(left);
            if (text != null) {
                checkLength(text.length(), times);
                String repeated = text.repeat((int) times);
                return left instanceof Markup ? new Markup(repeated) : repeated;
            }
            if (left instanceof List<?> list && !(left instanceof Range)) {
                checkLength(list.size(), times);
                List<@Nullable Object> repeated = new ArrayList<>();
                for (long i = 0; i < times; i++) {
                    repeated.addAll(list);
                }
                return left instanceof Tuple ? new Tuple(repeated) : repeated;
            }
            return null;
        }
        return left instanceof Long || left instanceof Boolean ? repeat(right, left) : null;
    }

    private static void checkLength(long length, long times) {
        if (length > 0 && times > MAX_LENGTH / length) {
            throw new TemplateFault("MemoryError", "a repetition of more than " + MAX_LENGTH + " elements");
        }
    }

    private static Object onLongs(String operator, long a, long b) {
        try {
            return switch (operator) {
                case "+" -> Math.addExact(a, b);
                case "-" -> Math.subtractExact(a, b);
                case "*" -> Math.multiplyExact(a, b);
                case "/" -> (double) a / nonZero(b, "division by zero");
                case "//" -> Math.floorDiv(a, nonZero(b, "integer division or modulo by zero"));
                case "%" -> Math.floorMod(a, nonZero(b, "integer modulo by zero"));
                default -> power(a, b);
            };
        } catch (ArithmeticException e) {
            throw new TemplateFault("OverflowError", a + " " + operator + " " + b + " is beyond 64 bits");
        }
    }

    private static Object power(long a, long b) {
        if (b < 0) {
            return Math.pow(a, b);
        }
        long result = 1;
        long base = a;
        for (long rest = b; rest > 0; rest >>= 1) {
            if ((rest & 1) != 0) {
                result = Math.multiplyExact(result, base);
            }
            if (rest > 1) {
                base = Math.multiplyExact(base, base);
            }
        }
        return result;
    }

    private static Object onDoubles(String operator, double a, double b) {
        return switch (operator) {
            case "+" -> a + b;
            case "-" -> a - b;
            case "*" -> a * b;
            case "/" -> a / nonZero(b, "float division by zero");
            case "//" -> Math.floor(a / nonZero(b, "float floor division by zero"));
            case "%" -> {
                double rest = a % nonZero(b, "float modulo");
                yield rest != 0 && rest < 0 != b < 0 ? rest + b : rest;
            }
            default -> Math.pow(a, b);
        };
    }

    private static long nonZero(long value, String message) {
        if (value == 0) {
            throw new TemplateFault("ZeroDivisionError", message);
        }
        return value;
    }

    private static double nonZero(double value, String message) {
        if (value == 0) {
            throw new TemplateFault("ZeroDivisionError", message);
        }
        return value;
    }
}
