package dev.baton.protocol.request;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class SuggestionTest {
    private static final List<String> KNOWN = List.of("temperature", "top_p", "top_k", "max_new_tokens", "stop");

    @Test
    void aSlipOfTheKeysIsRecognised() {
        assertThat(Suggestion.text("temprature", KNOWN)).isEqualTo(" Did you mean 'temperature'?");
        assertThat(Suggestion.text("maxNewTokens", KNOWN)).isEqualTo(" Did you mean 'max_new_tokens'?");
        assertThat(Suggestion.text("max_tokens", KNOWN)).isEqualTo(" Did you mean 'max_new_tokens'?");
        assertThat(Suggestion.text("top-k", KNOWN)).isEqualTo(" Did you mean 'top_k'?");
    }

    @Test
    void whatIsFarFromEveryNameGetsNoSuggestion() {
        assertThat(Suggestion.text("grammar", KNOWN)).isEmpty();
        assertThat(Suggestion.text("x".repeat(100_000), KNOWN)).isEmpty();
    }
}
