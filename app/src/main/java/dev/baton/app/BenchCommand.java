package dev.baton.app;

import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** {@code baton bench}: the benchmarks. */
@Command(
        name = "bench",
        description = "Measures a running server, or a device.",
        mixinStandardHelpOptions = true,
        subcommands = {
            BenchServingCommand.class,
            BenchOneBatchServerCommand.class,
            BenchOneBatchCommand.class,
            CommandLine.HelpCommand.class
        })
final class BenchCommand implements Runnable {
    @Spec
    CommandSpec spec;

    @Override
    public void run() {
        spec.commandLine().usage(System.out);
    }
}
