package dev.baton.app;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Stand-in. */
final class ChatTemplates {
    static @Nullable ChatTemplates find(Path folder, @Nullable String file) {
        return null;
    }

    String render(List<Map<String, Object>> messages, boolean continueFinal, Map<String, Object> arguments) {
        throw new UnsupportedOperationException();
    }
}
