package dev.baton.lab.report;

import dev.baton.lab.LabException;
import java.awt.Color;
import java.awt.Graphics2D;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import javax.imageio.ImageIO;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.internal.chartpart.Chart;
import org.knowm.xchart.style.Styler;

/** What the pictures of traces, logs, rates and experts share: one look, charts below each other in one file. */
final class Pictures {
    static final int WIDTH = 1000;
    static final Color[] COLOURS = {
        new Color(0x3b6ea8),
        new Color(0xd9822b),
        new Color(0x5a9a63),
        new Color(0xa3567e),
        new Color(0x4fb0ae),
        new Color(0x6d5fa8),
        new Color(0x9a6b45),
        new Color(0xe0b84c)
    };

    private Pictures() {}

    static void style(Styler styler) {
        styler.setChartBackgroundColor(Color.WHITE);
        styler.setLegendPosition(Styler.LegendPosition.OutsideE);
        styler.setLegendBorderColor(Color.WHITE);
        styler.setSeriesColors(COLOURS);
    }

    /**
     * Writes charts below each other.
     *
     * @throws LabException IO naming the file
     */
    static void write(List<? extends Chart<?, ?>> charts, Path file) {
        List<BufferedImage> images =
                charts.stream().map(BitmapEncoder::getBufferedImage).toList();
        int height = images.stream().mapToInt(BufferedImage::getHeight).sum();
        BufferedImage all = new BufferedImage(WIDTH, height, BufferedImage.TYPE_INT_RGB);
        Graphics2D g = all.createGraphics();
        int y = 0;
        for (BufferedImage image : images) {
            g.drawImage(image, 0, y, null);
            y += image.getHeight();
        }
        g.dispose();
        try {
            ImageIO.write(all, "png", file.toFile());
        } catch (IOException e) {
            throw new LabException(LabException.Code.IO, "cannot write " + file + ": " + e.getMessage(), e);
        }
    }
}
