package dev.baton.model.safetensors;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.model.DType;
import dev.baton.model.Fixtures;
import dev.baton.model.ModelException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SafetensorsTest {
    private static final StoredTensor A = StoredTensor.of("a", DType.F32, new float[] {1, 2, 3, 4, 5, 6}, 2, 3);
    private static final StoredTensor B = StoredTensor.of("b", DType.BF16, new float[] {0.5f, -8}, 2);
    private static final StoredTensor C = StoredTensor.of("c", DType.F16, new float[] {7}, 1, 1);

    @TempDir
    Path folder;

    private Path corrupt(String header, int dataBytes) throws IOException {
        byte[] json = header.getBytes(StandardCharsets.UTF_8);
        return corrupt(json.length, json, dataBytes);
    }

    private Path corrupt(long statedLength, byte[] json, int dataBytes) throws IOException {
        ByteBuffer file = ByteBuffer.allocate(8 + json.length + dataBytes).order(ByteOrder.LITTLE_ENDIAN);
        file.putLong(statedLength).put(json);
        return Files.write(folder.resolve("model.safetensors"), file.array());
    }

    private static void assertRefused(Path file, String... parts) {
        assertThatThrownBy(() -> SafetensorsFile.open(file))
                .isInstanceOfSatisfying(
                        ModelException.class, e -> assertThat(e.code()).isEqualTo(ModelException.Code.INVALID_WEIGHTS))
                .hasMessageContaining(file.toString())
                .hasMessageContainingAll(parts);
    }

    @Test
    void whatIsWrittenIsReadBack() {
        Path path = folder.resolve("model.safetensors");
        SafetensorsWriter.write(path, Map.of("format", "pt"), List.of(B, A, C));
        try (SafetensorsFile file = SafetensorsFile.open(path)) {
            assertThat(file.names()).containsExactly("a", "b", "c");
            assertThat(file.metadata()).containsEntry("format", "pt");
            StoredTensor a = file.get("a", DType.BF16, 2, 3);
            assertThat(a.dtype()).isEqualTo(DType.F32);
            assertThat(a.toFloats()).containsExactly(1, 2, 3, 4, 5, 6);
            assertThat(file.get("b", DType.BF16, 2).toFloats()).containsExactly(0.5f, -8);
            assertThat(file.get("c", DType.BF16, 1, 1).toFloats()).containsExactly(7);
            assertThat(file.find("d")).isNull();
            assertThat(a.data().isReadOnly()).isTrue();
        }
    }

    @Test
    void bfloat16RoundsToNearestEven() {
        float[] values = {1.00390625f, 1.01171875f, Float.NaN, Float.MAX_VALUE, -0f};
        float[] read = StoredTensor.of("x", DType.BF16, values, 5).toFloats();
        assertThat(read).containsExactly(1f, 1.015625f, Float.NaN, Float.POSITIVE_INFINITY, -0f);
    }

    @Test
    void refusesAnotherShapeThanTheConfigurationImplies() {
        Path path = folder.resolve("model.safetensors");
        SafetensorsWriter.write(path, Map.of(), List.of(A));
        try (SafetensorsFile file = SafetensorsFile.open(path)) {
            assertThatThrownBy(() -> file.get("a", DType.F32, 3, 2))
                    .isInstanceOf(ModelException.class)
                    .hasMessageContainingAll("\"a\"", "[2, 3]", "[3, 2]");
            assertThatThrownBy(() -> file.get("lm_head.weight", DType.F32, 3, 2))
                    .hasMessageContainingAll("lm_head.weight", "[3, 2]");
        }
    }

    @Test
    void refusesFilesWhoseLengthContradictsTheHeader() throws IOException {
        assertRefused(Files.write(folder.resolve("empty.safetensors"), new byte[3]), "3 bytes");
        assertRefused(corrupt(-1, new byte[2], 0), "header length", "not a safetensors file");
        assertRefused(corrupt(0, new byte[2], 0), "header length of 0");
        assertRefused(corrupt(5000, "{}".getBytes(StandardCharsets.UTF_8), 0), "5000", "truncated");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "{\"a\": |not valid JSON",
                "[1]|not a JSON object",
                "{'__metadata__':{'k':1}}|__metadata__",
                "{'a':{'dtype':'F31','shape':[2],'data_offsets':[0,8]}}|unknown dtype \"F31\"",
                "{'a':{'shape':[2],'data_offsets':[0,8]}}|unknown dtype",
                "{'a':{'dtype':'F32','shape':2,'data_offsets':[0,8]}}|shape is 2",
                "{'a':{'dtype':'F32','shape':[-2],'data_offsets':[0,8]}}|[-2]",
                "{'a':{'dtype':'F32','shape':[1.5],'data_offsets':[0,8]}}|[1.5]",
                "{'a':{'dtype':'F32','shape':[3],'data_offsets':[0,8]}}|takes 12 bytes",
                "{'a':{'dtype':'F32','shape':[4000000000,4000000000],'data_offsets':[0,8]}}|too large",
                "{'a':{'dtype':'F32','shape':[2]}}|data_offsets is null",
                "{'a':{'dtype':'F32','shape':[2],'data_offsets':[0]}}|data_offsets",
                "{'a':{'dtype':'F32','shape':[2],'data_offsets':[-8,0]}}|not a range",
                "{'a':{'dtype':'F32','shape':[2],'data_offsets':[8,0]}}|not a range",
                "{'a':{'dtype':'F32','shape':[4],'data_offsets':[0,16]}}|truncated",
                "{'a':{'dtype':'F32','shape':[1],'data_offsets':[0,4]},'b':{'dtype':'F32','shape':[1],'data_offsets':[2,6]},'c':{'dtype':'I16','shape':[1],'data_offsets':[6,8]}}|\"a\" and \"b\" overlap at byte 2",
                "{'a':{'dtype':'F32','shape':[1],'data_offsets':[4,8]}}|hole of 4 bytes",
                "{'a':{'dtype':'F32','shape':[1],'data_offsets':[0,4]}}|4 bytes after the last",
                "{'a':{'dtype':'F32','shape':[1],'data_offsets':[0,4]},'a':{'dtype':'F32','shape':[1],'data_offsets':[4,8]}}|not valid JSON",
            },
            quoteCharacter = '~')
    void refusesACorruptHeaderAndSaysWhere(String header, String message) throws IOException {
        Path file = corrupt(header.replace('\'', '"'), 8);
        assertRefused(file, message);
        if (header.startsWith("{'a'") && !message.contains("JSON")) {
            assertThatThrownBy(() -> SafetensorsFile.open(file)).hasMessageMatching("(?s).*(\"a\"|after the last).*");
        }
    }

    @Test
    void refusesAFileCutAnywhere() throws IOException {
        Path path = folder.resolve("model.safetensors");
        SafetensorsWriter.write(path, Map.of(), List.of(A, B));
        byte[] whole = Files.readAllBytes(path);
        for (int length = 0; length < whole.length; length++) {
            Path cut = Files.write(folder.resolve("cut.safetensors"), Arrays.copyOf(whole, length));
            assertThatThrownBy(() -> SafetensorsFile.open(cut)).isInstanceOf(ModelException.class);
        }
    }

    @Test
    void opensShardsThroughTheirIndex() {
        SafetensorsWriter.writeShards(folder, List.of(List.of(A), List.of(B, C)));
        try (Checkpoint checkpoint = Checkpoint.open(folder)) {
            assertThat(checkpoint.names()).containsExactlyInAnyOrder("a", "b", "c");
            assertThat(Objects.requireNonNull(checkpoint.find("b")).toFloats()).containsExactly(0.5f, -8);
        }
    }

    @Test
    void namesAMissingShardADoubledTensorAndAWrongIndex() throws IOException {
        SafetensorsWriter.writeShards(folder, List.of(List.of(A, C), List.of(A, B)));
        assertThatThrownBy(() -> Checkpoint.open(folder)).hasMessageContainingAll("\"a\"", "two shards");
        SafetensorsWriter.writeShards(folder, List.of(List.of(A), List.of(B)));
        SafetensorsWriter.write(folder.resolve("model-00002-of-00002.safetensors"), Map.of(), List.of(C));
        assertThatThrownBy(() -> Checkpoint.open(folder)).hasMessageContainingAll("\"b\"", "00002-of-00002");
        Files.delete(folder.resolve("model-00002-of-00002.safetensors"));
        assertThatThrownBy(() -> Checkpoint.open(folder)).hasMessageContainingAll("00002-of-00002", "missing");
        Files.writeString(
                folder.resolve("model.safetensors.index.json"), "{\"weight_map\": {\"a\": \"../other.safetensors\"}}");
        assertThatThrownBy(() -> Checkpoint.open(folder)).hasMessageContaining("not a file name");
    }

    @Test
    void namesAFolderWithoutWeights() {
        assertThatThrownBy(() -> Checkpoint.open(folder)).hasMessageContainingAll("no *.safetensors", "dummy");
        assertThatThrownBy(() -> Checkpoint.open(folder.resolve("x"))).hasMessageContaining("not a folder");
    }

    @Test
    void readsAGoldenCheckpointOfTransformers() {
        try (Checkpoint checkpoint = Checkpoint.open(Fixtures.shared("golden/deepseek-v3-fp8"))) {
            StoredTensor weight = checkpoint.get("model.layers.1.self_attn.o_proj.weight", DType.BF16, 256, 128);
            assertThat(weight.dtype()).isEqualTo(DType.F8_E4M3);
            assertThat(checkpoint
                            .get("model.layers.1.self_attn.o_proj.weight_scale_inv", DType.F32, 2, 1)
                            .toFloats())
                    .hasSize(2)
                    .doesNotContain(0f);
        }
    }
}
