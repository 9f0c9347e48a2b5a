package dev.baton.app;

import picocli.CommandLine;
import picocli.CommandLine.Command;

/** The {@code baton} command: one class a verb. */
@Command(
        name = "baton",
        mixinStandardHelpOptions = true,
        version = "baton 0.1.0",
        description = "Serves large language models and explains their performance.",
        subcommands = {LabCommand.class, CommandLine.HelpCommand.class})
public final class Baton implements Runnable {
    @CommandLine.Spec
    CommandLine.Model.CommandSpec spec;

    public static void main(String[] arguments) {
        System.exit(new CommandLine(new Baton())
                .setExecutionExceptionHandler(new Failures())
                .execute(arguments));
    }

    @Override
    public void run() {
        spec.commandLine().usage(System.out);
    }
}
