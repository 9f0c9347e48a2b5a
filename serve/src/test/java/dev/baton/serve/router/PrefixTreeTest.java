package dev.baton.serve.router;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** Against a model that keeps, for each worker, the set of all prefixes of what it was sent. */
class PrefixTreeTest {
    private static final int WORKERS = 3;

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }

    private static String text(Random random) {
        StringBuilder text = new StringBuilder();
        for (int i = 1 + random.nextInt(8); i > 0; i--) {
            text.append((char) ('a' + random.nextInt(2)));
        }
        return text.toString();
    }

    private static void prefixes(String text, Set<String> into) {
        for (int i = 1; i <= text.length(); i++) {
            into.add(text.substring(0, i));
        }
    }

    @Test
    void matchesWhatAModelOfAllPrefixesMatches() {
        for (long seed = 0; seed < 300; seed++) {
            Random random = new Random(seed);
            PrefixTree tree = new PrefixTree(WORKERS);
            List<Set<String>> model = new ArrayList<>();
            for (int i = 0; i < WORKERS; i++) {
                model.add(new HashSet<>());
            }
            for (int step = 0; step < 60; step++) {
                String text = text(random);
                int worker = random.nextInt(WORKERS);
                if (random.nextBoolean()) {
                    tree.insert(bytes("xx" + text + "yy"), 2, 2 + text.length(), worker);
                    prefixes(text, model.get(worker));
                    assertThat(tree.size(worker)).isEqualTo(model.get(worker).size());
                } else {
                    int allowed = random.nextInt(1 << WORKERS);
                    int longest = 0;
                    for (int i = 0; i < WORKERS; i++) {
                        for (int length = 1; (allowed >> i & 1) == 1 && length <= text.length(); length++) {
                            if (model.get(i).contains(text.substring(0, length))) {
                                longest = Math.max(longest, length);
                            }
                        }
                    }
                    PrefixTree.Match match = tree.match(bytes(text), 0, text.length(), i -> (allowed >> i & 1) == 1);
                    assertThat(match.matched())
                            .as("seed %s step %s", seed, step)
                            .isEqualTo(longest);
                    if (longest == 0) {
                        assertThat(match.worker()).isEqualTo(-1);
                    } else {
                        assertThat(model.get(match.worker())).contains(text.substring(0, longest));
                    }
                }
            }
        }
    }

    @Test
    void evictionForgetsTheOldestAndNothingOfOthers() {
        for (long seed = 0; seed < 200; seed++) {
            Random random = new Random(seed);
            PrefixTree tree = new PrefixTree(2);
            Set<String> other = new HashSet<>();
            String last = "";
            for (int i = 0; i < 30; i++) {
                last = text(random);
                tree.insert(bytes(last), 0, last.length(), 0);
                String theirs = text(random);
                tree.insert(bytes(theirs), 0, theirs.length(), 1);
                prefixes(theirs, other);
            }
            long limit = last.length() + random.nextInt(10);
            tree.evict(0, limit);
            assertThat(tree.size(0)).isLessThanOrEqualTo(limit);
            // The newest prompt is the last to go.
            assertThat(tree.match(bytes(last), 0, last.length(), worker -> worker == 0)
                            .matched())
                    .isEqualTo(last.length());
            assertThat(tree.size(1)).isEqualTo(other.size());
            tree.evict(0, 0);
            tree.evict(1, 0);
            assertThat(tree.size(0) + tree.size(1)).isZero();
            assertThat(tree.match(bytes("ab"), 0, 2, worker -> true).worker()).isEqualTo(-1);
        }
    }
}
