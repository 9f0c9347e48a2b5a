package dev.baton.engine.grammar;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.protocol.GrammarSpec.Kind;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class EbnfGrammarTest {
    private static final GrammarVocabulary VOCABULARY = Walks.vocabulary(1200, 9);

    private static final String ARITHMETIC = """
            # sums of products, in a language that begins with itself
            root ::= expr
            expr ::= expr "+" term | expr "-" term | term
            term ::= factor (("*" | "/") factor)*
            factor ::= "(" expr ")" | [0-9]{1,3} | "x" [a-c]?
            """;

    /** Takes sums of products: an evaluator that knows nothing of grammars. */
    private static final class Reader {
        private final String text;
        private int at;

        Reader(String text) {
            this.text = text;
        }

        boolean whole() {
            return sum() && at == text.length();
        }

        private boolean sum() {
            if (!product()) {
                return false;
            }
            while (at < text.length() && "+-".indexOf(text.charAt(at)) >= 0) {
                at++;
                if (!product()) {
                    return false;
                }
            }
            return true;
        }

        private boolean product() {
            if (!factor()) {
                return false;
            }
            while (at < text.length() && "*/".indexOf(text.charAt(at)) >= 0) {
                at++;
                if (!factor()) {
                    return false;
                }
            }
            return true;
        }

        private boolean factor() {
            if (at >= text.length()) {
                return false;
            }
            char c = text.charAt(at);
            if (c == '(') {
                at++;
                return sum() && at < text.length() && text.charAt(at++) == ')';
            }
            if (c == 'x') {
                at++;
                at += at < text.length() && text.charAt(at) >= 'a' && text.charAt(at) <= 'c' ? 1 : 0;
                return true;
            }
            int from = at;
            while (at < text.length() && Character.isDigit(text.charAt(at)) && at - from < 3) {
                at++;
            }
            return at > from;
        }
    }

    @Test
    void recursiveGrammarsGenerateTheirLanguage() {
        Grammar grammar = Walks.compile(VOCABULARY, Kind.EBNF, ARITHMETIC);
        Random random = new Random(3);
        int ended = 0;
        int nested = 0;
        for (int i = 0; i < 400; i++) {
            String text = Walks.walk(grammar, VOCABULARY, random, 60, i < 60);
            if (text != null) {
                ended++;
                nested += text.contains("(") ? 1 : 0;
                assertThat(new Reader(text).whole()).as(text).isTrue();
            }
        }
        assertThat(ended).isGreaterThan(100);
        assertThat(nested).isGreaterThan(5);
    }

    @Test
    void takesExactlyItsLanguage() {
        Grammar grammar = Walks.compile(VOCABULARY, Kind.EBNF, ARITHMETIC);
        Random random = new Random(4);
        String alphabet = "12x+*()a";
        int taken = 0;
        for (int i = 0; i < 60_000; i++) {
            StringBuilder text = new StringBuilder();
            for (int j = 0, n = 1 + random.nextInt(7); j < n; j++) {
                text.append(alphabet.charAt(random.nextInt(alphabet.length())));
            }
            boolean expected = new Reader(text.toString()).whole();
            taken += expected ? 1 : 0;
            assertThat(Walks.accepts(grammar, text.toString()))
                    .as(text.toString())
                    .isEqualTo(expected);
        }
        assertThat(taken).isGreaterThan(1000);
    }

    @Test
    void theWayItIsWritten() {
        Grammar grammar = Walks.compile(VOCABULARY, Kind.EBNF, """
                root ::= ("a" | b-c) # a comment
                  more{2,} "\\n\\x41\\u00e9\\"" [^a-z\\]] . ""
                b-c ::= "bc"
                more ::= [ \\t]
                """);
        assertThat(Walks.accepts(grammar, "a  \nAé\"Z日")).isTrue();
        assertThat(Walks.accepts(grammar, "bc \t \nAé\"\n.")).isTrue();
        assertThat(Walks.accepts(grammar, "a \nAé\"Z日")).isFalse();
        assertThat(Walks.accepts(grammar, "a  \nAé\"z日")).isFalse();
        Grammar cities = Walks.compile(VOCABULARY, Kind.EBNF, """
                root ::= city | description
                city ::= "London" | "Paris"
                description ::= city " is " status
                status ::= "the capital of " country
                country ::= "England" | "France"
                """);
        assertThat(Walks.accepts(cities, "Paris is the capital of France")).isTrue();
        assertThat(Walks.accepts(cities, "Paris")).isTrue();
        assertThat(Walks.accepts(cities, "Paris is")).isFalse();
    }

    @Test
    void rulesThatMayBeEmptyAndRulesThatNeverEnd() {
        Grammar grammar = Walks.compile(VOCABULARY, Kind.EBNF, """
                root ::= open* middle open*
                open ::= "(" | empty
                empty ::= ""
                middle ::= "m" | endless
                endless ::= "e" endless
                """);
        assertThat(Walks.accepts(grammar, "((m(")).isTrue();
        assertThat(Walks.accepts(grammar, "m")).isTrue();
        Random random = new Random(1);
        for (int i = 0; i < 50; i++) {
            // The endless rule has no end, so no token leads into it.
            assertThat(String.valueOf(Walks.walk(grammar, VOCABULARY, random, 200, true)))
                    .doesNotContain("e(")
                    .matches("(?s)[(]*m[(]*");
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '~',
            value = {
                "root ::= a | rule 'a' is used and not defined",
                "start ::= ~a~ | unexpected",
                "start ::= \"a\" | rule 'root' is missing",
                "root ::= (= \"a\") | lookahead",
                "root ::= \"a | a string has no end",
                "root ::= [a | a ']' is missing",
                "root ::= (\"a\" | a ')' is missing",
                "root ::= \"a\"{3,2} | a repetition must be",
                "root ::= TagDispatch(\"a\") | 'TagDispatch(' (a macro)",
                "root ::= \"a\" root | no text matches it",
                "hello | a rule must begin with 'name ::='"
            })
    void whatCannotBeServedIsNamed(String grammar, String named) {
        assertThat(Walks.refusal(Kind.EBNF, grammar.replace("~", "'")))
                .startsWith("ebnf: ")
                .contains(named);
    }

    @Test
    void indirectLeftRecursionIsNamed() {
        assertThat(Walks.refusal(Kind.EBNF, "root ::= a\na ::= b \"x\"\nb ::= a \"y\" | \"z\""))
                .contains("left-recursive")
                .contains("a -> b -> a");
    }
}
