package dev.baton.engine.grammar;

import static org.assertj.core.api.Assertions.assertThat;

import com.networknt.schema.Error;
import com.networknt.schema.InputFormat;
import com.networknt.schema.Schema;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import dev.baton.protocol.GrammarSpec.Kind;
import java.time.Duration;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.exc.JsonNodeException;

/** Generated documents against a JSON schema validator. */
class SchemaGrammarTest {
    private static final GrammarVocabulary VOCABULARY = Walks.vocabulary(1200, 21);
    private static final SchemaRegistry REGISTRY =
            SchemaRegistry.withDefaultDialect(SpecificationVersion.DRAFT_2020_12);

    private static List<Error> errors(Schema schema, String document) {
        try {
            return schema.validate(
                    document,
                    InputFormat.JSON,
                    context -> context.executionConfig(c -> c.formatAssertionsEnabled(true)));
        } catch (JsonNodeException e) {
            // The validator cannot compare a whole minimum with a number beyond 64 bits.
            assertThat(e).hasMessageContaining("asLong()");
            return List.of();
        }
    }

    private static int generate(String text, int documents, int check, long seed) {
        Grammar grammar = Walks.compile(VOCABULARY, Kind.JSON_SCHEMA, text);
        Schema schema = REGISTRY.getSchema(text);
        Random random = new Random(seed);
        int ended = 0;
        for (int i = 0; i < documents; i++) {
            String document = Walks.walk(grammar, VOCABULARY, random, 250, i < check);
            if (document != null) {
                ended++;
                assertThat(errors(schema, document))
                        .as("%s%n%s", text, document)
                        .isEmpty();
            }
        }
        return ended;
    }

    @Test
    void everyDocumentOfARandomSchemaIsValid() {
        int ended = 0;
        for (int seed = 0; seed < 60; seed++) {
            String text = new RandomSchemas(new Random(seed)).next().toString();
            ended += generate(text, 8, seed % 10 == 0 ? 1 : 0, seed);
        }
        assertThat(ended).isGreaterThan(300);
    }

