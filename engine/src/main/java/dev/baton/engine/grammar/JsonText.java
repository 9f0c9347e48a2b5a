package dev.baton.engine.grammar;

import dev.baton.engine.grammar.Expression.Chars;
import dev.baton.engine.grammar.Expression.Repeat;
import dev.baton.engine.grammar.Expression.Rule;
import java.util.Map;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * The parts of JSON text as expressions. White space is bounded (nothing, a space, or a line break with up to
 * {@value #MAX_INDENT} spaces or tabs), and so are numbers: a model that repeats itself must come to an end.
 */
final class JsonText {
    private static final int MAX_INDENT = 32;
    /** Every number of so many digits fits a 64-bit integer. */
    static final int MAX_DIGITS = 18;

    static final int MAX_FRACTION = 17;

    static final Rule SPACE = new Rule("json:space");
    static final Rule VALUE = new Rule("json:value");
    static final Rule OBJECT = new Rule("json:object");
    static final Rule ARRAY = new Rule("json:array");
    static final Rule STRING = new Rule("json:string");
    static final Rule CHARACTER = new Rule("json:character");
    static final Rule NUMBER = new Rule("json:number");
    static final Rule INTEGER = new Rule("json:integer");
    static final Rule BOOLEAN = new Rule("json:boolean");
    static final Rule NULL = new Rule("json:null");

    static final Expression DIGIT = new Chars(CodePoints.range('0', '9'));

    private static final JsonMapper MAPPER = JsonMapper.builder()
            .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .build();

    private JsonText() {}

    /** Reads JSON; {@code field} is named in the error. */
    static JsonNode read(String text, String field) {
        try {
            return MAPPER.readTree(text);
        } catch (JacksonException e) {
            throw GrammarFault.of(field, "it is not valid JSON: " + e.getOriginalMessage());
        }
    }

    /** The text of a value, without white space. */
    static Expression exactly(JsonNode value) {
        return Expression.literal(MAPPER.writeValueAsString(value));
    }

    /** The text of a string. */
    static Expression exactly(String value) {
        return Expression.literal(MAPPER.writeValueAsString(value));
    }

    /** Adds the rules that the others name. */
    static void addTo(Map<String, Expression> rules) {
        Expression indent = new Repeat(new Chars(CodePoints.ofAll(" \t")), 0, MAX_INDENT);
        rules.put(
                SPACE.name(),
                Expression.choice(
                        Expression.EMPTY,
                        Expression.literal(" "),
                        Expression.sequence(Expression.literal("\n"), indent)));
        rules.put(CHARACTER.name(), character());
        rules.put(STRING.name(), quoted(new Repeat(character(), 0, Expression.UNBOUNDED)));
        Expression natural = Expression.choice(
                Expression.literal("0"),
                Expression.sequence(new Chars(CodePoints.range('1', '9')), new Repeat(DIGIT, 0, MAX_DIGITS - 1)));
        rules.put(
                NUMBER.name(),
                Expression.sequence(
                        Expression.optional(Expression.literal("-")),
                        natural,
                        Expression.optional(
                                Expression.sequence(Expression.literal("."), new Repeat(DIGIT, 1, MAX_FRACTION))),
                        Expression.optional(Expression.sequence(
                                new Chars(CodePoints.ofAll("eE")),
                                Expression.optional(new Chars(CodePoints.ofAll("+-"))),
                                new Repeat(DIGIT, 1, 2)))));
        rules.put(INTEGER.name(), NumberRange.integers(null, null));
        rules.put(BOOLEAN.name(), Expression.choice(Expression.literal("true"), Expression.literal("false")));
        rules.put(NULL.name(), Expression.literal("null"));
        rules.put(VALUE.name(), Expression.choice(OBJECT, ARRAY, STRING, NUMBER, BOOLEAN, NULL));
        rules.put(OBJECT.name(), braces(list(Expression.sequence(STRING, Expression.literal(":"), SPACE, VALUE))));
        rules.put(ARRAY.name(), brackets(list(VALUE)));
    }

    /** Any number of members. */
    private static Expression list(Expression member) {
        return Expression.optional(Expression.sequence(member, new Repeat(next(member), 0, Expression.UNBOUNDED)));
    }

    /** A further member. */
    static Expression next(Expression member) {
        return Expression.sequence(Expression.literal(","), SPACE, member);
    }

    static Expression braces(Expression members) {
        return Expression.sequence(Expression.literal("{"), SPACE, members, SPACE, Expression.literal("}"));
    }

    static Expression brackets(Expression members) {
        return Expression.sequence(Expression.literal("["), SPACE, members, SPACE, Expression.literal("]"));
    }

    static Expression quoted(Expression content) {
        return Expression.sequence(Expression.literal("\""), content, Expression.literal("\""));
    }

    /** One character of a string as it may be written: as it stands, or escaped (no half of a surrogate pair). */
    private static Expression character() {
        CodePoints hex =
                CodePoints.range('0', '9').or(CodePoints.range('a', 'f')).or(CodePoints.range('A', 'F'));
        Expression digit = new Chars(hex);
        Expression unit = Expression.choice(
                Expression.sequence(new Chars(hex.and(CodePoints.ofAll("dD").not())), digit, digit, digit),
                Expression.sequence(
                        new Chars(CodePoints.ofAll("dD")), new Chars(CodePoints.range('0', '7')), digit, digit));
        return Expression.choice(
                new Chars(CodePoints.range(0x20, 0x10FFFF)
                        .and(CodePoints.ofAll("\"\\").not())),
                Expression.sequence(
                        Expression.literal("\\"),
                        Expression.choice(
                                new Chars(CodePoints.ofAll("\"\\/bfnrt")),
                                Expression.sequence(Expression.literal("u"), unit))));
    }
}
