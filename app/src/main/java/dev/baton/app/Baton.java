package dev.baton.app;

import java.util.List;
import picocli.CommandLine;
import picocli.CommandLine.Command;

/** The {@code baton} command: one class a verb. */
@Command(
        name = "baton",
        mixinStandardHelpOptions = true,
        version = "baton " + Baton.VERSION,
        description = "Serves large language models and explains their performance.",
        subcommands = CommandLine.HelpCommand.class)
public final class Baton implements Runnable {
    private static final List<Class<?>> VERBS = List.of(
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
            ProfileCommand.class);

    static final String VERSION = "0.1.0";

    @CommandLine.Spec
    CommandLine.Model.CommandSpec spec;

    public static void main(String[] arguments) {
        if (Boolean.getBoolean("baton.training")) {
            Training.run();
            return;
        }
        System.exit(execute(arguments));
    }

    /** Runs a command; its exit status. */
    static int execute(String... arguments) {
        CommandLine command = new CommandLine(new Baton());
        verbs(arguments).forEach(command::addSubcommand);
        return command.setExecutionExceptionHandler(new Failures()).execute(arguments);
    }

    /** The verb that is called, else all of them: reading the options of all costs more than many a verb's own work. */
    private static List<Class<?>> verbs(String... arguments) {
        String word = arguments.length > 0 ? arguments[0] : "";
        List<Class<?>> called = VERBS.stream()
                .filter(v -> {
                    Command command = v.getAnnotation(Command.class);
                    return command.name().equals(word)
                            || List.of(command.aliases()).contains(word);
                })
                .toList();
        return called.isEmpty() ? VERBS : called;
    }

    @Override
    public void run() {
        spec.commandLine().usage(System.out);
    }
}
