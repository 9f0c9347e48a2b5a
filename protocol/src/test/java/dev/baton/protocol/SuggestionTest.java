package dev.baton.protocol;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class SuggestionTest {
    private static final List<String> KNOWN = List.of("temperature", "top_p", "top_k", "max_new_tokens", "stop");

    @Test
    void aSlipOfTheKeysIsRecognised() {
        assertThat(Suggestion.of("temprature", KNOWN)).hasValue("temperature");
        assertThat(Suggestion.of("maxNewTokens", KNOWN)).hasValue("max_new_tokens");
        assertThat(Suggestion.of("max_tokens", KNOWN)).hasValue("max_new_tokens");
        assertThat(Suggestion.of("top-k", KNOWN)).hasValue("top_k");
    }

    @Test
    void whatIsFarFromEveryNameGetsNoSuggestion() {
        assertThat(Suggestion.of("grammar", KNOWN)).isEmpty();
        assertThat(Suggestion.of("x".repeat(100_000), KNOWN)).isEmpty();
    }
}
