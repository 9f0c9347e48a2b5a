package dev.baton.trace.expert;

import dev.baton.trace.TraceException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.ObjectWriteContext;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Files with expert counts: {@code logical_count} as JSON or in a recorder's {@code .pt}; and files with placements. */
public final class ExpertFile {
    private ExpertFile() {}

    /**
     * Reads counts from a file: {@code logical_count} of [layers][experts] or [steps][layers][experts], or a recorder's
     * records per pass.
     *
     * @throws TraceException IO or MALFORMED naming the file and what is missing
     */
    public static ExpertCounts read(Path file) {
        String name = String.valueOf(file.getFileName());
        return name.endsWith(".json") ? json(file, name) : torch(file, name);
    }

    private static ExpertCounts json(Path file, String name) {
        try {
            JsonNode counts = JsonMapper.shared().readTree(file.toFile()).path("logical_count");
            if (!counts.isArray()
                    || counts.isEmpty()
                    || !counts.get(0).isArray()
                    || counts.get(0).isEmpty()) {
                throw malformed(file, "has no logical_count of [layers][experts]", new IllegalArgumentException(name));
            }
            boolean hasSteps = counts.get(0).get(0).isArray();
            JsonNode first = hasSteps ? counts.get(0) : counts;
            int steps = hasSteps ? counts.size() : 1;
            double[] values = new double[steps * first.size() * first.get(0).size()];
            int at = 0;
            for (JsonNode step : hasSteps ? counts : List.of(counts)) {
                for (JsonNode layer : step) {
                    for (JsonNode value : layer) {
                        values[at++] = value.asDouble();
                    }
                }
            }
            int[] shape = {steps, first.size(), first.get(0).size()};
            if (at != values.length) {
                throw malformed(file, "has layers of different lengths", new IllegalArgumentException(name));
            }
            return summed(name, shape, values);
        } catch (JacksonException | IndexOutOfBoundsException e) {
            throw malformed(file, "is no JSON with logical_count", e);
        }
    }

    private static ExpertCounts torch(Path file, String name) {
        Object content = TorchFile.read(file);
        if (content instanceof Map<?, ?> map) {
            if (map.get("logical_count") instanceof TorchFile.Tensor tensor) {
                int[] shape = tensor.shape();
                if (shape.length == 2) {
                    return summed(name, new int[] {1, shape[0], shape[1]}, tensor.values());
                }
                if (shape.length == 3) {
                    return summed(name, shape, tensor.values());
                }
            }
            ExpertCounts perPass = perPass(map, name);
            if (perPass != null) {
                return perPass;
            }
        }
        throw malformed(
                file,
                "holds neither logical_count [layers][experts] nor records with global_physical_count",
                new IllegalArgumentException(name));
    }

    /** Records of single passes count physical slots; the last placement says which expert each slot held. */
    private static @Nullable ExpertCounts perPass(Map<?, ?> map, String name) {
        if (!(map.get("records") instanceof List<?> records)
                || !(map.get("last_physical_to_logical_map") instanceof TorchFile.Tensor placement)
                || placement.shape().length != 2) {
            return null;
        }
        int layers = placement.shape()[0];
        int slots = placement.shape()[1];
        int experts = 1 + (int) Arrays.stream(placement.values()).max().orElse(-1);
        double[][] counts = new double[layers][experts];
        int passes = 0;
        for (Object record : records) {
            if (record instanceof Map<?, ?> pass
                    && pass.get("global_physical_count") instanceof TorchFile.Tensor physical
                    && physical.values().length == layers * slots) {
                for (int i = 0; i < physical.values().length; i++) {
                    counts[i / slots][(int) placement.values()[i]] += physical.values()[i];
                }
                passes++;
            }
        }
        return passes == 0 ? null : new ExpertCounts(name, counts, passes);
    }

    private static ExpertCounts summed(String name, int[] shape, double[] values) {
        double[][] counts = new double[shape[1]][shape[2]];
        for (int i = 0; i < values.length; i++) {
            counts[i / shape[2] % shape[1]][i % shape[2]] += values[i];
        }
        return new ExpertCounts(name, counts, shape[0]);
    }

    private static TraceException malformed(Path file, String what, Exception cause) {
        return new TraceException(TraceException.Code.MALFORMED, file + " " + what, cause);
    }

    /**
     * Writes a placement as SGLang's {@code --init-expert-location FILE.json} and Baton's take it:
     * {@code physical_to_logical_map}.
     *
     * @throws TraceException IO naming the file
     */
    public static void write(Placement placement, Path file) {
        try (JsonGenerator g =
                new JsonFactory().createGenerator(ObjectWriteContext.empty(), Files.newOutputStream(file))) {
            g.writeStartObject();
            g.writeArrayPropertyStart("physical_to_logical_map");
            for (int[] layer : placement.physicalToLogical()) {
                g.writeArray(layer, 0, layer.length);
            }
            g.writeEndArray();
            g.writeEndObject();
        } catch (IOException e) {
            throw new TraceException(TraceException.Code.IO, "cannot write " + file + ": " + e.getMessage(), e);
        }
    }
}
