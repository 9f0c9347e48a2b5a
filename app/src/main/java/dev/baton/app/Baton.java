package dev.baton.app;

import picocli.CommandLine;
import picocli.CommandLine.Command;

/** The {@code baton} command: one class a verb. */
@Command(
        name = "baton",
        mixinStandardHelpOptions = true,
        version = "baton " + Baton.VERSION,
        description = "Serves large language models and explains their performance.",
        subcommands = {
            ServeCommand.class,
            RouteCommand.class,
            BenchCommand.class,
            LabCommand.class,
            EvalCommand.class,
            TraceCommand.class,
            LogCommand.class,
            ThroughputCommand.class,
            ExpertsCommand.class,
            CheckCommand.class,
            ProfileCommand.class,
            CommandLine.HelpCommand.class
        })
public final class Baton implements Runnable {
    static final String VERSION = "0.1.0";

    @CommandLine.Spec
    CommandLine.Model.CommandSpec spec;

    public static void main(String[] arguments) {
        System.exit(execute(arguments));
    }

    /** Runs a command; its exit status. */
    static int execute(String... arguments) {
        return new CommandLine(new Baton())
                .setExecutionExceptionHandler(new Failures())
                .execute(arguments);
    }

    @Override
    public void run() {
        spec.commandLine().usage(System.out);
    }
}
