package dev.baton.model.tokenizer;

import dev.baton.model.ModelException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.Consumer;
import java.util.stream.Stream;
import tools.jackson.databind.json.JsonMapper;

/**
 * Holds tokenizers against the Hugging Face library and against stored ids. A folder holds GGUF vocabularies ({@code
 * NAME.gguf.gz} or {@code NAME.gguf}), each with texts ({@code NAME.gguf.inp}, separated by a line {@code
 * __ggml_vocab_test__}) and their ids ({@code NAME.gguf.out}, one line a text); or it is a model's, with a
 * tokenizer.json.
 */
public final class VocabularyCheck {
    private static final String SEPARATOR = "\n__ggml_vocab_test__\n";
    private static final int GENERATED_TEXTS = 300;
    private static final int PIECES = 30;

    private VocabularyCheck() {}

    /**
     * One vocabulary.
     *
     * @param checks texts and id sequences compared
     * @param faults one sentence a difference
     */
    public record Outcome(String name, String encoder, int checks, List<String> faults) {
        public Outcome {
            faults = List.copyOf(faults);
        }
    }

    /**
     * Checks everything in a folder.
     *
     * @param each told after each vocabulary
     * @throws ModelException NOT_FOUND when there is nothing to check
     */
    public static void run(Path folder, Consumer<Outcome> each) {
        List<Path> vocabularies = new ArrayList<>();
        if (Files.isDirectory(folder)) {
            try (Stream<Path> files = Files.list(folder)) {
                files.filter(file -> file.toString().matches(".*\\.gguf(\\.gz)?"))
                        .sorted()
                        .forEach(vocabularies::add);
            } catch (IOException e) {
                throw unreadable(folder, e);
            }
        }
        for (Path file : vocabularies) {
            each.accept(gguf(file));
        }
        if (Files.exists(folder.resolve("tokenizer.json"))) {
            each.accept(model(folder));
        } else if (vocabularies.isEmpty()) {
            throw new ModelException(
                    ModelException.Code.NOT_FOUND, folder + " holds neither *.gguf(.gz) nor tokenizer.json");
        }
    }

    private static Outcome gguf(Path file) {
        String name = file.getFileName().toString().replaceFirst("\\.gz$", "");
        byte[] json = GgufVocabulary.read(file).tokenizerJson();
        try (Tokenizer own = TokenizerLoader.of(json, null, name);
                LibraryTokenizer library = library(json, name)) {
            Comparison comparison = new Comparison(own, library);
            Path texts = file.resolveSibling(name + ".inp");
            if (Files.exists(texts)) {
                comparison.stored(texts, file.resolveSibling(name + ".out"));
            }
            comparison.generated(name.hashCode());
            return comparison.outcome(name);
        } catch (IOException e) {
            throw unreadable(file, e);
        }
    }

    private static Outcome model(Path folder) {
        Path file = folder.resolve("tokenizer.json");
        try (Tokenizer own = Tokenizer.load(folder);
                LibraryTokenizer library = library(Files.readAllBytes(file), file.toString())) {
            Comparison comparison = new Comparison(own, library);
            comparison.generated(1);
            return comparison.outcome(String.valueOf(folder.getFileName()));
        } catch (IOException e) {
            throw unreadable(file, e);
        }
    }

    private static LibraryTokenizer library(byte[] json, String origin) {
        return LibraryTokenizer.of(json, new JsonMapper().readTree(json), null, "the oracle", origin);
    }

    private static ModelException unreadable(Path file, IOException e) {
        return new ModelException(ModelException.Code.NOT_FOUND, "cannot read " + file + ": " + e.getMessage(), e);
    }

    /** Of one vocabulary. */
    private static final class Comparison {
        private final Tokenizer own;
        private final LibraryTokenizer library;
        private final List<String> faults = new ArrayList<>();
        private int checks;

        Comparison(Tokenizer own, LibraryTokenizer library) {
            this.own = own;
            this.library = library;
        }

        void stored(Path texts, Path ids) throws IOException {
            String all = Files.readString(texts);
            // Every text ends with the separator.
            String[] each = all.substring(0, all.lastIndexOf(SEPARATOR)).split(SEPARATOR, -1);
            List<String> expected = Files.readAllLines(ids);
            if (each.length != expected.size()) {
                faults.add(each.length + " texts, but " + expected.size() + " lines of ids");
                return;
            }
            for (int i = 0; i < each.length; i++) {
                int[] wanted = Arrays.stream(expected.get(i).trim().split(" +"))
                        .filter(id -> !id.isEmpty())
                        .mapToInt(Integer::parseInt)
                        .toArray();
                same("stored text " + i, own.encode(each[i], false), wanted);
            }
        }

        /** Seeded text, and seeded ids that are no encoding of any text. */
        void generated(long seed) {
            Random random = new Random(seed);
            for (int i = 0; i < GENERATED_TEXTS; i++) {
                String text = RandomText.next(random, PIECES).replaceAll("\\p{Cs}", "\uFFFD");
                int[] ids = own.encode(text, false);
                same("generated text " + i, ids, library.encode(text, false));
                decodes("generated text " + i, ids);
                int[] any = random.ints(1 + random.nextInt(PIECES), 0, own.vocabSize())
                        .toArray();
                decodes("random ids " + i, any);
            }
        }

        private void same(String what, int[] ids, int[] expected) {
            checks++;
            if (!Arrays.equals(ids, expected)) {
                faults.add(what + " became " + Arrays.toString(ids) + ", not " + Arrays.toString(expected));
            }
        }

        /** The library's decoding, ours, and the pieces of ours, none of which begins or ends inside a character. */
        private void decodes(String what, int[] ids) {
            checks++;
            String expected = library.decode(ids, false);
            IncrementalDecoder decoder = own.incrementalDecoder(false);
            StringBuilder joined = new StringBuilder();
            for (int id : ids) {
                int before = joined.length();
                decoder.append(id, joined);
                if (joined.length() > before
                        && (Character.isLowSurrogate(joined.charAt(before))
                                || Character.isHighSurrogate(joined.charAt(joined.length() - 1)))) {
                    faults.add(what + ": half a character was given out");
                }
            }
            decoder.flush(joined);
            if (!expected.equals(own.decode(ids, false))) {
                faults.add(what + " decodes to something else than the library's " + expected);
            }
            if (!expected.contentEquals(joined)) {
                faults.add(what + " streams as something else than the whole " + expected);
            }
        }

        Outcome outcome(String name) {
            return new Outcome(name, own.description(), checks, faults);
        }
    }
}
