package dev.baton.trace.read;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.trace.TraceText;
import dev.baton.trace.align.RankAligner;
import dev.baton.trace.align.RankSet;
import dev.baton.trace.align.TraceFiles;
import dev.baton.trace.classify.KernelRules;
import dev.baton.trace.report.AnalysisJson;
import dev.baton.trace.report.AnalysisPage;
import dev.baton.trace.report.AnalysisText;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Every kind of damaged or odd trace goes through the whole command: what can be read is reported, and a note says the rest. */
class RobustnessTest {
    private static final String DEVICE_EVENT =
            "{\"ph\": \"X\", \"cat\": \"kernel\", \"name\": \"%s\", \"pid\": 0, \"tid\": 7, \"ts\": %s, \"dur\": %s,"
                    + " \"args\": {\"stream\": 7, \"correlation\": %s}}";

    @TempDir
    Path folder;

    /** What is wrong, how many kernels are read all the same, and what the note says. */
    enum Fault {
        NONE(20, ""),
        TRUNCATED_GZIP(1, "breaks off after"),
        HALF_A_FILE(5, "the file ends inside"),
        INFINITY_AND_NAN(20, "2 events without a usable time were left out"),
        BEYOND_INT64(21, "events without a usable time were left out"),
        BAD_UTF8(21, "1 names hold bytes that are not UTF-8"),
        UNESCAPED_QUOTES(21, "events with unescaped quotes were read all the same"),
        UNSORTED(20, "stood before earlier ones of their stream"),
        NEGATIVE_DURATION(21, "negative durations were taken as 0"),
        ZERO_DURATION(21, ""),
        COLLIDING_IDS(20, "stands for 4 graph launches: their work was told apart by time"),
        NO_KERNELS(0, "no device events"),
        NO_RANK(20, "neither the trace nor its name says a rank"),
        TWO_RANKS_ONE_NAME(40, "several ranks wrote to one file name"),
        NAME_OF_ANOTHER_RANK(20, "two ranks may have written to one name");

        final int leastKernels;
        final String note;

        Fault(int leastKernels, String note) {
            this.leastKernels = leastKernels;
            this.note = note;
        }
    }

    private static TraceText steps(boolean isSorted, boolean sameIds) {
        TraceText text = new TraceText();
        for (int s = 0; s < 4; s++) {
            int step = isSorted ? s : 3 - s;
            text.launch("cudaGraphLaunch", 1000 * step, 5, sameIds ? 9 : step + 1);
            for (int k = 0; k < 5; k++) {
                text.kernel("gemm_" + k, 1000 * step + 10 + 20 * k, 15, 7, sameIds ? 9 : step + 1);
            }
        }
        return text;
    }

    private Path file(Fault fault) throws IOException {
        TraceText sound = steps(fault != Fault.UNSORTED, fault == Fault.COLLIDING_IDS);
        if (fault != Fault.NO_RANK) {
            sound.rank(0, 1);
        }
        byte[] whole = sound.json().getBytes(StandardCharsets.UTF_8);
        Path plain = folder.resolve("5-TP-0.trace.json");
        return switch (fault) {
            case NONE, UNSORTED, COLLIDING_IDS -> Files.write(plain, whole);
            case TRUNCATED_GZIP -> {
                byte[] packed = TraceText.gzip(whole);
                yield Files.write(folder.resolve("5-TP-0.trace.json.gz"), Arrays.copyOf(packed, packed.length * 2 / 3));
            }
            case HALF_A_FILE -> Files.write(plain, Arrays.copyOf(whole, whole.length / 2));
            case INFINITY_AND_NAN ->
                Files.writeString(
                        plain,
                        sound.event(DEVICE_EVENT.formatted("inf", "Infinity", "1", "1"))
                                .event(DEVICE_EVENT.formatted("nan", "7", "NaN", "1"))
                                .json());
            case BEYOND_INT64 ->
                Files.writeString(
                        plain,
                        sound.event(DEVICE_EVENT.formatted("late", "1e300", "1", "1"))
                                .event(DEVICE_EVENT.formatted("id", "4000", "1", "99999999999999999999"))
                                .json());
            case BAD_UTF8 -> {
                byte[] bytes = sound.event(DEVICE_EVENT.formatted("ge~m", "4000", "1", "1"))
                        .json()
                        .getBytes(StandardCharsets.UTF_8);
                for (int i = 0; i < bytes.length; i++) {
                    bytes[i] = bytes[i] == '~' ? (byte) 0xc3 : bytes[i];
                }
                yield Files.write(plain, bytes);
            }
            case UNESCAPED_QUOTES ->
                Files.writeString(
                        plain,
                        sound.event(DEVICE_EVENT.formatted("say \"hi\" there", "4000", "1", "1"))
                                .json());
            case NEGATIVE_DURATION ->
                Files.writeString(
                        plain,
                        sound.event(DEVICE_EVENT.formatted("back", "4000", "-3", "1"))
                                .json());
            case ZERO_DURATION ->
                Files.writeString(
                        plain,
                        sound.event(DEVICE_EVENT.formatted("none", "4000", "0", "1"))
                                .json());
            case NO_KERNELS ->
                Files.writeString(
                        plain,
                        new TraceText().rank(0, 1).annotation("step", 1, 5).json());
            case NO_RANK -> Files.write(folder.resolve("profile.json"), whole);
            case TWO_RANKS_ONE_NAME ->
                Files.writeString(
                        plain, sound.json() + steps(true, false).rank(1, 2).json());
            case NAME_OF_ANOTHER_RANK ->
                Files.writeString(
                        folder.resolve("5-TP-3.trace.json"),
                        steps(true, false).rank(0, 4).json());
        };
    }

    @ParameterizedTest
    @EnumSource(Fault.class)
    void whatCanBeReadIsReportedAndANoteSaysTheRest(Fault fault) throws IOException {
        Path file = file(fault);
        List<String> notes = new ArrayList<>();
        RankSet set = RankAligner.align(TraceFiles.analyse(List.of(file), KernelRules.builtIn(), notes));
        notes.addAll(set.notes());
        String text = AnalysisText.analysis(set, notes, 5) + AnalysisText.ranks(set, notes);
        AnalysisJson.write(set, notes, folder.resolve("out.json"));
        AnalysisPage.write(set, notes, "t", folder.resolve("out.html"));
        int kernels =
                set.ranks().stream().mapToInt(r -> r.work().events().length).sum();
        assertThat(kernels).isGreaterThanOrEqualTo(fault.leastKernels);
        if (fault == Fault.NONE || fault == Fault.ZERO_DURATION) {
            assertThat(text).doesNotContain("note:");
        } else {
            assertThat(text).contains(fault.note);
            assertThat(folder.resolve("out.json")).content().contains(fault.note);
            assertThat(folder.resolve("out.html")).content().contains(fault.note);
        }
        if (fault.leastKernels >= 20 && fault != Fault.TWO_RANKS_ONE_NAME) {
            assertThat(set.ranks().getFirst().steps()).hasSize(4);
        }
    }
}
