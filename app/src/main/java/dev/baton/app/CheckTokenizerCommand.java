package dev.baton.app;

import dev.baton.model.tokenizer.VocabularyCheck;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** {@code baton check tokenizer}: token ids against stored ones and the Hugging Face library's. */
@Command(
        name = "tokenizer",
        mixinStandardHelpOptions = true,
        description = "Encodes and decodes stored and generated text with every vocabulary of a folder (*.gguf.gz with"
                + " .inp and .out, or a model's tokenizer.json) and compares. Exit status 1 when something differs.")
final class CheckTokenizerCommand implements Callable<Integer> {
    private static final int SHOWN = 3;

    @Parameters(paramLabel = "DIR", description = "folder of vocabularies, or a model's")
    Path folder = Path.of("");

    @Override
    public Integer call() {
        int[] passedAndFailed = new int[2];
        VocabularyCheck.run(folder, outcome -> {
            boolean passed = outcome.faults().isEmpty();
            passedAndFailed[passed ? 0 : 1]++;
            System.out.println((passed ? "ok   " : "FAIL ") + outcome.name() + ": " + outcome.checks()
                    + " comparisons, " + outcome.faults().size() + " differences (encoder: " + outcome.encoder() + ")");
            outcome.faults().stream().limit(SHOWN).forEach(fault -> System.out.println("     " + fault));
        });
        System.out.println(passedAndFailed[0] + " passed, " + passedAndFailed[1] + " failed");
        return passedAndFailed[1] == 0 ? 0 : 1;
    }
}
