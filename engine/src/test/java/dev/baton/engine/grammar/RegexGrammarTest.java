package dev.baton.engine.grammar;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.protocol.GrammarSpec.Kind;
import java.util.Random;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Generated texts against java.util.regex. */
class RegexGrammarTest {
    private static final GrammarVocabulary VOCABULARY = Walks.vocabulary(1200, 7);

    private static String atom(Random random, int depth) {
        return switch (random.nextInt(depth > 0 ? 12 : 8)) {
            case 0 -> "a";
            case 1 -> "[a-c]";
            case 2 -> "\\d";
            case 3 -> "[^x\"y]";
            case 4 -> "日";
            case 5 -> "\\w";
            case 6 -> ".";
            case 7 -> "\\.";
            case 8 -> "(?:" + alternatives(random, depth - 1) + ")";
            case 9 -> "(" + alternatives(random, depth - 1) + ")";
            case 10 -> "[é-ü\\s]";
            default -> "(?<g" + random.nextInt(1_000_000) + "x>" + alternatives(random, depth - 1) + ")";
        };
    }

    private static String quantifier(Random random) {
        return switch (random.nextInt(9)) {
            case 0 -> "*";
            case 1 -> "+";
            case 2 -> "?";
            case 3 -> "{2}";
            case 4 -> "{1,3}";
            case 5 -> "{0,2}?";
            case 6 -> "{2,}";
            default -> "";
        };
    }

    private static String alternatives(Random random, int depth) {
        StringBuilder text = new StringBuilder();
        for (int i = 0, n = 1 + random.nextInt(3); i < n; i++) {
            text.append(i > 0 ? "|" : "");
            for (int j = 0, m = random.nextInt(4); j < m; j++) {
                text.append(atom(random, depth)).append(quantifier(random));
            }
        }
        return text.toString();
    }

    @Test
    void whatIsGeneratedMatches() {
        Random random = new Random(11);
        int ended = 0;
        for (int round = 0; round < 60; round++) {
            String regex = alternatives(random, 3);
            Grammar grammar = Walks.compile(VOCABULARY, Kind.REGEX, regex);
            Pattern pattern = Pattern.compile(regex);
            for (int i = 0; i < 6; i++) {
                String text = Walks.walk(grammar, VOCABULARY, random, 60, round % 5 == 0);
                if (text != null) {
                    ended++;
                    assertThat(pattern.matcher(text).matches())
                            .as("%s ~ '%s'", regex, text)
                            .isTrue();
                }
            }
        }
        assertThat(ended).isGreaterThan(200);
    }

    @Test
    void whatMatchesIsTaken() {
        Random random = new Random(13);
        String alphabet = "aabbc019.é日x";
        int matched = 0;
        for (int round = 0; round < 60; round++) {
            String regex = alternatives(random, 2);
            Grammar grammar = Walks.compile(VOCABULARY, Kind.REGEX, regex);
            Pattern pattern = Pattern.compile(regex);
            for (int i = 0; i < 60; i++) {
                StringBuilder text = new StringBuilder();
                for (int j = 0, n = random.nextInt(5); j < n; j++) {
                    text.append(alphabet.charAt(random.nextInt(alphabet.length())));
                }
                boolean expected = pattern.matcher(text).matches();
                matched += expected ? 1 : 0;
                assertThat(Walks.accepts(grammar, text.toString()))
                        .as("%s ~ '%s'", regex, text)
                        .isEqualTo(expected);
            }
        }
        assertThat(matched).isGreaterThan(250);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "(\\d{3}-){2}\\d{4}",
                "^\\d+$",
                "^(yes|no)$",
                "[A-Z][a-z]{1,8}( [A-Z][a-z]{1,8})?",
                "\\u{1F600}+\\x41\\u00e9",
                "[\\]\\-a]{3}x{,2}",
                "\\p{Lu}\\p{IsGreek}{2}",
                "(a|b)*a(a|b){12}"
            })
    void commonPatterns(String regex) {
        Random random = new Random(5);
        Grammar grammar = Walks.compile(VOCABULARY, Kind.REGEX, regex);
        Pattern pattern =
                Pattern.compile(regex.replace("\\u{1F600}", "\\x{1F600}").replace("{,2}", "\\{,2\\}"));
        int ended = 0;
        for (int i = 0; i < 20; i++) {
            String text = Walks.walk(grammar, VOCABULARY, random, 120, i < 3);
            if (text != null) {
                ended++;
                assertThat(pattern.matcher(text).matches())
                        .as("%s ~ '%s'", regex, text)
                        .isTrue();
            }
        }
        assertThat(ended).isGreaterThan(10);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '~',
            value = {
                "a(?=b) | lookahead '(?='",
                "(?<!a)b | lookbehind '(?<!'",
                "(a)\\1 | backreferences",
                "\\bword | word boundary '\\b'",
                "a++ | possessive",
                "(?>a) | atomic groups",
                "(?i)a | flags",
                "a^b | '^' behind the beginning",
                "a$b | '$' before the end",
                "[[:alpha:]] | POSIX classes",
                "a{3,1} | out of order",
                "(a | a ')' is missing",
                "a) | unmatched ')'",
                "[a | a ']' is missing",
                "*a | nothing to repeat",
                "a{200000} | above 100000",
                "\\p{Nonsense} | property '\\p{Nonsense}'",
                "[z-a] | out of order"
            })
    void whatCannotBeServedIsNamed(String regex, String named) {
        assertThat(Walks.refusal(Kind.REGEX, regex)).startsWith("regex: ").contains(named);
    }

    @Test
    void aPatternThatMatchesNothingIsRefused() {
        assertThat(Walks.refusal(Kind.REGEX, "[^\\s\\S]")).contains("no text matches it");
    }
}
