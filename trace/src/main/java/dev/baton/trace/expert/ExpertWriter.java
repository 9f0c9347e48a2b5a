package dev.baton.trace.expert;

import dev.baton.trace.TraceException;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.ObjectWriteContext;
import tools.jackson.core.json.JsonFactory;

/** Writes placements and recordings as JSON, with the keys that SGLang's files have; {@link ExpertFile} reads them. */
public final class ExpertWriter {
    private ExpertWriter() {}

    /**
     * One recorded pass of one rank.
     *
     * @param pass counts the rank's forward passes
     * @param physical [layer][slot] tokens that this rank sent to each slot
     * @param tokens what single tokens did; null where only counts were recorded
     */
    public record Pass(
            long pass, int[][] physical, @Nullable Tokens tokens) {}

    /**
     * The tokens of one pass.
     *
     * @param inputIds [T], -1 for a token that was not known when the step was planned
     * @param positions [T]
     * @param extendLengths new tokens of each sequence
     * @param mode {@code EXTEND} or {@code DECODE}
     * @param chosen [layer][tokens of the layer][topK] logical experts; a layer without experts has none
     */
    public record Tokens(int[] inputIds, int[] positions, int[] extendLengths, String mode, int[][][] chosen) {}

    /** What is written inside the file's braces. */
    private interface Body {
        void write(JsonGenerator g);
    }

    /**
     * Writes a placement as SGLang's {@code --init-expert-location FILE.json} and Baton's take it:
     * {@code physical_to_logical_map}.
     *
     * @throws TraceException IO naming the file
     */
    public static void placement(Placement placement, Path file) {
        write(file, g -> {
            g.writeName("physical_to_logical_map");
            matrix(g, placement.physicalToLogical());
        });
    }

    /**
     * Writes counts: {@code logical_count} [passes][layers][experts] and, Baton's own, {@code rank_load} [layers][ranks].
     *
     * @param rankLoads tokens that each rank of the expert-parallel group computed in all passes together
     * @param utilisation mean balancedness of the passes; null when it was not measured
     * @throws TraceException IO naming the file
     */
    public static void counts(Path file, List<int[][]> passes, double[][] rankLoads, @Nullable Double utilisation) {
        write(file, g -> {
            g.writeNumberProperty("rank", 0);
            g.writeArrayPropertyStart("logical_count");
            for (int[][] pass : passes) {
                matrix(g, pass);
            }
            g.writeEndArray();
            g.writeArrayPropertyStart("rank_load");
            for (double[] layer : rankLoads) {
                g.writeArray(layer, 0, layer.length);
            }
            g.writeEndArray();
            if (utilisation == null) {
                g.writeNullProperty("average_utilization_rate_over_window");
            } else {
                g.writeNumberProperty("average_utilization_rate_over_window", utilisation);
            }
        });
    }

    /**
     * Writes the passes of one rank: {@code records} and {@code last_physical_to_logical_map}.
     *
     * @throws TraceException IO naming the file
     */
    public static void passes(Path file, int rank, List<Pass> passes, int[][] physicalToLogical) {
        write(file, g -> {
            g.writeArrayPropertyStart("records");
            for (Pass pass : passes) {
                g.writeStartObject();
                g.writeNumberProperty("forward_pass_id", pass.pass());
                g.writeNumberProperty("rank", rank);
                g.writeStringProperty("gatherer_key", "primary");
                g.writeName("global_physical_count");
                matrix(g, pass.physical());
                if (pass.tokens() != null) {
                    tokens(g, pass.tokens());
                }
                g.writeEndObject();
            }
            g.writeEndArray();
            g.writeName("last_physical_to_logical_map");
            matrix(g, physicalToLogical);
        });
    }

    private static void tokens(JsonGenerator g, Tokens tokens) {
        g.writeStringProperty("forward_mode", tokens.mode());
        row(g, "input_ids", tokens.inputIds());
        row(g, "positions", tokens.positions());
        row(g, "extend_seq_lens", tokens.extendLengths());
        g.writeArrayPropertyStart("topk_ids_of_layer");
        for (int[][] layer : tokens.chosen()) {
            matrix(g, layer);
        }
        g.writeEndArray();
    }

    private static void row(JsonGenerator g, String name, int[] values) {
        g.writeName(name);
        g.writeArray(values, 0, values.length);
    }

    private static void matrix(JsonGenerator g, int[][] rows) {
        g.writeStartArray();
        for (int[] row : rows) {
            g.writeArray(row, 0, row.length);
        }
        g.writeEndArray();
    }

    private static void write(Path file, Body body) {
        try {
            Path folder = file.toAbsolutePath().getParent();
            if (folder != null) {
                Files.createDirectories(folder);
            }
            try (JsonGenerator g = new JsonFactory()
                    .createGenerator(
                            ObjectWriteContext.empty(),
                            new BufferedOutputStream(Files.newOutputStream(file), 1 << 16))) {
                g.writeStartObject();
                body.write(g);
                g.writeEndObject();
            }
        } catch (IOException | JacksonException e) {
            throw new TraceException(TraceException.Code.IO, "cannot write " + file + ": " + e.getMessage(), e);
        }
    }
}
