package dev.baton.app;

import dev.baton.engine.EngineException;
import dev.baton.lab.evaluate.Evaluation;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * The same questions to one model in many layouts: how many are answered right in each, and how many word for word as in
 * the first.
 */
final class EvalLayouts {
    private EvalLayouts() {}

    /** Asks all questions of a model that is started with some launch flags. */
    @FunctionalInterface
    interface Asking {
        Evaluation.Report ask(List<String> flags) throws Exception;
    }

    /**
     * The layouts of a file: launch flags, a line each; what follows {@code #} is a comment, an empty line of flags is
     * written {@code -}.
     *
     * @throws EngineException CONFIGURATION naming the file
     */
    static List<List<String>> read(Path file) {
        List<List<String>> layouts = new ArrayList<>();
        try {
            for (String line : Files.readAllLines(file)) {
                String flags = line.replaceFirst("#.*", "").strip();
                if (!flags.isEmpty()) {
                    layouts.add(flags.equals("-") ? List.of() : List.of(flags.split("\\s+")));
                }
            }
        } catch (IOException e) {
            throw new EngineException(
                    EngineException.Code.CONFIGURATION, "--layouts: cannot read " + file + ": " + e.getMessage(), e);
        }
        if (layouts.isEmpty()) {
            throw new EngineException(
                    EngineException.Code.CONFIGURATION,
                    "--layouts: " + file + " names no layout; write launch flags, a line each, or - for none");
        }
        return layouts;
    }

    /**
     * Prints a row of a Markdown table for each layout as it is done.
     *
     * @return the lowest share of right answers
     */
    static double run(List<List<String>> layouts, Asking asking, PrintStream out) throws Exception {
        out.println("| layout | asked | right | as in the first | failed | seconds |");
        out.println("|---|---|---|---|---|---|");
        Evaluation.Report first = null;
        double worst = 1;
        for (List<String> flags : layouts) {
            long start = System.nanoTime();
            Evaluation.Report report = asking.ask(flags);
            first = first == null ? report : first;
            Evaluation.Score score = report.total();
            worst = Math.min(worst, score.accuracy());
            out.printf(
                    Locale.ROOT,
                    "| %s | %d | %d | %d | %d | %.0f |%n",
                    flags.isEmpty() ? "one rank" : "`" + String.join(" ", flags) + "`",
                    score.asked(),
                    score.right(),
                    same(first, report),
                    score.failed(),
                    (System.nanoTime() - start) / 1e9);
        }
        return worst;
    }

    private static int same(Evaluation.Report one, Evaluation.Report other) {
        int same = 0;
        for (int i = 0; i < one.outcomes().size(); i++) {
            Evaluation.Outcome a = one.outcomes().get(i);
            Evaluation.Outcome b = other.outcomes().get(i);
            same += a.answered() && b.answered() && a.text().equals(b.text()) ? 1 : 0;
        }
        return same;
    }
}
