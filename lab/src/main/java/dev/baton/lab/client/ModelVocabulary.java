package dev.baton.lab.client;

import dev.baton.lab.workload.TextCodec;
import dev.baton.lab.workload.Vocabulary;
import dev.baton.model.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;

/** The vocabulary of a model directory on this machine. */
final class ModelVocabulary {
    private ModelVocabulary() {}

    /** The directory's tokenizer; without {@code tokenizer.json} the size of its config.json; else null. */
    static @Nullable Vocabulary read(Path directory) {
        if (Files.isRegularFile(directory.resolve("tokenizer.json"))) {
            return Vocabulary.of(new ModelCodec(Tokenizer.load(directory)));
        }
        int size = configuredSize(directory);
        return size > 0 ? Vocabulary.ofSize(size) : null;
    }

    private static int configuredSize(Path directory) {
        Path file = directory.resolve("config.json");
        try {
            return Files.isRegularFile(file)
                    ? ServerCalls.JSON
                            .readTree(Files.readAllBytes(file))
                            .path("vocab_size")
                            .asInt(0)
                    : 0;
        } catch (IOException | JacksonException e) {
            return 0;
        }
    }

    /** The model's own tokenizer; lives as long as the process, like the files it has read. */
    private record ModelCodec(Tokenizer tokenizer) implements TextCodec {
        @Override
        public int vocabularySize() {
            return tokenizer.vocabSize();
        }

        @Override
        public int[] encode(String text) {
            return tokenizer.encode(text, false);
        }

        @Override
        public String decode(int[] ids) {
            return tokenizer.decode(ids, true);
        }
    }
}
