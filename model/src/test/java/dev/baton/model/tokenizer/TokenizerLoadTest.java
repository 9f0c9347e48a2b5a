package dev.baton.model.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.model.ModelException;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

class TokenizerLoadTest {
    private static final JsonMapper JSON = new JsonMapper();

    @TempDir
    Path folder;

    private static ObjectNode json() {
        return SmallVocabulary.learn("the quick brown fox", 20).json(SmallVocabulary.LLAMA3, "null", true, false);
    }

    private void write(ObjectNode json) throws IOException {
        Files.write(folder.resolve("tokenizer.json"), JSON.writeValueAsBytes(json));
    }

    private void assertRefused(ModelException.Code code, String... parts) {
        assertThatThrownBy(() -> Tokenizer.load(folder))
                .isInstanceOfSatisfying(
                        ModelException.class, e -> assertThat(e.code()).isEqualTo(code))
                .hasMessageContainingAll(parts);
    }

    @Test
    void byteLevelBpeIsEncodedByOwnCode() throws IOException {
        write(json());
        try (Tokenizer tokenizer = Tokenizer.load(folder)) {
            assertThat(tokenizer.description()).isEqualTo("byte-level BPE");
            assertThat(tokenizer.decode(tokenizer.encode("the quick fox", false), true))
                    .isEqualTo("the quick fox");
        }
    }

    @Test
    void whatOwnCodeDoesNotKnowGoesToTheLibraryWithTheReason() throws IOException {
        ObjectNode json = json();
        ((ObjectNode) json.get("model")).put("dropout", 0.0);
        write(json);
        try (Tokenizer tokenizer = Tokenizer.load(folder)) {
            assertThat(tokenizer.description()).contains("Hugging Face", "dropout");
            assertThat(tokenizer.decode(tokenizer.encode("the quick fox", false), true))
                    .isEqualTo("the quick fox");
        }
        ObjectNode anchored = json();
        anchored.set("pre_tokenizer", JSON.readTree("""
                {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": "^a"},
                 "behavior": "Isolated", "invert": false},
                 {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}]}"""));
        write(anchored);
        try (Tokenizer tokenizer = Tokenizer.load(folder)) {
            assertThat(tokenizer.description()).contains("Hugging Face", "^a");
        }
    }

    @Test
    void llamaTokenizerFastPutsItsBeginTokenWhateverThePostProcessorSays() throws IOException {
        write(json());
        Path config = folder.resolve("tokenizer_config.json");
        Files.writeString(config, """
                {"tokenizer_class": "LlamaTokenizerFast", "bos_token": {"content": "<|begin|>"}, "add_bos_token": true,
                 "add_eos_token": true, "eos_token": "<|end|>"}""");
        try (Tokenizer tokenizer = Tokenizer.load(folder)) {
            assertThat(tokenizer.encode("fox", true))
                    .startsWith(tokenizer.idOf("<|begin|>"))
                    .endsWith(tokenizer.idOf("<|end|>"));
            assertThat(tokenizer.encode("fox", false)).doesNotContain(tokenizer.idOf("<|begin|>"));
        }
        Files.writeString(config, """
                {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|begin|>", "add_bos_token": true}""");
        try (Tokenizer tokenizer = Tokenizer.load(folder)) {
            assertThat(tokenizer.encode("fox", true)).doesNotContain(tokenizer.idOf("<|begin|>"));
        }
        Files.writeString(config, """
                {"tokenizer_class": "LlamaTokenizerFast", "bos_token": "<nowhere>"}""");
        assertRefused(ModelException.Code.INVALID_TOKENIZER, "bos_token", "<nowhere>");
    }

    @Test
    void faultsAreNamed() throws IOException {
        assertRefused(ModelException.Code.NOT_FOUND, "no tokenizer.json", "--skip-tokenizer-init");
        Files.writeString(folder.resolve("tokenizer.json"), "{\"model\": ");
        assertRefused(ModelException.Code.INVALID_TOKENIZER, "tokenizer.json", "not valid JSON");
        Files.writeString(folder.resolve("tokenizer.json"), "[]");
        assertRefused(ModelException.Code.INVALID_TOKENIZER, "\"model\" is missing");
        ObjectNode badId = json();
        ((ObjectNode) badId.path("model").path("vocab")).put("a", -1);
        write(badId);
        assertRefused(ModelException.Code.INVALID_TOKENIZER, "token \"a\"", "-1");
        ObjectNode badMerge = json();
        ((tools.jackson.databind.node.ArrayNode) badMerge.path("model").path("merges")).add("nope nope");
        write(badMerge);
        assertRefused(ModelException.Code.INVALID_TOKENIZER, "merge", "nope nope");
    }

    @Test
    void aVocabularyFileThatIsNoneIsNamed() throws IOException {
        Path file = Files.write(folder.resolve("x.gguf"), "GGUX....".getBytes(StandardCharsets.UTF_8));
        assertThatThrownBy(() -> GgufVocabulary.read(file))
                .hasMessageContainingAll("x.gguf", "does not begin with GGUF");
        Files.write(file, new byte[] {'G', 'G', 'U', 'F', 3, 0, 0, 0, 1});
        assertThatThrownBy(() -> GgufVocabulary.read(file)).hasMessageContainingAll("x.gguf", "truncated");
    }

    /** Run by {@link #ownCodeNeedsNoNativeLibrary()} with a class path that lacks the library. */
    public static void main(String[] args) {
        try (Tokenizer tokenizer = Tokenizer.load(Path.of(args[0]))) {
            System.out.println(
                    Arrays.toString(tokenizer.encode("the quick fox", false)) + " " + tokenizer.description());
        }
    }

    @Test
    void ownCodeNeedsNoNativeLibrary() throws IOException, InterruptedException {
        write(json());
        String classPath = Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator))
                .filter(entry -> !entry.contains("ai" + File.separator + "djl"))
                .collect(Collectors.joining(File.pathSeparator));
        String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        Process process = new ProcessBuilder(
                        java, "-Xmx128m", "-cp", classPath, TokenizerLoadTest.class.getName(), folder.toString())
                .redirectErrorStream(true)
                .start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
        try (Tokenizer tokenizer = Tokenizer.load(folder)) {
            assertThat(output.strip())
                    .isEqualTo(Arrays.toString(tokenizer.encode("the quick fox", false)) + " byte-level BPE");
        }
    }
}
