package dev.baton.model.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.model.Fixtures;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The published vocabularies of fixtures/vocab with the ids that the models' own tokenizers gave. */
class RealVocabularyTest {
    @Test
    void giveThePublishedIdsAndAgreeWithTheLibrary() {
        List<VocabularyCheck.Outcome> outcomes = new ArrayList<>();
        VocabularyCheck.run(Fixtures.shared("vocab"), outcomes::add);
        assertThat(outcomes).hasSize(4);
        assertThat(outcomes).allSatisfy(outcome -> {
            assertThat(outcome.faults()).isEmpty();
            assertThat(outcome.checks()).isGreaterThan(900);
        });
    }
}
