package dev.baton.model.template;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.model.Fixtures;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Published chat templates over stored conversations, against what Python's jinja2 rendered. */
class PublishedTemplatesTest {
    @Test
    void everyCaseRendersAsJinja2RendersItAndFailsWhereJinja2Fails() {
        List<TemplateCheck.Outcome> outcomes = new ArrayList<>();
        TemplateCheck.run(Fixtures.shared("chat-templates"), outcomes::add);
        assertThat(outcomes).hasSizeGreaterThan(200);
        assertThat(outcomes).filteredOn(outcome -> outcome.fault() != null).isEmpty();
    }
}
