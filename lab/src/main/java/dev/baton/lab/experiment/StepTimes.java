package dev.baton.lab.experiment;

import dev.baton.lab.LabException;
import dev.baton.lab.experiment.Experiment.Stage;
import dev.baton.lab.report.Summary;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.GZIPInputStream;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.json.JsonFactory;

/**
 * The steps of one rank's trace: annotations {@code step[DECODE bs=N]} or {@code step[EXTEND bs=N toks=T]} with their
 * durations, as SGLang (from v0.5.12) and Baton write them.
 */
public final class StepTimes {
    private static final Pattern DECODE = Pattern.compile("step\\[DECODE bs=(\\d+)]");
    private static final Pattern EXTEND = Pattern.compile("step\\[EXTEND bs=\\d+ toks=(\\d+)]");
    private static final Pattern RANK = Pattern.compile("TP-\\d+(?:-DP-\\d+)?(?:-PP-\\d+)?(?:-EP-\\d+)?");

    private static final double UNSTEADY = 2;

    private StepTimes() {}

    /**
     * @param batch tokens of each step, in decode one a sequence (the largest when they differ)
     * @param stepMs durations of the steps with that batch, in file order
     */
    record Steps(int batch, double[] stepMs) {}

    /** The steps of a rank; null when the trace has none of the stage. */
    static @Nullable Steps read(Path trace, Stage stage) {
        Pattern name = stage == Stage.DECODE ? DECODE : EXTEND;
        List<double[]> steps = new ArrayList<>();
        try (InputStream in = new GZIPInputStream(new BufferedInputStream(Files.newInputStream(trace)));
                JsonParser p = new JsonFactory().createParser(ObjectReadContext.empty(), in)) {
            p.nextToken();
            while (p.nextToken() == JsonToken.PROPERTY_NAME) {
                boolean isEvents = p.currentName().equals("traceEvents");
                p.nextToken();
                if (!isEvents) {
                    p.skipChildren();
                    continue;
                }
                while (p.nextToken() == JsonToken.START_OBJECT) {
                    event(p, name, steps);
                }
            }
        } catch (IOException e) {
            throw new LabException(LabException.Code.IO, "cannot read the trace " + trace + ": " + e.getMessage(), e);
        }
        int batch = steps.stream().mapToInt(s -> (int) s[0]).max().orElse(0);
        double[] times = steps.stream()
                .filter(s -> (int) s[0] == batch)
                .mapToDouble(s -> s[1] / 1000)
                .toArray();
        return times.length == 0 ? null : new Steps(batch, times);
    }

    /** Whether a trace's full-batch steps are of about one length: none twice as long as the median. */
    static boolean isSteady(Path trace, Stage stage) {
        Steps steps = read(trace, stage);
        if (steps == null) {
            return false;
        }
        double median = Summary.Spread.of(steps.stepMs()).median();
        return Arrays.stream(steps.stepMs()).allMatch(ms -> ms <= UNSTEADY * median);
    }

    private static void event(JsonParser p, Pattern step, List<double[]> steps) {
        int batch = -1;
        double micros = -1;
        boolean isAnnotation = false;
        while (p.nextToken() == JsonToken.PROPERTY_NAME) {
            String key = p.currentName();
            p.nextToken();
            switch (key) {
                case "name" -> {
                    Matcher matcher = step.matcher(p.getValueAsString(""));
                    batch = matcher.matches() ? Integer.parseInt(matcher.group(1)) : -1;
                }
                case "dur" -> micros = p.getDoubleValue();
                case "cat" -> isAnnotation = "user_annotation".equals(p.getValueAsString());
                default -> p.skipChildren();
            }
        }
        if (batch > 0 && micros >= 0 && isAnnotation) {
            steps.add(new double[] {batch, micros});
        }
    }

    /** Batch over median step time of one rank; null when the trace has no step of the stage. */
    static Summary.@Nullable RankSteps of(
            int repeat, String server, Path trace, Stage stage, @Nullable Double logTokensPerSecond) {
        Steps steps = read(trace, stage);
        if (steps == null) {
            return null;
        }
        Matcher rank = RANK.matcher(trace.getFileName().toString());
        double median = Summary.Spread.of(steps.stepMs()).median();
        return new Summary.RankSteps(
                repeat,
                server,
                rank.find() ? rank.group() : "TP-0",
                steps.batch(),
                steps.stepMs(),
                median,
                1000 * steps.batch() / median,
                logTokensPerSecond);
    }
}
