package dev.baton.trace.read;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.trace.RealFiles;
import dev.baton.trace.analyse.Analyser;
import dev.baton.trace.analyse.RankAnalysis;
import dev.baton.trace.classify.KernelRules;
import dev.baton.trace.step.Work;
import java.io.IOException;
import java.nio.file.Path;
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
}
