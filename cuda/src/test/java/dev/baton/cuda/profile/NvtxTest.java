package dev.baton.cuda.profile;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.baton.cuda.driver.NativeLibrary;
import dev.baton.tensor.TensorException;
import dev.baton.tensor.ToolRanges;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Ranges by NVTX's own protocol, with a tool that a C compiler makes here: no GPU is needed. */
class NvtxTest {
    /** What the child does on a thread that is called as a rank's. */
    static final class Child {
        private Child() {}

        public static void main(String[] arguments) throws InterruptedException {
            Thread rank = new Thread(
                    () -> {
                        ToolRanges ranges = Nvtx.attached();
                        System.out.println("child: " + (ranges == null ? "no tool" : "tool"));
                        if (ranges != null) {
                            ranges.push("step[DECODE bs=8]");
                            ranges.push("rank.forward");
                            ranges.pop();
                            ranges.pop();
                        }
                    },
                    "baton-rank-0");
            rank.start();
            rank.join();
        }
    }

    @TempDir
    Path folder;

    @Test
    void anAttachedToolSeesThreadsAndRanges() throws Exception {
        assumeTrue(hasNvtx(), "no NVTX on this machine (nvidia-nvtx or a CUDA toolkit)");
        Path source = folder.resolve("tool.c");
        try (InputStream in = Objects.requireNonNull(NvtxTest.class.getResourceAsStream("nvtx-tool.c"))) {
            Files.copy(in, source);
        }
        Path tool = folder.resolve("libtool.so");
        assumeTrue(
                compiles(List.of("cc", "-shared", "-fPIC", "-o", tool.toString(), source.toString())),
                "no C compiler on this machine");
        assertThat(child(tool.toString()))
                .containsExactly(
                        "tool: attached",
                        "tool: thread has a number and is baton-rank-0",
                        "child: tool",
                        "tool: push step[DECODE bs=8]",
                        "tool: push rank.forward",
                        "tool: pop",
                        "tool: pop");
    }

    @Test
    void withoutAToolNothingIsLoaded() throws Exception {
        assertThat(child("")).containsExactly("child: no tool");
    }

    private static boolean hasNvtx() {
        try {
            NativeLibrary.open(List.of("libnvtx3interop.so.1", "libnvToolsExt.so.1"), "");
            return true;
        } catch (TensorException e) {
            return false;
        }
    }

    private static boolean compiles(List<String> command) throws InterruptedException {
        try {
            Process compiler =
                    new ProcessBuilder(command).redirectErrorStream(true).start();
            String said = new String(compiler.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            assertThat(compiler.waitFor(30, TimeUnit.SECONDS)).isTrue();
            assertThat(compiler.exitValue()).as(said).isZero();
            return true;
        } catch (IOException e) {
            return false;
        }
    }

    private static List<String> child(String tool) throws IOException, InterruptedException {
        ProcessBuilder builder = new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
                Child.class.getName());
        builder.environment().put("NVTX_INJECTION64_PATH", tool);
        Process process = builder.redirectError(ProcessBuilder.Redirect.INHERIT).start();
        List<String> lines = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8)
                .lines()
                .filter(line -> line.startsWith("tool: ") || line.startsWith("child: "))
                .toList();
        assertThat(process.waitFor(30, TimeUnit.SECONDS)).isTrue();
        return lines;
    }
}
