package dev.baton.app;

import picocli.CommandLine;
import picocli.CommandLine.Command;

/** {@code baton check}: holds what is here against what the reference implementation made. */
@Command(
        name = "check",
        mixinStandardHelpOptions = true,
        description = "Compares models, chat templates and tokenizers with the reference's stored output.",
        subcommands = {CheckGoldenCommand.class, CheckTemplatesCommand.class, CheckTokenizerCommand.class})
final class CheckCommand implements Runnable {
    @CommandLine.Spec
    CommandLine.Model.CommandSpec spec;

    @Override
    public void run() {
        spec.commandLine().usage(System.out);
    }
}
