package dev.baton.protocol.request;

import dev.baton.protocol.ProtocolException;
import dev.baton.protocol.Suggestion;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.TokenStreamLocation;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.databind.json.JsonMapper;

/**
 * Reads a request body token by token. Every fault is a {@link ProtocolException} INVALID_REQUEST that names the field,
 * what stands there and what belongs there. Types are taken strictly: {@code "5"} is no number, {@code 1} is no boolean;
 * a number with a zero fraction is an integer.
 */
final class JsonBody {
    /** Deeper nesting than any message or schema has. */
    private static final int MAX_DEPTH = 200;

    private static final JsonFactory FACTORY = JsonFactory.builder()
            .streamReadConstraints(StreamReadConstraints.builder()
                    .maxNestingDepth(MAX_DEPTH)
                    .maxStringLength(Integer.MAX_VALUE)
                    .maxNumberLength(400)
                    .maxNameLength(1_000)
                    .build())
            .build();

    private static final JsonMapper WRITER = new JsonMapper();

    /** Reads the value of one field; the parser stands on its first token. */
    @FunctionalInterface
    interface Field {
        void read(String name, JsonParser parser);
    }

    private JsonBody() {}

    /** Reads one JSON object and nothing behind it. An empty body is an empty object where {@code emptyIsObject}. */
    static void object(byte[] body, boolean emptyIsObject, Field field) {
        if (emptyIsObject && isBlank(body)) {
            return;
        }
        try (JsonParser parser = FACTORY.createParser(ObjectReadContext.empty(), body)) {
            JsonToken first = parser.nextToken();
            if (first != JsonToken.START_OBJECT) {
                throw invalid(
                        "The body must be a JSON object, got " + (first == null ? "nothing" : shown(parser)) + ".");
            }
            fields(parser, field);
            if (parser.nextToken() != null) {
                throw invalid("The body has text behind its JSON object.");
            }
        } catch (JacksonException e) {
            TokenStreamLocation at = e.getLocation();
            String where = at == null ? "" : " (line " + at.getLineNr() + ", column " + at.getColumnNr() + ")";
            throw new ProtocolException(
                    ProtocolException.Code.INVALID_REQUEST,
                    "The body is not valid JSON" + where + ": " + firstLine(e.getOriginalMessage()),
                    e);
        }
    }

    /** The fields of the object on whose start the parser stands. */
    static void fields(JsonParser parser, Field field) {
        for (String name = parser.nextName(); name != null; name = parser.nextName()) {
            parser.nextToken();
            field.read(name, parser);
        }
    }

    static boolean isNull(JsonParser parser) {
        return parser.currentToken() == JsonToken.VALUE_NULL;
    }

    static String string(String field, JsonParser parser) {
        if (parser.currentToken() != JsonToken.VALUE_STRING) {
            throw wrong(field, "a string", parser);
        }
        return parser.getString();
    }

    /** A string, or an object as the JSON text that it is (a schema, which clients send either way). */
    static String textOrJson(String field, JsonParser parser) {
        return switch (parser.currentToken()) {
            case VALUE_STRING -> parser.getString();
            case START_OBJECT -> json(any(parser));
            default -> throw wrong(field, "a string or an object", parser);
        };
    }

    /** What {@link #any} makes of JSON text; null when it is none. */
    static @Nullable Object parsed(String text) {
        try {
            return WRITER.readValue(text, Object.class);
        } catch (JacksonException e) {
            return null;
        }
    }

    /** JSON text of what {@link #any} makes. */
    static String json(@Nullable Object value) {
        return WRITER.writeValueAsString(value);
    }

    static boolean bool(String field, JsonParser parser) {
        return switch (parser.currentToken()) {
            case VALUE_TRUE -> true;
            case VALUE_FALSE -> false;
            default -> throw wrong(field, "true or false", parser);
        };
    }

    static int integer(String field, JsonParser parser) {
        long value = longInteger(field, parser);
        if (value != (int) value) {
            throw invalid(field + " must be a 32-bit integer, got " + value + ".");
        }
        return (int) value;
    }

    static long longInteger(String field, JsonParser parser) {
        switch (parser.currentToken()) {
            case VALUE_NUMBER_INT -> {
                if (parser.getNumberType() == JsonParser.NumberType.BIG_INTEGER) {
                    throw invalid(field + " must be a 64-bit integer, got " + shown(parser) + ".");
                }
                return parser.getLongValue();
            }
            case VALUE_NUMBER_FLOAT -> {
                double value = parser.getDoubleValue();
                if (value == Math.rint(value) && Math.abs(value) < 1L << 53) {
                    return (long) value;
                }
                throw wrong(field, "an integer", parser);
            }
            default -> throw wrong(field, "an integer", parser);
        }
    }

