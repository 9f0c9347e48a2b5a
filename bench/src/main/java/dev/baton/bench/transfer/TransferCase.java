package dev.baton.bench.transfer;

import dev.baton.engine.disagg.transfer.HeadShare;
import dev.baton.engine.disagg.transfer.KvLayout;
import dev.baton.engine.disagg.transfer.TransferBackend;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;

/**
 * One thing to measure; travels to the prefill process as words.
 *
 * @param scattered pages in random order instead of one run
 */
record TransferCase(TransferBackend backend, Shape shape, int page, boolean scattered) {
    /** Layers, buffers a layer, bytes a token and buffer. */
    enum Shape {
        /** Qwen2.5-3B: 2 key/value heads of 128 in bf16. */
        GROUPED(36, 2, 512),
        /** DeepSeek-V3: a latent of 576 in bf16. */
        LATENT(61, 1, 1152);

        private final int layers;
        private final int perLayer;
        private final int tokenBytes;

        Shape(int layers, int perLayer, int tokenBytes) {
            this.layers = layers;
            this.perLayer = perLayer;
            this.tokenBytes = tokenBytes;
        }
    }

    /** How many {@link #words} there are. */
    static final int WORDS = 4;

    List<String> words() {
        return List.of(backend.name(), shape.name(), Integer.toString(page), Boolean.toString(scattered));
    }

    static TransferCase of(List<String> words) {
        return new TransferCase(
                TransferBackend.valueOf(words.get(0)),
                Shape.valueOf(words.get(1)),
                Integer.parseInt(words.get(2)),
                Boolean.parseBoolean(words.get(3)));
    }

    KvLayout layout() {
        return KvLayout.uniform(
                shape.name().toLowerCase(Locale.ROOT),
                shape.layers,
                shape.perLayer,
                page,
                HeadShare.whole(1),
                "BF16",
                shape.tokenBytes);
    }

    /** Pages 1 to {@code pages}, in order or not. */
    int[] pageNumbers(int pages, long seed) {
        int[] numbers = new int[pages];
        for (int i = 0; i < pages; i++) {
            numbers[i] = i + 1;
        }
        SplittableRandom random = new SplittableRandom(seed);
        for (int i = pages - 1; scattered && i > 0; i--) {
            int j = random.nextInt(i + 1);
            int swapped = numbers[i];
            numbers[i] = numbers[j];
            numbers[j] = swapped;
        }
        return numbers;
    }

    /** The first columns of a line of results. */
    String columns() {
        return String.format(
                Locale.ROOT, "%-8s %-8s %4d %-9s", backend, shape, page, scattered ? "scattered" : "one run");
    }
}
