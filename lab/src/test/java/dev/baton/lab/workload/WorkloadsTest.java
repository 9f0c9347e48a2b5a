package dev.baton.lab.workload;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.baton.lab.LabException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class WorkloadsTest {
    /** A codec in which two letters that follow each other may be one token, so that lengths change on the way. */
    private static final TextCodec PAIRS = new TextCodec() {
        @Override
        public int vocabularySize() {
            return 26 + 1;
        }

        @Override
        public int[] encode(String text) {
            List<Integer> ids = new ArrayList<>();
            for (int i = 0; i < text.length(); i++) {
                if (text.startsWith("ab", i)) {
                    ids.add(26);
                    i++;
                } else if (text.charAt(i) >= 'a') {
                    ids.add(text.charAt(i) - 'a');
                } else {
                    ids.add(0);
                }
            }
            return ids.stream().mapToInt(Integer::intValue).toArray();
        }

        @Override
        public String decode(int[] ids) {
            StringBuilder text = new StringBuilder();
            for (int id : ids) {
                text.append(id == 26 ? "ab" : String.valueOf((char) ('a' + id)));
            }
            return text.toString();
        }
    };

    private static int[] ids(BenchPrompt prompt) {
        return Objects.requireNonNull(prompt.inputIds());
    }

    @Test
    void randomIdsCountUpFromTheirOffsetAndStayInTheVocabulary() {
        List<BenchPrompt> prompts = Workloads.randomIds(200, 50, 20, 0.5, 97, 1);
        Set<Integer> lengths = new HashSet<>();
        for (BenchPrompt prompt : prompts) {
            int[] ids = ids(prompt);
            lengths.add(ids.length);
            assertThat(ids.length).isBetween(25, 50);
            assertThat(prompt.outputTokens()).isBetween(10, 20);
            for (int j = 1; j < ids.length; j++) {
                assertThat(ids[j]).isEqualTo((ids[j - 1] + 1) % 97);
            }
        }
        assertThat(lengths).hasSizeGreaterThan(20);
    }

    @Test
    void ratioZeroAveragesAboutHalfAndRatioOneIsExact() {
        List<BenchPrompt> all = Workloads.randomIds(4000, 1000, 1000, 0, 97, 1);
        assertThat(all.stream().mapToInt(BenchPrompt::promptTokens).average().orElseThrow())
                .isCloseTo(500, within(25.0));
        assertThat(all.stream().mapToInt(BenchPrompt::promptTokens).min().orElseThrow())
                .isGreaterThanOrEqualTo(1);
        assertThat(Workloads.randomIds(50, 10, 7, 1, 97, 1))
                .allSatisfy(prompt -> assertThat(prompt.promptTokens()).isEqualTo(10));
    }

    @Test
    void randomTextEncodesToTheLengthItClaims() {
        int exact = 0;
        for (BenchPrompt prompt : Workloads.random(300, 40, 5, 0.2, Vocabulary.of(PAIRS), false, 9)) {
            assertThat(PAIRS.encode(Objects.requireNonNull(prompt.text()))).hasSize(prompt.promptTokens());
            exact += prompt.promptTokens() <= 40 && prompt.promptTokens() >= 8 ? 1 : 0;
        }
        assertThat(exact).isEqualTo(300);
        assertThat(Workloads.random(3, 40, 5, 1, Vocabulary.of(PAIRS), false, 9))
                .allSatisfy(prompt -> assertThat(prompt.promptTokens()).isEqualTo(40));
        assertThat(Workloads.random(3, 40, 5, 1, Vocabulary.of(PAIRS), true, 9))
                .allSatisfy(prompt -> assertThat(ids(prompt)).hasSize(40));
    }

    @Test
    void sameSeedSamePromptsOtherSeedOthers() {
        for (boolean text : new boolean[] {true, false}) {
            Vocabulary vocabulary = text ? Vocabulary.of(PAIRS) : Vocabulary.ofSize(27);
            assertThat(shown(Workloads.sharedPrefix(3, 4, 20, 5, 6, 0.5, vocabulary, false, 1)))
                    .isEqualTo(shown(Workloads.sharedPrefix(3, 4, 20, 5, 6, 0.5, vocabulary, false, 1)))
                    .isNotEqualTo(shown(Workloads.sharedPrefix(3, 4, 20, 5, 6, 0.5, vocabulary, false, 2)));
        }
        assertThat(Arrays.hashCode(Arrivals.poisson(9, 3, 1))).isEqualTo(Arrays.hashCode(Arrivals.poisson(9, 3, 1)));
    }

    private static List<String> shown(List<BenchPrompt> prompts) {
        return prompts.stream()
                .map(prompt -> prompt.text() + Arrays.toString(prompt.inputIds()))
                .toList();
    }

    @Test
    void promptsOfAGroupShareTheirSystemPromptAndAreShuffled() {
        List<BenchPrompt> prompts = Workloads.sharedPrefix(4, 8, 30, 10, 6, 1.0, Vocabulary.of(PAIRS), false, 1);
        assertThat(prompts).hasSize(32);
        List<String> systems = prompts.stream()
                .map(prompt -> Objects.requireNonNull(prompt.text()).split("\n\n")[0])
                .toList();
        assertThat(systems.stream().distinct()).hasSize(4);
        assertThat(systems.subList(0, 8).stream().distinct()).hasSizeGreaterThan(1);
        assertThat(prompts.stream().map(BenchPrompt::text).distinct()).hasSize(32);
    }

    @Test
    void arrivalsArePoissonWithTheRate() {
        long[] due = Arrivals.poisson(20_000, 50, 7);
        assertThat(due[0]).isZero();
        assertThat(due).isSorted();
        double mean = due[due.length - 1] / 1e9 / (due.length - 1);
        assertThat(mean).isCloseTo(0.02, within(0.001));
        double squares = 0;
        for (int i = 1; i < due.length; i++) {
            double gap = (due[i] - due[i - 1]) / 1e9;
            squares += (gap - mean) * (gap - mean);
        }
        // An exponential's deviation equals its mean.
        assertThat(Math.sqrt(squares / (due.length - 1))).isCloseTo(mean, within(0.002));
        assertThat(Arrivals.poisson(3, Double.POSITIVE_INFINITY, 1)).containsOnly(0);
    }

    @Test
    void shareGptTakesTheFirstTwoTurnsThatFit(@TempDir Path folder) throws IOException {
        Path file = folder.resolve("sharegpt.json");
        Files.writeString(file, """
                [{"conversations":[{"from":"human","value":"hello there"},{"from":"gpt","value":"hi you"},{"value":"more"}]},
                 {"conversations":[{"value":"alone"}]},
                 {"conversations":[{"value":"x"},{"value":"too short a prompt"}]},
                 {"conversation":[{"content":"another one"},{"content":"with content"}]},
                 {"conversations":[{"value":"%s"},{"value":"too long"}]}]
                """.formatted("z".repeat(100)), StandardCharsets.UTF_8);
        List<BenchPrompt> prompts = ShareGpt.read(file, 10, null, 60, PAIRS, false, 1);
        assertThat(prompts.stream().map(BenchPrompt::text)).containsExactlyInAnyOrder("hello there", "another one");
        assertThat(prompts.stream().filter(prompt -> "hello there".equals(prompt.text())))
                .allSatisfy(prompt -> assertThat(prompt.outputTokens()).isEqualTo(6));
        assertThat(ShareGpt.read(file, 1, 33, null, PAIRS, true, 1).getFirst().outputTokens())
                .isEqualTo(33);
    }

    @Test
    void aDataSetThatCannotBeUsedIsSaid(@TempDir Path folder) throws IOException {
        Path file = folder.resolve("x.json");
        assertFails(() -> ShareGpt.read(file, 1, null, null, PAIRS, false, 1), "is not a file");
        Files.writeString(file, "{\"no\":1}");
        assertFails(() -> ShareGpt.read(file, 1, null, null, PAIRS, false, 1), "not a JSON array");
        Files.writeString(file, "[{");
        assertFails(() -> ShareGpt.read(file, 1, null, null, PAIRS, false, 1), "cannot be read");
        Files.writeString(file, "[]");
        assertFails(() -> ShareGpt.read(file, 1, null, null, PAIRS, false, 1), "no conversation");
        assertFails(() -> ShareGpt.read(file, 1, null, null, null, false, 1), "--tokenizer");
        assertFails(() -> Workloads.requireSize(Vocabulary.ofSize(0)), "--vocab-size");
    }

    private static void assertFails(org.assertj.core.api.ThrowableAssert.ThrowingCallable call, String message) {
        assertThatThrownBy(call).isInstanceOf(LabException.class).hasMessageContaining(message);
    }
}