    static double number(String field, JsonParser parser) {
        if (!parser.currentToken().isNumeric()) {
            throw wrong(field, "a number", parser);
        }
        double value = parser.getDoubleValue();
        if (!Double.isFinite(value)) {
            throw invalid(field + " must be a finite number, got " + shown(parser) + ".");
        }
        return value;
    }

    /** One string or an array of strings. */
    static List<String> strings(String field, JsonParser parser) {
        if (parser.currentToken() == JsonToken.VALUE_STRING) {
            return List.of(parser.getString());
        }
        List<String> list = new ArrayList<>();
        array(field, "a string or an array of strings", parser, (name, p) -> list.add(string(name, p)));
        return list;
    }

    /** An array; each element is read under the name {@code field[i]}. */
    static void array(String field, String expected, JsonParser parser, Field element) {
        if (parser.currentToken() != JsonToken.START_ARRAY) {
            throw wrong(field, expected, parser);
        }
        for (int i = 0; parser.nextToken() != JsonToken.END_ARRAY; i++) {
            element.read(field + "[" + i + "]", parser);
        }
    }

    /** An array of token ids; the parser stands on its start. Names are made only for errors: prompts are long. */
    static int[] ids(String field, JsonParser parser) {
        if (parser.currentToken() != JsonToken.START_ARRAY) {
            throw wrong(field, "an array of token ids", parser);
        }
        parser.nextToken();
        return idsFromFirst(field, parser);
    }

    /** As {@link #ids}, the parser standing on the first element. */
    static int[] idsFromFirst(String field, JsonParser parser) {
        int[] ids = new int[16];
        int count = 0;
        for (JsonToken token = parser.currentToken(); token != JsonToken.END_ARRAY; token = parser.nextToken()) {
            if (count == ids.length) {
                ids = Arrays.copyOf(ids, count * 2);
            }
            if (token == JsonToken.VALUE_NUMBER_INT && parser.getNumberType() == JsonParser.NumberType.INT) {
                ids[count++] = parser.getIntValue();
            } else {
                ids[count] = integer(field + "[" + count + "]", parser);
                count++;
            }
        }
        return Arrays.copyOf(ids, count);
    }

    /** Any value as maps, lists, text, numbers, booleans and null (for messages, which a template reads). */
    static @Nullable Object any(JsonParser parser) {
        return switch (parser.currentToken()) {
            case VALUE_NULL -> null;
            case VALUE_TRUE -> true;
            case VALUE_FALSE -> false;
            case VALUE_STRING -> parser.getString();
            case VALUE_NUMBER_INT -> parser.getNumberValue();
            case VALUE_NUMBER_FLOAT -> parser.getDoubleValue();
            case START_ARRAY -> {
                List<@Nullable Object> list = new ArrayList<>();
                while (parser.nextToken() != JsonToken.END_ARRAY) {
                    list.add(any(parser));
                }
                yield list;
            }
            case START_OBJECT -> {
                Map<String, @Nullable Object> map = new LinkedHashMap<>();
                fields(parser, (name, p) -> map.put(name, any(p)));
                yield map;
            }
            default -> throw invalid("Unexpected " + shown(parser) + ".");
        };
    }

    static ProtocolException wrong(String field, String expected, JsonParser parser) {
        return invalid(field + " must be " + expected + ", got " + shown(parser) + ".");
    }

    /** {@code " Did you mean 'x'?"}, or nothing when no known name is near. */
    static String meant(String unknown, Iterable<String> known) {
        return Suggestion.of(unknown, known)
                .map(name -> " Did you mean '" + name + "'?")
                .orElse("");
    }

    static ProtocolException invalid(String message) {
        return new ProtocolException(ProtocolException.Code.INVALID_REQUEST, message);
    }

    /** What stands at the parser, short enough for a message. */
    private static String shown(JsonParser parser) {
        return switch (parser.currentToken()) {
            case START_OBJECT -> "an object";
            case START_ARRAY -> "an array";
            case VALUE_NULL -> "null";
            case VALUE_STRING -> "\"" + cut(parser.getString()) + "\"";
            default -> cut(parser.getString());
        };
    }

    private static String cut(String text) {
        return text.length() <= 60 ? text : text.substring(0, 60) + "...";
    }

    private static String firstLine(String text) {
        int end = text.indexOf('\n');
        return end < 0 ? text : text.substring(0, end);
    }

    private static boolean isBlank(byte[] body) {
        for (byte b : body) {
            if (b != ' ' && b != '\n' && b != '\r' && b != '\t') {
                return false;
            }
        }
        return true;
    }
}
