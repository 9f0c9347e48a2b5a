package dev.baton.trace.write;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.trace.RealFiles;
import dev.baton.trace.TraceText;
import dev.baton.trace.align.RankAligner;
import dev.baton.trace.align.RankSet;
import dev.baton.trace.align.TraceFiles;
import dev.baton.trace.classify.KernelRules;
import dev.baton.trace.read.Trace;
import dev.baton.trace.read.TraceReader;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TraceMergerTest {
    @TempDir
    Path folder;

    private Path rank(int rank, long baseNanos) throws IOException {
        return new TraceText()
                .rank(rank, 2)
                .header("\"baseTimeNanoseconds\": " + baseNanos)
                .launch("cudaLaunchKernel", 100.125, 2, 11)
                .kernel("gemm", 4_582_619_000_840.2, 10.001, 7, 11)
                .event("{\"ph\":\"f\",\"id\":11,\"pid\":0,\"tid\":7,\"ts\":1,\"cat\":\"ac2g\",\"name\":\"ac2g\"}")
                .write(folder.resolve("1.5-TP-" + rank + ".trace.json" + (rank == 0 ? "" : ".gz")));
    }

    @Test
    void idsDoNotCollideAndTimesShareOneBase() throws IOException {
        List<Path> files = List.of(rank(0, 1_000_000_000L), rank(1, 1_000_002_500L));
        Path merged = folder.resolve("merged-1.5.trace.json.gz");
        TraceMerger merger = new TraceMerger();
        assertThat(merger.merge(files, merged)).isEqualTo(6);
        List<Trace> ranks = TraceReader.read(merged);
        assertThat(ranks).extracting(Trace::label).containsExactly("TP00", "TP01");
        assertThat(ranks.get(0).events().startNanos(1)).isEqualTo(4_582_619_000_840_200L);
        assertThat(ranks.get(1).events().startNanos(1)).isEqualTo(4_582_619_000_842_700L);
        assertThat(ranks.get(1).events().correlation(1)).isEqualTo(11 + (1L << 33));
        assertThat(ranks.get(1).events().correlation(0)).isEqualTo(11 + (1L << 33));

        Map<Path, BigDecimal> late = Map.of(files.get(1), new BigDecimal("2.5"));
        merger.merge(files, List.of("[TP00] ", "[TP01] "), late, merged);
        assertThat(TraceReader.read(merged).get(1).events().startNanos(1)).isEqualTo(4_582_619_000_840_200L);
    }

    @Test
    void aDamagedFileGivesWhatStandsBeforeTheDamage() throws IOException {
        Path whole = rank(0, 0);
        byte[] bytes = Files.readAllBytes(whole);
        int cut = new String(bytes, StandardCharsets.UTF_8).indexOf("\"ac2g\"");
        Path half = Files.write(folder.resolve("1.5-TP-1.trace.json"), Arrays.copyOf(bytes, cut));
        TraceMerger merger = new TraceMerger();
        assertThat(merger.merge(List.of(whole, half), folder.resolve("m.json.gz")))
                .isEqualTo(5);
        assertThat(merger.notes()).singleElement().asString().contains("breaks off after 2 events");
    }

    @Test
    void aMergedFileOfEightRanksAnalysesLikeTheEightFiles() {
        List<Path> files = TraceFiles.find(List.of(RealFiles.get("dlrm8")));
        List<String> labels = files.stream()
                .map(f -> "[rank" + f.getFileName().toString().charAt(6) + "] ")
                .toList();
        Path merged = folder.resolve("merged-8.json.gz");
        new TraceMerger().merge(files, labels, Map.of(), merged);
        RankSet one = RankAligner.align(TraceFiles.analyse(List.of(merged), KernelRules.builtIn(), new ArrayList<>()));
        assertThat(one.ranks()).extracting(r -> r.rank()).containsExactly(0, 1, 2, 3, 4, 5, 6, 7);
        assertThat(one.collectives()).extracting(c -> c.last().rankIndex()).containsExactly(7, 7, 7, 7, 7, 5, 5, 4);
        assertThat(one.collectives())
                .extracting(c -> c.startSpreadNanos())
                .containsExactly(7624000L, 1101000L, 168000L, 125000L, 223000L, 534000L, 584000L, 885000L);
    }
}
