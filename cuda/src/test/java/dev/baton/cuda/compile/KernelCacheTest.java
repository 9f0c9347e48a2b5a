package dev.baton.cuda.compile;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The driver reads machine code without being told its size, so what was damaged must not reach it. */
class KernelCacheTest {
    @TempDir
    Path folder;

    private final byte[] code = new byte[5000];

    @Test
    void aFileIsReadAsItWasWrittenOrNotAtAll() throws IOException {
        new Random(3).nextBytes(code);
        Path file = folder.resolve("below").resolve("a.kernels");
        assertThat(KernelCache.kept(file)).isNull();
        KernelCache.keep(file, code);
        assertThat(KernelCache.kept(file)).isEqualTo(code);
        byte[] whole = Files.readAllBytes(file);

        Files.write(file, java.util.Arrays.copyOf(whole, whole.length - 1));
        assertThat(KernelCache.kept(file)).as("cut short").isNull();
        whole[2000] ^= 1;
        Files.write(file, whole);
        assertThat(KernelCache.kept(file)).as("one bit else").isNull();
        Files.write(file, new byte[0]);
        assertThat(KernelCache.kept(file)).as("empty").isNull();
    }

    @Test
    void whatTheCompilerSaysNamesTheFileAndItsLine() {
        List<String> lines = KernelCache.source("flash_hopper.cu").lines().toList();
        int place = lines.indexOf("#line 3 \"flash_hopper.cu\"");
        assertThat(place).as("behind the second include").isPositive();
        assertThat(lines.get(place + 2)).startsWith("// Causal attention of new tokens");
        assertThat(lines).contains("#line 1 \"hopper.cuh\"", "#line 1 \"extend_items.cuh\"");
    }

    @Test
    void aFolderThatCannotBeWrittenStopsNobody() throws IOException {
        Path taken = Files.writeString(folder.resolve("file"), "no folder");
        KernelCache.keep(taken.resolve("a.kernels"), code);
        assertThat(KernelCache.kept(taken.resolve("a.kernels"))).isNull();
    }
}
