package dev.baton.lab.report;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.trace.expert.ExpertAssessment;
import dev.baton.trace.expert.ExpertCounts;
import dev.baton.trace.log.LogAnalysis;
import dev.baton.trace.log.LogReader;
import dev.baton.trace.log.ServerLog;
import dev.baton.trace.reconcile.ClientRecord;
import dev.baton.trace.reconcile.Throughput;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PicturesTest {
    private static final int BLUE = 0xff3b6ea8;
    private static final int ORANGE = 0xffd9822b;
    private static final int RED = 0xffb03030;

    @TempDir
    Path folder;

    /** How many pixels of each colour. */
    private Map<Integer, Integer> colours(int height) throws IOException {
        BufferedImage image = ImageIO.read(folder.resolve("out.png").toFile());
        assertThat(image.getWidth()).isEqualTo(1000);
        assertThat(image.getHeight()).isEqualTo(height);
        Map<Integer, Integer> pixels = new HashMap<>();
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < 1000; x++) {
                pixels.merge(image.getRGB(x, y), 1, Integer::sum);
            }
        }
        return pixels;
    }

    @Test
    void aLogIsDrawnRankByRank() throws IOException {
        StringBuilder text = new StringBuilder();
        for (int second = 0; second < 30; second++) {
            for (int rank = 0; rank < 2; rank++) {
                text.append("[2025-06-01 10:00:")
                        .append(second < 10 ? "0" : "")
                        .append(second)
                        .append(" DP")
                        .append(rank)
                        .append("] Decode batch, #running-req: ")
                        .append(10 + 5 * rank)
                        .append(", #token: 1, token usage: 0.1")
                        .append(rank)
                        .append(", cuda graph: True, gen throughput (token/s): 9")
                        .append(rank)
                        .append(".00, #queue-req: 0, \n");
            }
        }
        ServerLog log = LogReader.read(List.of(Files.writeString(folder.resolve("a.log"), text)));
        LogPlot.write(log, LogAnalysis.of(log), folder.resolve("out.png"));
        assertThat(colours(900).get(BLUE)).isGreaterThan(1000);
        assertThat(colours(900).get(ORANGE)).isGreaterThan(1000);
    }

    @Test
    void aRefusedRateIsRed() throws IOException {
        Path bench = Files.writeString(
                folder.resolve("bench.jsonl"),
                "{\"duration\": 10.0, \"total_output_tokens\": 100, \"output_throughput\": 20000.0}\n"
                        + "{\"duration\": 10.0, \"total_output_tokens\": 100000, \"output_throughput\": 10000.0}\n");
        Throughput t = Throughput.of(
                null,
                null,
                ClientRecord.read(bench, new ArrayList<>()),
                new Throughput.Known(OptionalDouble.empty(), OptionalInt.of(8)));
        ThroughputPlot.write(t, folder.resolve("out.png"));
        assertThat(colours(420).get(BLUE)).isGreaterThan(5000);
        assertThat(colours(420).get(RED)).isGreaterThan(5000);
    }

    @Test
    void expertsAreDrawnByLayerAndPlacement() throws IOException {
        double[][] counts = new double[4][16];
        for (int layer = 0; layer < 4; layer++) {
            for (int expert = 0; expert < 16; expert++) {
                counts[layer][expert] = 100 + 20 * ((expert * 7 + layer) % 5);
            }
        }
        ExpertAssessment a = ExpertAssessment.of(
                new ExpertCounts("c", counts, 1),
                new ExpertAssessment.Question(new int[] {4}, new int[] {0, 4}, 1, 1, 4),
                null);
        ExpertPlot.write(a, folder.resolve("out.png"));
        assertThat(colours(710).get(BLUE)).isGreaterThan(20_000);
        assertThat(colours(710).get(ORANGE)).isGreaterThan(10_000);
    }
}
