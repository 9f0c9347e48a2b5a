package dev.baton.cuda.compile;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.baton.tensor.TensorException;
import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Every kernel source compiles, where the machine has a compiler for them; none needs a GPU. */
class KernelSourcesTest {
    @TempDir
    Path folder;

    private static List<String> sources() throws IOException, URISyntaxException {
        URI common = KernelSourcesTest.class
                .getResource("/dev/baton/cuda/kernels/common.cuh")
                .toURI();
        try (Stream<Path> files = Files.list(Path.of(common).getParent())) {
            return files.map(file -> file.getFileName().toString())
                    .filter(name -> name.endsWith(".cu"))
                    .sorted()
                    .toList();
        }
    }

    private static String whyNoLibrary() {
        try {
            return Nvrtc.version().isEmpty() ? "no version" : "";
        } catch (ExceptionInInitializerError | NoClassDefFoundError | TensorException e) {
            return String.valueOf(e.getCause() == null ? e : e.getCause().getMessage());
        }
    }

    private static boolean hasCommand() {
        try {
            return new ProcessBuilder("nvcc", "--version")
                            .redirectErrorStream(true)
                            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                            .start()
                            .waitFor()
                    == 0;
        } catch (IOException e) {
            return false;
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    @Test
    @Timeout(300)
    void compile() throws Exception {
        assertThat(sources()).hasSizeGreaterThan(8);
        String missing = whyNoLibrary();
        if (missing.isEmpty()) {
            KernelCache cache = new KernelCache(folder);
            for (String source : sources()) {
                assertThat(cache.code(source, "sm_90a")).as(source).isNotEmpty();
            }
            return;
        }
        assumeTrue(hasCommand(), "neither NVRTC (" + missing + ") nor nvcc");
        for (String source : sources()) {
            Path file = folder.resolve(source);
            Files.writeString(file, KernelCache.source(source));
            Process nvcc = new ProcessBuilder(
                            "nvcc", "--std=c++17", "-arch=compute_90a", "-ptx", "-o", file + ".ptx", file.toString())
                    .redirectErrorStream(true)
                    .start();
            String said = new String(nvcc.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            assertThat(nvcc.waitFor(60, TimeUnit.SECONDS)).as(source).isTrue();
            assertThat(nvcc.exitValue()).as(source + "\n" + said).isZero();
        }
    }

    @Test
    void aSourceThatDoesNotCompileIsAnErrorWithTheCompilersWords() {
        String missing = whyNoLibrary();
        assumeTrue(missing.isEmpty(), missing);
        assertThatThrownBy(() -> Nvrtc.compile("int f( {", "broken.cu", List.of("--gpu-architecture=sm_90a")))
                .isInstanceOf(TensorException.class)
                .hasMessageContaining("broken.cu does not compile")
                .hasMessageContaining("BATON_KERNEL_CACHE");
    }
}
