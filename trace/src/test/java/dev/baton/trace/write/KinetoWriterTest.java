package dev.baton.trace.write;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.trace.RankCoordinates;
import dev.baton.trace.read.TraceReader;
import dev.baton.trace.record.Span;
import dev.baton.trace.record.SpanRing;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class KinetoWriterTest {
    private static final long ANCHOR = 5_000_000L;
    private static final long EPOCH = 1_763_882_692_835_189_600L;

    @TempDir
    Path folder;

    @Test
    void writesWhatKinetoReadersExpect() throws IOException {
        SpanRing ring = new SpanRing(100);
        ring.add(new Span(
                Span.Kind.ANNOTATION, "step[DECODE bs=2]", 7, ANCHOR, ANCHOR + 3_000_042, new Span.Step(9, 2, 2)));
        ring.add(new Span(
                Span.Kind.OPERATOR,
                "baton::linear",
                7,
                ANCHOR + 1_001,
                ANCHOR + 2_500,
                new Span.Operands(new long[][] {{2, 256}, {512, 256}}, new String[] {"float", "c10::BFloat16"})));
        ring.add(new Span(
                Span.Kind.COLLECTIVE,
                "baton::all_reduce",
                7,
                ANCHOR + 3_000,
                ANCHOR + 9_000,
                new Span.Collective("allreduce", 512, 512, "Float", "0", new int[] {0, 1})));
        Path file = folder.resolve("deep/x.trace.json.gz");
        new KinetoWriter().write(file, header(1), ring.drain());

        JsonNode trace = read(file);
        assertThat(trace.get("schemaVersion").asInt()).isEqualTo(1);
        assertThat(trace.get("record_shapes").asInt()).isEqualTo(1);
        assertThat(trace.at("/distributedInfo/rank").asInt()).isEqualTo(1);
        assertThat(trace.at("/distributedInfo/world_size").asInt()).isEqualTo(2);
        JsonNode step = named(trace, "step[DECODE bs=2]");
        assertThat(step.get("cat").asString()).isEqualTo("user_annotation");
        assertThat(step.get("dur").decimalValue()).isEqualByComparingTo("3000.042");
        long absolute = trace.get("baseTimeNanoseconds").asLong()
                + step.get("ts").decimalValue().movePointRight(3).longValueExact();
        assertThat(absolute).isEqualTo(EPOCH);
        assertThat(named(trace, "baton::linear").at("/args/Input Dims").toString())
                .isEqualTo("[[2,256],[512,256]]");
        JsonNode collective = named(trace, "baton::all_reduce");
        assertThat(collective.at("/args/Process Group Ranks").asString()).isEqualTo("[0, 1]");
        assertThat(collective.at("/args/Group size").asInt()).isEqualTo(2);
        assertThat(named(trace, "thread_name").at("/args/name").asString()).isEqualTo("thread 7 (rank 1)");
        assertThat(Files.list(file.getParent())).containsExactly(file);
    }

    @Test
    void workOfAGpuStandsInTheRowOfItsStreamWithAnArrowFromItsCall() throws IOException {
        SpanRing ring = new SpanRing(100);
        ring.add(new Span(
                Span.Kind.CALL, "cuLaunchKernelEx", 7, ANCHOR + 1_000, ANCHOR + 3_000, new Span.DeviceCall(41)));
        ring.add(new Span(
                Span.Kind.KERNEL,
                "add_8",
                7,
                ANCHOR + 4_000,
                ANCHOR + 9_500,
                new Span.DeviceWork(2, 13, 41, new int[] {8, 32, 1}, new int[] {128, 1, 1}, 48, 55_296, 0)));
        ring.add(new Span(
                Span.Kind.COPY,
                "Memcpy DtoH",
                7,
                ANCHOR + 9_600,
                ANCHOR + 9_900,
                new Span.DeviceWork(2, 13, 42, new int[0], new int[0], 0, 0, 64)));
        Path file = folder.resolve("gpu.trace.json.gz");
        new KinetoWriter().write(file, header(0), ring.drain());

        JsonNode trace = read(file);
        JsonNode kernel = named(trace, "add_8");
        assertThat(kernel.get("cat").asString()).isEqualTo("kernel");
        assertThat(kernel.get("pid").asInt()).isEqualTo(2);
        assertThat(kernel.get("tid").asInt()).isEqualTo(13);
        assertThat(kernel.at("/args/correlation").asInt()).isEqualTo(41);
        assertThat(kernel.at("/args/grid").toString()).isEqualTo("[8,32,1]");
        JsonNode call = named(trace, "cuLaunchKernelEx");
        assertThat(call.get("cat").asString()).isEqualTo("cuda_driver");
        assertThat(call.get("tid").asInt()).isEqualTo(7);
        assertThat(call.at("/args/correlation").asInt()).isEqualTo(41);
        assertThat(named(trace, "Memcpy DtoH").at("/args/bytes").asInt()).isEqualTo(64);
        int arrows = 0;
        for (JsonNode event : trace.get("traceEvents")) {
            if (event.get("ph").asString().equals("s") && event.get("id").asInt() == 41) {
                assertThat(event.get("ts")).isEqualTo(call.get("ts"));
                arrows++;
            } else if (event.get("ph").asString().equals("f") && event.get("id").asInt() == 41) {
                assertThat(event.get("ts")).isEqualTo(kernel.get("ts"));
                arrows++;
            }
        }
        assertThat(arrows).isEqualTo(2);
    }

    @Test
    void aFullRingKeepsTheNewestAndCountsTheRest() {
        SpanRing ring = new SpanRing(3);
        for (int i = 0; i < 5; i++) {
            ring.add(Span.Kind.OPERATOR, "op" + i, i, i + 1, null);
        }
        SpanRing.Drained drained = ring.drain();
        assertThat(drained.spans()).extracting(Span::name).containsExactly("op2", "op3", "op4");
        assertThat(drained.dropped()).isEqualTo(2);
        assertThat(ring.drain().spans()).isEmpty();
    }

    @Test
    void aRehearsalIsSaidInTheFileAndWhenItIsRead() throws IOException {
        TraceHeader plain = header(0);
        Path file = folder.resolve("rehearsed.trace.json.gz");
        SpanRing ring = new SpanRing(3);
        ring.add(Span.Kind.OPERATOR, "op", ANCHOR, ANCHOR + 1000, null);
        TraceHeader rehearsed = new TraceHeader(
                plain.rank(),
                plain.processName(),
                plain.processId(),
                plain.threadNames(),
                true,
                plain.hostName(),
                EPOCH,
                ANCHOR,
                "link of 50 us and 10 GB/s");
        new KinetoWriter().write(file, rehearsed, ring.drain());
        JsonNode trace = read(file);
        assertThat(trace.get("baton_rehearsal").asString()).isEqualTo("link of 50 us and 10 GB/s");
        assertThat(named(trace, "process_labels").at("/args/labels").asString())
                .isEqualTo("CPU, REHEARSAL: link of 50 us and 10 GB/s");
        assertThat(TraceReader.read(file).getFirst().notes())
                .anySatisfy(note -> assertThat(note).contains("rehearsal").contains("link of 50 us"));
    }

    @Test
    void mergedRanksKeepTheirProcessesApart() throws IOException {
        SpanRing ring = new SpanRing(10);
        Path[] files = new Path[2];
        for (int rank = 0; rank < 2; rank++) {
            ring.add(Span.Kind.ANNOTATION, "of rank " + rank, ANCHOR, ANCHOR + 1000, null);
            files[rank] = folder.resolve(RankCoordinates.of(rank, 2, 0, 1).fileName("17.5", "p", "DECODE"));
            new KinetoWriter().write(files[rank], header(rank), ring.drain());
        }
        assertThat(files[1].getFileName()).hasToString("p-17.5-TP-1-DECODE.trace.json.gz");
        Path merged = folder.resolve("merged-17.5.trace.json.gz");
        long events = new TraceMerger().merge(List.of(files), merged);

        JsonNode trace = read(merged);
        assertThat(trace.get("traceEvents").size()).isEqualTo((int) events);
        Set<String> processes = new HashSet<>();
        trace.get("traceEvents").forEach(e -> processes.add(e.get("pid").asString()));
        assertThat(processes).containsExactlyInAnyOrder("[TP00] 4242", "[TP01] 4242", "[TP00] Spans", "[TP01] Spans");
        assertThat(named(trace, "of rank 1").get("pid").asString()).isEqualTo("[TP01] 4242");
    }

    @Test
    void fileNamesFollowTheDialect() {
        assertThat(new RankCoordinates(3, 8, 3, 8, 0, 1, 3, 8, true).fileName("1769071195.66", "", ""))
                .isEqualTo("1769071195.66-TP-3-DP-3-EP-3.trace.json.gz");
        assertThat(RankCoordinates.mergeLabel("a-1.5-TP-0-DP-1-PP-0-EP-2.trace.json.gz"))
                .isEqualTo("[TP00-DP01-PP00-EP02] ");
    }

    private static TraceHeader header(int rank) {
        return new TraceHeader(
                RankCoordinates.of(rank, 2, 0, 1),
                "baton::scheduler_TP" + rank,
                4242,
                Map.of(7L, "rank " + rank),
                true,
                "host",
                EPOCH,
                ANCHOR);
    }

    private static JsonNode read(Path file) throws IOException {
        try (InputStream in = new GZIPInputStream(Files.newInputStream(file))) {
            return JsonMapper.shared().readTree(in);
        }
    }

    private static JsonNode named(JsonNode trace, String name) {
        for (JsonNode event : trace.get("traceEvents")) {
            if (event.get("name").asString().equals(name)) {
                return event;
            }
        }
        throw new AssertionError("no event " + name);
    }
}
