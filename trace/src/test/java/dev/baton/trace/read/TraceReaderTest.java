package dev.baton.trace.read;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.trace.RealFiles;
import dev.baton.trace.TraceText;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.core.json.JsonReadFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class TraceReaderTest {
    @TempDir
    Path folder;

    private static TraceText small() {
        return new TraceText()
                .rank(3, 8)
                .header("\"baseTimeNanoseconds\": 1759300074000000000")
                .kernel("gemm \\\"A\\\" \\u00e9", 4582619000840.2, 1232.897, 7, 11)
                .launch("cudaLaunchKernel", 4582619000800.5, 3, 11)
                .annotation("step[DECODE bs=1]", 4582619000700.0, 2000);
    }

    @Test
    void keepsNanosecondsAndWhatAnalysisNeeds() throws IOException {
        Trace trace = one(small().write(folder.resolve("a.json.gz")));
        assertThat(trace.notes()).isEmpty();
        assertThat(trace.info().rank()).isEqualTo(3);
        assertThat(trace.info().worldSize()).isEqualTo(8);
        assertThat(trace.info().baseNanos()).isEqualTo(1_759_300_074_000_000_000L);
        Events e = trace.events();
        assertThat(e.size()).isEqualTo(3);
        assertThat(e.kind(0)).isEqualTo(EventKind.KERNEL);
        assertThat(e.name(0)).isEqualTo("gemm \"A\" \u00e9");
        assertThat(e.startNanos(0)).isEqualTo(4_582_619_000_840_200L);
        assertThat(e.durationNanos(0)).isEqualTo(1_232_897);
        assertThat(e.lane(0)).isEqualTo(7);
        assertThat(e.device(0)).isZero();
        assertThat(e.correlation(1)).isEqualTo(11);
        assertThat(e.kind(2)).isEqualTo(EventKind.ANNOTATION);
    }

    @Test
    void aTruncatedGzipGivesWhatStoodBefore() throws IOException {
        TraceText text = new TraceText();
        Random random = new Random(1);
        for (int i = 0; i < 2000; i++) {
            text.kernel("kernel_" + random.nextLong(), 10 * i, 5, 7, i);
        }
        byte[] whole = TraceText.gzip(text.json().getBytes(StandardCharsets.UTF_8));
        Path file = Files.write(folder.resolve("cut.json.gz"), Arrays.copyOf(whole, whole.length * 2 / 3));
        Trace trace = one(file);
        assertThat(trace.events().size()).isBetween(1000, 1900);
        assertThat(trace.notes()).anyMatch(n -> n.contains("breaks off after"));
    }

    @Test
    void everyPrefixOfAFileIsReadWithoutAnEscape() throws IOException {
        byte[] whole = small().json().getBytes(StandardCharsets.UTF_8);
        int kept = 0;
        for (int length = 0; length <= whole.length; length++) {
            Trace trace = one(Files.write(folder.resolve("prefix.json"), Arrays.copyOf(whole, length)));
            assertThat(trace.events().size()).isBetween(kept, 3);
            kept = trace.events().size();
            if (length < whole.length - 3) {
                assertThat(trace.notes()).isNotEmpty();
            }
        }
        assertThat(kept).isEqualTo(3);
    }

    @Test
    void damageCostsTheDamagedEventOnly() throws IOException {
        TraceText text = new TraceText()
                .kernel("a", 1, 1, 7, 1)
                .event("{\"ph\": \"X\", \"cat\": \"kernel\", \"name\": \"say \"hi\" there\", \"pid\": 0, \"tid\": 7,"
                        + " \"ts\": 5, \"dur\": 1, \"args\": {\"stream\": 7}}")
                .event("{\"ph\": \"X\", \"cat\": \"kernel\" \"name\": oops")
                .event(
                        "{\"ph\": \"X\", \"cat\": \"kernel\", \"name\": \"inf\", \"pid\": 0, \"tid\": 7, \"ts\": Infinity,"
                                + " \"dur\": 1}")
                .event("{\"ph\": \"X\", \"cat\": \"kernel\", \"name\": \"huge\", \"pid\": 0, \"tid\": 7,"
                        + " \"ts\": 99999999999999999999999999, \"dur\": 1}")
                .event("{\"ph\": \"X\", \"cat\": \"kernel\", \"name\": \"back\", \"pid\": 0, \"tid\": 7, \"ts\": 9,"
                        + " \"dur\": -4, \"args\": {\"correlation\": 99999999999999999999999, \"x\": NaN}}")
                .event("{\"ph\": \"X\", \"cat\": \"kernel\", \"name\": \"exp\", \"pid\": \"0\", \"tid\": \"7\","
                        + " \"ts\": 1.25e3, \"dur\": \"2.5\"}")
                .kernel("z", 20, 1, 7, 2);
        Trace trace = one(text.write(folder.resolve("damaged.json")));
        Events e = trace.events();
        assertThat(names(e)).containsExactly("a", "say \"hi\" there", "back", "exp", "z");
        assertThat(e.durationNanos(2)).isZero();
        assertThat(e.correlation(2)).isEqualTo(-1);
        assertThat(e.startNanos(3)).isEqualTo(1_250_000);
        assertThat(e.durationNanos(3)).isEqualTo(2_500);
        assertThat(trace.notes())
                .anyMatch(n -> n.startsWith("1 events with unescaped quotes"))
                .anyMatch(n -> n.startsWith("1 damaged events"))
                .anyMatch(n -> n.startsWith("2 events without a usable time"))
                .anyMatch(n -> n.startsWith("1 negative durations"));
    }

    @Test
    void badUtf8IsReadWithReplacements() throws IOException {
        byte[] bytes = small().json().replace("gemm", "ge~m").getBytes(StandardCharsets.UTF_8);
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = bytes[i] == '~' ? (byte) 0xff : bytes[i];
        }
        assertThat(one(Files.write(folder.resolve("u.json"), bytes)).events().name(0))
                .startsWith("ge\ufffdm");
    }

    @Test
    void mergedRanksAndTwoRanksInOneFileAreToldApart() throws IOException {
        TraceText merged = new TraceText();
        for (int rank = 0; rank < 2; rank++) {
            merged.event("{\"ph\":\"X\",\"cat\":\"kernel\",\"name\":\"k" + rank + "\",\"pid\":\"[TP0" + rank + "-DP01] "
                    + rank + "\",\"tid\":7,\"ts\":1,\"dur\":1}");
        }
        List<Trace> ranks = TraceReader.read(merged.write(folder.resolve("merged-1.trace.json.gz")));
        assertThat(ranks).extracting(Trace::label).containsExactly("TP00-DP01", "TP01-DP01");
        assertThat(ranks.get(1).events().device(0)).isEqualTo(1);

        String twice = new TraceText().rank(0, 2).kernel("first", 1, 1, 7, 1).json()
                + new TraceText().rank(1, 2).kernel("second", 1, 1, 7, 1).json();
        List<Trace> both = TraceReader.read(Files.writeString(folder.resolve("both.json"), twice));
        assertThat(both).extracting(t -> t.info().rank()).containsExactly(0, 1);
        assertThat(both.get(0).notes()).anyMatch(n -> n.contains("several ranks wrote to one file name"));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"", "   \n", "hello", "null", "[]", "{}", "[1,2,{\"ph\":1}]", "{\"traceEvents\": 7}", "\u0000"})
    void whatIsNoTraceGivesNoEvents(String text) throws IOException {
        assertThat(one(Files.writeString(folder.resolve("no.json"), text))
                        .events()
                        .size())
                .isZero();
    }

    @Test
    void randomDamageNeverEscapes() throws IOException {
        byte[] whole = small().json().getBytes(StandardCharsets.UTF_8);
        Random random = new Random(42);
        for (int round = 0; round < 1000; round++) {
            byte[] bytes = whole.clone();
            for (int hits = 1 + random.nextInt(6); hits > 0; hits--) {
                int at = random.nextInt(bytes.length);
                bytes[at] = random.nextBoolean() ? (byte) random.nextInt(256) : bytes[random.nextInt(bytes.length)];
            }
            for (Trace trace : TraceReader.read(Files.write(folder.resolve("r.json"), bytes))) {
                for (int i = 0; i < trace.events().size(); i++) {
                    assertThat(trace.events().durationNanos(i)).isNotNegative();
                }
            }
        }
    }

    @Test
    void agreesWithJacksonOnARealTrace() throws IOException {
        Path file = RealFiles.get("hta/nccl_data.json.gz");
        JsonNode tree;
        try (InputStream in = new GZIPInputStream(Files.newInputStream(file))) {
            tree = JsonMapper.builder()
                    .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
                    .build()
                    .readTree(in);
        }
        Events e = one(file).events();
        int i = 0;
        int position = -1;
        for (JsonNode event : tree.get("traceEvents")) {
            position++;
            String category = event.path("cat").asString("");
            if (!category.equals("kernel") && !category.startsWith("gpu_mem") && !category.equals("cuda_runtime")) {
                continue;
            }
            while (e.kind(i) != EventKind.RUNTIME && !e.kind(i).isDeviceWork()) {
                i++;
            }
            assertThat(e.ordinal(i)).isEqualTo(position);
            assertThat(e.name(i)).isEqualTo(event.get("name").asString());
            assertThat(e.startNanos(i))
                    .isEqualTo(event.get("ts").decimalValue().movePointRight(3).longValueExact());
            assertThat(e.correlation(i)).isEqualTo(event.at("/args/correlation").asLong(-1));
            i++;
        }
        assertThat(i).isGreaterThan(12_000);
    }

    private static List<String> names(Events e) {
        return java.util.stream.IntStream.range(0, e.size()).mapToObj(e::name).toList();
    }

    private static Trace one(Path file) {
        List<Trace> traces = TraceReader.read(file);
        assertThat(traces).hasSize(1);
        return traces.getFirst();
    }
}
