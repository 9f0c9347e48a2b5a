package dev.baton.serve.openai.reasoning;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ReasoningParserTest {
    private static String parse(boolean begun, boolean streamed, String text, int... cuts) {
        StringBuilder thought = new StringBuilder();
        StringBuilder answer = new StringBuilder();
        ReasoningParser parser = new ReasoningParser(begun, streamed, thought::append, answer::append);
        int from = 0;
        for (int cut : cuts) {
            parser.push(text.substring(from, cut));
            from = cut;
        }
        parser.push(text.substring(from));
        parser.end();
        return thought + "|" + answer;
    }

    @ParameterizedTest
    @CsvSource(
            quoteCharacter = '~',
            value = {
                "false, ~<think>\\na < b\\n</think>\\n\\nyes~, ~a < b|yes~",
                "false, ~plain </think> text~, ~|plain </think> text~",
                "false, ~ \\n<think></think>x~, ~|x~",
                "false, ~<think>never ends~, ~never ends|~",
                "false, ~<thin~, ~|<thin~",
                "true, ~I think\\n\\n</think>\\nyes\\n~, ~I think|yes\\n~",
                "true, ~<think>again</think>y~, ~again|y~",
                "true, ~a <</thi </think> b~, ~a <</thi|b~",
                "true, ~cut </th~, ~cut </th|~",
                "true, ~never ends\\n~, ~never ends|~"
            })
    void partsAreTheSameHoweverTheTextIsCut(boolean begun, String escaped, String expected) {
        String text = escaped.replace("\\n", "\n");
        String parts = expected.replace("\\n", "\n");
        for (int a = 0; a <= text.length(); a++) {
            for (int b = a; b <= text.length(); b++) {
                assertThat(parse(begun, true, text, a, b)).isEqualTo(parts);
                assertThat(parse(begun, false, text, a, b)).isEqualTo(parts);
            }
        }
    }

    @Test
    void reasoningThatIsNotStreamedComesInOnePiece() {
        StringBuilder pieces = new StringBuilder();
        ReasoningParser parser = new ReasoningParser(
                true, false, t -> pieces.append('[').append(t).append(']'), t -> {});
        for (String piece : "one two three</think>done".split("(?<=e)")) {
            parser.push(piece);
        }
        parser.end();
        assertThat(pieces).hasToString("[one two three]");
    }
}
