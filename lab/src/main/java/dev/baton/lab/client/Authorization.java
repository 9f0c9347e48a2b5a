package dev.baton.lab.client;

import org.jspecify.annotations.Nullable;

/** The Authorization header as SGLang's client takes it from the environment. */
final class Authorization {
    private Authorization() {}

    /** {@code Bearer $OPENAI_API_KEY}, else {@code $API_KEY} as it is, else null. */
    static @Nullable String header() {
        String openai = System.getenv("OPENAI_API_KEY");
        if (openai != null && !openai.isEmpty()) {
            return "Bearer " + openai;
        }
        String plain = System.getenv("API_KEY");
        return plain == null || plain.isEmpty() ? null : plain;
    }
}
