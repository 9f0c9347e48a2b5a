package dev.baton.trace.read;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.trace.RealFiles;
import dev.baton.trace.analyse.Analyser;
import dev.baton.trace.analyse.RankAnalysis;
import dev.baton.trace.classify.KernelClass;
import dev.baton.trace.classify.KernelRules;
import dev.baton.trace.step.Work;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class NsysReaderTest {
    @TempDir
    Path folder;

    @Test
    void theStatisticsOfARealExportAreReproduced() throws IOException {
        Path file = folder.resolve("real.sqlite");
        try (InputStream in =
                new GZIPInputStream(Files.newInputStream(RealFiles.get("nsys/hybridep_FP8_N_2_r_0.sqlite.gz")))) {
            Files.copy(in, file);
        }
        Trace trace = TraceReader.read(file).getFirst();
        assertThat(trace.notes()).isEmpty();
        List<Work> devices = Work.of(trace);
        assertThat(devices).hasSize(4);
        RankAnalysis first = new Analyser(KernelRules.builtIn()).analyse(devices.getFirst(), 0);
        assertThat(first.kernels().get(0).kernelClass()).isEqualTo(KernelClass.COMBINE);
        assertThat(first.kernels().get(1).kernelClass()).isEqualTo(KernelClass.DISPATCH);
        Map<String, long[]> sums = new HashMap<>();
        Events e = trace.events();
        for (int i = 0; i < e.size(); i++) {
            long[] sum = sums.computeIfAbsent(e.kind(i) + " " + e.name(i), n -> new long[2]);
            sum[0]++;
            sum[1] += e.durationNanos(i);
        }
        assertThat(kernels(sums, "void hybrid_ep::combine_kernel<")).containsExactly(400, 187_654_337);
        assertThat(kernels(sums, "void hybrid_ep::dispatch_kernel<")).containsExactly(400, 105_097_056);
        assertThat(kernels(sums, "ncclDevKernel_AllGather")).containsExactly(400, 79_132_448);
        assertThat(kernels(sums, "hybrid_ep::device_sync_kernel")).containsExactly(800, 26_928_448);
        assertThat(sums.get("ANNOTATION hybrid-ep dispatch (FP8)")).containsExactly(4, 575_815_712);
        assertThat(sums.get("ANNOTATION hybrid-ep combine")).containsExactly(4, 248_873_888);
        assertThat(sums.get("ANNOTATION NCCL:ncclAllGather")).containsExactly(400, 13_230_912);
        assertThat(sums.get("ANNOTATION CCCL:cub::DeviceReduce::Sum")).containsExactly(400, 5_638_656);
        assertThat(sums.get("MEMCPY CUDA memcpy Device-to-Device")).containsExactly(2800, 65_820_704);
        assertThat(sums.get("MEMCPY CUDA memcpy Device-to-Host")).containsExactly(1200, 2_136_512);
        assertThat(sums.get("MEMSET CUDA memset")).containsExactly(800, 869_312);
        assertThat(trace.info().baseNanos()).isEqualTo(1_758_636_633_643_074_067L);
    }

    private static long[] kernels(Map<String, long[]> sums, String prefix) {
        return sums.entrySet().stream()
                .filter(s -> s.getKey().startsWith("KERNEL " + prefix))
                .map(Map.Entry::getValue)
                .reduce(new long[2], (a, b) -> new long[] {a[0] + b[0], a[1] + b[1]});
    }

    @Test
    void anExportWithFewTablesIsReadAndADamagedOneNoted() throws SQLException, IOException {
        Path file = folder.resolve("few.sqlite");
        try (Connection c = DriverManager.getConnection("jdbc:sqlite:" + file);
                Statement sql = c.createStatement()) {
            sql.executeUpdate("create table StringIds (id integer, value text)");
            sql.executeUpdate("insert into StringIds values (7, 'gemm')");
            sql.executeUpdate("create table CUPTI_ACTIVITY_KIND_KERNEL (start, end, deviceId, streamId, correlationId,"
                    + " demangledName)");
            sql.executeUpdate(
                    "insert into CUPTI_ACTIVITY_KIND_KERNEL values (100, 150, 1, 7, 3, 7), (90, 80, 1, 7, 4, 99)");
            sql.executeUpdate("create table CUPTI_ACTIVITY_KIND_MEMCPY (start, end)");
        }
        Trace trace = TraceReader.read(file).getFirst();
        assertThat(trace.events().size()).isEqualTo(2);
        assertThat(trace.events().name(0)).isEqualTo("string 99");
        assertThat(trace.events().durationNanos(0)).isZero();
        assertThat(trace.events().name(1)).isEqualTo("gemm");
        assertThat(trace.events().device(1)).isEqualTo(1);
        assertThat(trace.notes())
                .anyMatch(n -> n.startsWith("1 negative durations"))
                .anyMatch(n -> n.startsWith("table CUPTI_ACTIVITY_KIND_MEMCPY could not be read"));
        byte[] bytes = Files.readAllBytes(file);
        Arrays.fill(bytes, 20, bytes.length, (byte) 0x5a);
        Path damaged = Files.write(folder.resolve("damaged.sqlite"), bytes);
        assertThat(TraceReader.read(damaged).getFirst().notes())
                .anyMatch(n -> n.startsWith("the export cannot be read"));
    }
}
