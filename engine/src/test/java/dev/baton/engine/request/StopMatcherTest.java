package dev.baton.engine.request;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class StopMatcherTest {
    @Test
    void sendsEverythingBeforeTheFirstMatchAndNothingOfItOverManySeeds() {
        for (int seed = 0; seed < 20_000; seed++) {
            SplittableRandom random = new SplittableRandom(seed);
            List<String> stops = new ArrayList<>();
            for (int i = random.nextInt(1, 4); i > 0; i--) {
                stops.add(word(random, random.nextInt(1, 5)));
            }
            String text = word(random, random.nextInt(1, 30));
            boolean keep = random.nextBoolean();
            StopMatcher matcher = new StopMatcher(stops, keep);
            StringBuilder sent = new StringBuilder();
            int at = 0;
            int pieceStart = 0;
            while (at < text.length() && matcher.matched() == null) {
                pieceStart = at;
                int end = Math.min(text.length(), at + random.nextInt(1, 4));
                sent.append(matcher.push(text.substring(at, end)));
                at = end;
                int match = firstMatch(text.substring(0, at), stops);
                if (match < 0) {
                    assertThat(sent.length()).isGreaterThanOrEqualTo(at - 4);
                    assertThat(text).startsWith(sent);
                }
            }
            int match = firstMatch(text.substring(0, at), stops);
            assertThat(matcher.matched() != null).isEqualTo(match >= 0);
            if (match < 0) {
                assertThat(sent.append(matcher.remaining())).hasToString(text);
            } else {
                assertThat(firstMatch(text.substring(0, pieceStart), stops)).isNegative();
                assertThat(sent).hasToString(keep ? text.substring(0, at) : text.substring(0, match));
                assertThat(text.substring(match)).startsWith(matcher.matched());
            }
        }
    }

    private static String word(SplittableRandom random, int length) {
        StringBuilder word = new StringBuilder();
        for (int i = 0; i < length; i++) {
            word.append((char) ('a' + random.nextInt(2)));
        }
        return word.toString();
    }

    private static int firstMatch(String text, List<String> stops) {
        return stops.stream().mapToInt(text::indexOf).filter(i -> i >= 0).min().orElse(-1);
    }

    @Test
    void holdsNothingBackWithoutStopStrings() {
        StopMatcher matcher = new StopMatcher(List.of(""), false);
        assertThat(matcher.push("abc")).isEqualTo("abc");
        assertThat(matcher.remaining()).isEmpty();
    }

    @Test
    void expressionsAreFoundAsJavasEngineFindsThemWhereverTheTextIsCut() {
        Random random = new Random(31);
        List<String> patterns = List.of("\\d{2}", "b+c", "a(b|cc)a", "x[^y]z", "^ab", "é|ca");
        for (int round = 0; round < 3000; round++) {
            StringBuilder text = new StringBuilder();
            for (int i = 0, n = random.nextInt(14); i < n; i++) {
                text.append("abcé12xyz".charAt(random.nextInt(9)));
            }
            String pattern = patterns.get(random.nextInt(patterns.size()));
            StopMatcher matcher = new StopMatcher(List.of(), List.of(pattern), false);
            StringBuilder sent = new StringBuilder();
            for (int from = 0; from < text.length(); ) {
                int to = Math.min(text.length(), from + 1 + random.nextInt(3));
                sent.append(matcher.push(text.substring(from, to)));
                from = to;
            }
            var found = java.util.regex.Pattern.compile(pattern).matcher(text);
            if (found.find()) {
                assertThat(matcher.matched()).isEqualTo(pattern);
                assertThat(sent.toString()).isEqualTo(text.substring(0, found.start()));
            } else {
                assertThat(matcher.matched()).isNull();
                assertThat(sent + matcher.remaining()).isEqualTo(text.toString());
            }
        }
    }

    @Test
    void expressionsThatCannotBeServedAreNamed() {
        for (var bad : java.util.Map.of(
                        "a*", "matches the empty text", "a$", "'$' is not supported", "(?=a)b", "lookahead")
                .entrySet()) {
            org.assertj.core.api.Assertions.assertThatThrownBy(
                            () -> new StopMatcher(List.of(), List.of(bad.getKey()), false))
                    .hasMessageStartingWith("stop_regex: ")
                    .hasMessageContaining(bad.getValue());
        }
    }
}
