package dev.baton.trace.read;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.trace.RealFiles;
import dev.baton.trace.TraceText;
import dev.baton.trace.analyse.Analyser;
import dev.baton.trace.analyse.RankAnalysis;
import dev.baton.trace.classify.KernelRules;
import dev.baton.trace.step.Work;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LargeTraceTest {
    @TempDir
    Path folder;

    @Test
    void aRepeatedTraceHasTheStepsOfEveryCopyInAFractionOfItsSize() throws IOException {
        Path file = folder.resolve("large-TP-0.json");
        int copies = RepeatedTrace.write(RealFiles.get("hta/nccl_data.json.gz"), file, 30_000_000);
        assertThat(copies).isBetween(3, 5);
        Trace trace = TraceReader.read(file).getFirst();
        assertThat(trace.notes()).isEmpty();
        RankAnalysis r =
                new Analyser(KernelRules.builtIn()).analyse(Work.of(trace).getFirst(), 0);
        assertThat(r.steps()).hasSize(3 * copies);
        for (int s = 3; s < r.steps().size(); s++) {
            assertThat(r.steps().get(s).step().durationNanos())
                    .isEqualTo(r.steps().get(s - 3).step().durationNanos());
        }
        // 45 bytes an event in columns against some 300 in the file: the columns are a small part of it.
        assertThat(trace.events().size() * 45L * 3 / 2).isLessThan(trace.uncompressedBytes() / 2);
    }

    @Test
    void stretchesReadSideBySideGiveWhatOneReaderGives() throws IOException {
        Path file = folder.resolve("nccl.json");
        try (InputStream in = new GZIPInputStream(Files.newInputStream(RealFiles.get("hta/nccl_data.json.gz")))) {
            Files.copy(in, file);
        }
        Trace one = TraceReader.read(file).getFirst();
        List<Trace> side = StretchReader.read(file, new byte[][] {"run_batch".getBytes(UTF_8)}, 300_000);
        assertThat(side).hasSize(1);
        assertThat(side.getFirst().info()).isEqualTo(one.info());
        assertThat(side.getFirst().uncompressedBytes()).isEqualTo(one.uncompressedBytes());
        Events a = one.events();
        Events b = side.getFirst().events();
        assertThat(b.size()).isEqualTo(a.size()).isGreaterThan(12_000);
        for (int i = 0; i < a.size(); i++) {
            assertThat(List.of(b.kind(i), b.name(i), b.startNanos(i), b.durationNanos(i), b.ordinal(i), b.lane(i)))
                    .isEqualTo(List.of(
                            a.kind(i), a.name(i), a.startNanos(i), a.durationNanos(i), a.ordinal(i), a.lane(i)));
            assertThat(b.correlation(i)).isEqualTo(a.correlation(i));
            assertThat(b.device(i)).isEqualTo(a.device(i));
            assertThat(b.collective(i)).isEqualTo(a.collective(i));
        }
    }

    @Test
    void whatIsDamagedOrNotOneDocumentIsLeftToOneReader() throws IOException {
        TraceText text = new TraceText().rank(3, 8);
        for (int i = 0; i < 500; i++) {
            // Arguments that look like an event: a guess at a brace must not take them for one.
            text.event("{\"ph\": \"M\", \"name\": \"process_name\", \"pid\": 0, \"args\": {\"name\": \"python " + i
                    + "\"}}");
            text.kernel("kernel_" + i % 9, 10 * i, 5, 7, i);
        }
        String whole = text.json();
        assertThat(stretches(whole)).hasSize(1);
        assertThat(stretches(whole).getFirst().events().size()).isEqualTo(500);
        assertThat(stretches(whole).getFirst().info().rank()).isEqualTo(3);
        assertThat(stretches(whole.substring(0, whole.length() * 2 / 3))).isEmpty();
        assertThat(stretches(whole.replace("\"kernel_4\"", "\"kernel \"4\"\""))).isEmpty();
        assertThat(stretches(whole + whole)).isEmpty();
        assertThat(stretches("[" + whole + "]")).isEmpty();
    }

    private List<Trace> stretches(String text) throws IOException {
        return StretchReader.read(Files.writeString(folder.resolve("t.json"), text), new byte[0][], 5_000);
    }
}
