package dev.baton.app;

import dev.baton.model.template.TemplateCheck;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code baton check templates}: chat templates against what Python's jinja2 rendered. */
@Command(
        name = "templates",
        mixinStandardHelpOptions = true,
        description = "Renders every case of a folder (templates/, conversations.json, rendered.json) and compares."
                + " Exit status 1 when one differs.")
final class CheckTemplatesCommand implements Callable<Integer> {
    @Parameters(paramLabel = "DIR", description = "folder of templates, conversations and stored texts")
    Path folder = Path.of("");

    @Option(names = "--verbose", description = "print the cases that pass, too")
    boolean verbose;

    @Override
    public Integer call() {
        int[] passedAndFailed = new int[2];
        TemplateCheck.run(folder, outcome -> {
            passedAndFailed[outcome.fault() == null ? 0 : 1]++;
            if (outcome.fault() != null) {
                System.out.println("FAIL " + outcome.name() + ": " + outcome.fault());
            } else if (verbose) {
                System.out.println("ok   " + outcome.name());
            }
        });
        System.out.println(passedAndFailed[0] + " passed, " + passedAndFailed[1] + " failed");
        return passedAndFailed[1] == 0 ? 0 : 1;
    }
}