    @ParameterizedTest
    @ValueSource(ints = {3, 8, 14, 27, 40})
    void noTextMeetsAStateThatPreparationHasNotSeen(int seed) {
        String text = new RandomSchemas(new Random(seed)).next().toString();
        Grammar grammar = Walks.compile(VOCABULARY, Kind.JSON_SCHEMA, text);
        assertThat(grammar.masks().prepare(new Deadline("test", Duration.ofSeconds(60))))
                .isTrue();
        int walks = grammar.masks().walks();
        assertThat(walks).isPositive();
        Random random = new Random(seed);
        for (int i = 0; i < 20; i++) {
            Walks.walk(grammar, VOCABULARY, random, 250, false);
        }
        assertThat(grammar.masks().walks()).as(text).isEqualTo(walks);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{\"type\":\"object\"}",
                "true",
                "{\"type\":\"array\",\"items\":{\"type\":\"array\",\"items\":{\"$ref\":\"#\"}}}",
                "{\"$ref\":\"#/$defs/n\",\"$defs\":{\"n\":{\"type\":\"object\",\"properties\":{\"next\":{\"anyOf\":[{\"$ref\":\"#/$defs/n\"},{\"type\":\"null\"}]}},\"required\":[\"next\"]}}}",
                "{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#/$defs/p\",\"minimum\":3}},\"required\":[\"a\"],\"$defs\":{\"p\":{\"type\":\"integer\",\"maximum\":9}}}",
                "{\"allOf\":[{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"}},\"required\":[\"a\"]},{\"properties\":{\"b\":{\"type\":\"integer\"}},\"required\":[\"b\"]}]}",
                "{\"type\":\"object\",\"propertyNames\":{\"pattern\":\"^[a-z]{1,4}$\"},\"additionalProperties\":{\"type\":\"integer\"},\"maxProperties\":3}",
                "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},\"ab\":{\"type\":\"null\"}},\"additionalProperties\":{\"type\":\"string\"}}",
                "{\"oneOf\":[{\"type\":\"string\"},{\"type\":\"integer\"},{\"type\":\"array\",\"items\":false}]}",
                "{\"type\":\"string\",\"minLength\":200,\"maxLength\":300}",
                "{\"type\":\"number\",\"exclusiveMinimum\":0,\"exclusiveMaximum\":1}",
                "{\"type\":\"number\",\"minimum\":-0.25,\"maximum\":-0.05}",
                "{\"type\":\"object\",\"properties\":{\"a\":true},\"required\":[\"z\"]}"
            })
    void documentsOfParticularSchemasAreValid(String schema) {
        assertThat(generate(schema, 60, 4, 5)).isGreaterThan(15);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "date",
                "time",
                "date-time",
                "email",
                "uuid",
                "ipv4",
                "ipv6",
                "hostname",
                "uri",
                "uri-reference",
                "duration"
            })
    void stringsOfEveryFormatAreValid(String format) {
        assertThat(generate("{\"type\":\"string\",\"format\":\"" + format + "\"}", 80, 2, 3))
                .isGreaterThan(60);
    }

    @Test
    void decimalsAreTakenExactlyBetweenTheirBounds() {
        Random random = new Random(2);
        int inside = 0;
        for (int round = 0; round < 60; round++) {
            double a = (random.nextInt(400) - 200) / (random.nextBoolean() ? 100.0 : 10.0);
            double b = a + random.nextInt(100) / 100.0;
            String text =
                    String.format(java.util.Locale.ROOT, "{\"type\":\"number\",\"minimum\":%s,\"maximum\":%s}", a, b);
            Grammar grammar = Walks.compile(VOCABULARY, Kind.JSON_SCHEMA, text);
            for (int i = 0; i < 200; i++) {
                double value = Math.round((a + (random.nextDouble() - 0.3) * 2 * (b - a + 0.1)) * 1000) / 1000.0;
                String number = value == Math.rint(value) ? Long.toString((long) value) : Double.toString(value);
                boolean expected = value >= a && value <= b;
                inside += expected ? 1 : 0;
                assertThat(Walks.accepts(grammar, number))
                        .as("%s in %s", number, text)
                        .isEqualTo(expected);
            }
        }
        assertThat(inside).isGreaterThan(1000);
    }

    @Test
    void ordinaryWritingsAreTaken() {
        Grammar grammar = Walks.compile(VOCABULARY, Kind.JSON_SCHEMA, """
                {"type":"object","properties":{"name":{"type":"string"},"tags":{"type":"array","items":{"enum":["a","b"]}},
                 "age":{"type":"integer","minimum":0}},"required":["name","tags"]}""");
        assertThat(Walks.accepts(grammar, "{\"name\":\"x\",\"tags\":[]}")).isTrue();
        assertThat(Walks.accepts(grammar, "{\"name\": \"\\u00e9\\n\", \"tags\": [\"a\", \"b\"], \"age\": 7}"))
                .isTrue();
        assertThat(Walks.accepts(grammar, "{\n  \"name\": \"日本\",\n  \"tags\": [\n    \"a\"\n  ]\n}"))
                .isTrue();
        assertThat(Walks.accepts(grammar, "{\"name\":\"x\"}")).isFalse();
        assertThat(Walks.accepts(grammar, "{\"name\":\"x\",\"tags\":[],\"age\":-1}"))
                .isFalse();
        assertThat(Walks.accepts(grammar, "{\"name\":\"x\",\"tags\":[],}")).isFalse();
        assertThat(Walks.accepts(grammar, "{\"name\":\"x\\ud800\",\"tags\":[]}"))
                .isFalse();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '~',
            value = {
                "{\"not\":{}} | at #: 'not' is not supported",
                "{\"properties\":{\"a\":{\"patternProperties\":{}}}} | at #/properties/a: 'patternProperties'",
                "{\"type\":\"array\",\"uniqueItems\":true} | 'uniqueItems'",
                "{\"type\":\"integer\",\"multipleOf\":3} | 'multipleOf'",
                "{\"type\":\"string\",\"format\":\"regex\"} | the format 'regex'",
                "{\"$ref\":\"http://x/y\"} | '$ref' to another document",
                "{\"$ref\":\"#/nowhere\"} | which is not there",
                "{\"type\":\"strnig\"} | 'type' must be one of",
                "{\"minLenght\":3} | the keyword 'minLenght' is not known",
                "{\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"number\"}]} | 'oneOf' whose options 0 and 1",
                "{\"type\":\"string\",\"pattern\":\"a(?=b)\"} | pattern: lookahead",
                "{\"if\":{}} | 'if' is not supported",
                "{\"type\":\"object\" | not valid JSON",
                "{\"type\":\"integer\",\"minimum\":5,\"maximum\":4} | no text matches it",
                "{\"allOf\":[{\"pattern\":\"a\"},{\"pattern\":\"b\"}]} | two 'pattern'",
                "false | no text matches it",
                "[1] | a schema must be an object",
                "{\"$ref\":\"#\",\"minimum\":1} | leads back to itself"
            })
    void whatCannotBeServedIsNamed(String schema, String named) {
        assertThat(Walks.refusal(Kind.JSON_SCHEMA, schema))
                .startsWith("json_schema: ")
                .contains(named);
    }
}
