package dev.baton.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The shell script, as far as it goes before it builds. */
class LauncherTest {
    @TempDir
    Path folder;

    @BeforeEach
    void thereIsAShell() {
        assumeThat(Path.of("/bin/bash")).exists();
    }

    private record Ended(int status, String output) {}

    private static Ended run(Map<String, String> environment) throws IOException, InterruptedException {
        ProcessBuilder builder = new ProcessBuilder(
                        ServerUnderTest.ROOT.resolve("baton").toString(), "--help")
                .redirectErrorStream(true);
        builder.environment().putAll(environment);
        Process process = builder.start();
        process.getOutputStream().close();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor(30, TimeUnit.SECONDS)).isTrue();
        return new Ended(process.exitValue(), output);
    }

    /** A folder that looks like a JDK of a version. */
    private Path jdk(String version) throws IOException {
        Path home = Files.createDirectories(folder.resolve("jdk-" + version));
        Path java = Files.createDirectories(home.resolve("bin")).resolve("java");
        Files.writeString(java, "#!/bin/sh\necho wrong java was run\nexit 99\n");
        assertThat(java.toFile().setExecutable(true)).isTrue();
        Files.writeString(home.resolve("release"), "JAVA_VERSION=\"" + version + "\"\n");
        return home;
    }

    @Test
    void anOlderJdkIsOneLineWithTheRemedyAndStatus2() throws Exception {
        Path old = jdk("17.0.9");
        Ended ended = run(Map.of(
                "BATON_JAVA_HOME",
                old.toString(),
                "JAVA_HOME",
                old.toString(),
                "PATH",
                old.resolve("bin") + ":/usr/bin:/bin"));
        assertThat(ended.output().strip().lines())
                .singleElement()
                .asString()
                .contains("JDK 25")
                .contains("install");
        assertThat(ended.status()).isEqualTo(2);
    }

    @Test
    void aVersionThatOnlyBeginsLike25IsNot25() throws Exception {
        Ended ended = run(Map.of("BATON_JAVA_HOME", jdk("250.1").toString()));
        assertThat(ended.output()).contains("no JDK 25 found");
        assertThat(ended.status()).isEqualTo(2);
    }
}
