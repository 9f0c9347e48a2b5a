package dev.baton.engine.grammar;

import dev.baton.protocol.GrammarSpec;
import java.util.Map;

/**
 * What a specification says, as named rules.
 *
 * @param byName expressions; rules that they name are among them
 * @param start the rule that the whole text must match
 */
record Rules(Map<String, Expression> byName, String start) {
    static Rules of(GrammarSpec spec) {
        String text = spec.text();
        return switch (spec.kind()) {
            case REGEX -> new Rules(Map.of("root", RegexParser.whole(text, "regex")), "root");
            case EBNF -> new Rules(EbnfParser.parse(text, "ebnf"), "root");
            case JSON_SCHEMA -> JsonSchemaRules.of(text, "json_schema");
            case STRUCTURAL_TAG -> StructuralTag.rules(text);
        };
    }
}
