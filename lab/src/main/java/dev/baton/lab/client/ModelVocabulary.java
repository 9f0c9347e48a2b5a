package dev.baton.lab.client;

import dev.baton.lab.workload.Vocabulary;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** The vocabulary of a model directory on this machine. */
final class ModelVocabulary {
    private ModelVocabulary() {}

    /** The directory's vocabulary, or null when it names none. */
    static @Nullable Vocabulary read(Path directory) {
        int size = ServedModel.configuredSize(directory);
        return size > 0 ? Vocabulary.ofSize(size) : null;
    }
}
