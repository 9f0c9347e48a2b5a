package dev.baton.protocol;

/**
 * What an answer must match, as the client wrote it.
 *
 * @param kind how {@code text} is written
 * @param text a regular expression, a JSON schema, a grammar in EBNF or a structural tag
 */
public record GrammarSpec(Kind kind, String text) {
    /** The schema of any JSON object, for {@code response_format} json_object. */
    public static final String ANY_OBJECT = "{\"type\":\"object\"}";

    /** The ways to write a grammar; the names are those of {@code sampling_params}. */
    public enum Kind {
        REGEX("regex"),
        JSON_SCHEMA("json_schema"),
        EBNF("ebnf"),
        STRUCTURAL_TAG("structural_tag");

        private final String field;

        Kind(String field) {
            this.field = field;
        }

        /** The field of {@code sampling_params} that holds it. */
        public String field() {
            return field;
        }
    }
}
