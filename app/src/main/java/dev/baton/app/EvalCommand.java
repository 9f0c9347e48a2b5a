package dev.baton.app;

import dev.baton.engine.EngineException;
import dev.baton.lab.evaluate.EvalPrompt;
import dev.baton.lab.evaluate.Evaluation;
import dev.baton.lab.evaluate.HttpAnswerer;
import dev.baton.protocol.flag.ServerArgs;
import java.net.URI;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code baton eval}: how many questions with known answers a model gets right. */
@Command(
        name = "eval",
        mixinStandardHelpOptions = true,
        description = "Counts right answers per domain, of a model directory or a server.")
final class EvalCommand implements Callable<Integer> {
    @Parameters(paramLabel = "DIR|URL", description = "a model directory (answered in this process) or a server")
    String target;

    @Option(
            names = "--file",
            paramLabel = "FILE",
            description = "questions (default: eval.jsonl of the directory, or of models/baton-nano)")
    @Nullable
    Path file;

    @Option(names = "--prompts", description = "how many, spread over the domains (default: all)")
    int prompts = Integer.MAX_VALUE;

    @Option(names = "--concurrency", description = "asked at once (default: ${DEFAULT-VALUE})")
    int concurrency = 16;

    @Option(names = "--show-wrong", description = "print each wrong answer")
    boolean showWrong;

    @Option(names = "--at-least", description = "exit 1 when the accuracy is below this share (0 to 1)")
    double atLeast;

    @Option(names = "--flags", arity = "1..*", description = "launch flags for a directory, e.g. --flags=--tp-size=2")
    List<String> flags = new ArrayList<>();

    @Option(
            names = "--layouts",
            paramLabel = "FILE",
            description =
                    "launch flags, a line each (- for none): asks a directory's model in each of these layouts and"
                            + " compares the answers with the first one's")
    @Nullable
    Path layouts;

    @Override
    public Integer call() throws Exception {
        boolean isUrl = target.startsWith("http://") || target.startsWith("https://");
        Path questions = file != null
                ? file
                : (isUrl ? ProjectRoot.find().resolve("models/baton-nano") : Path.of(target)).resolve("eval.jsonl");
        List<EvalPrompt> chosen = EvalPrompt.spread(EvalPrompt.read(questions), prompts);
        if (layouts != null) {
            if (isUrl) {
                throw new EngineException(
                        EngineException.Code.CONFIGURATION,
                        "--layouts starts the model itself: give a model directory, not " + target);
            }
            double worst = EvalLayouts.run(EvalLayouts.read(layouts), words -> askHere(chosen, words), System.out);
            return worst < atLeast ? 1 : 0;
        }
        Evaluation.Report report = isUrl ? ask(chosen, URI.create(target)) : askHere(chosen, List.of());
        System.out.print(report.table());
        if (showWrong) {
            report.outcomes().stream()
                    .filter(o -> !o.isRight())
                    .forEach(o -> System.out.println(
                            o.prompt().id() + " [" + o.prompt().domain() + "] expected "
                                    + quoted(o.prompt().answer()) + ", got " + quoted(o.text())));
        }
        return report.total().accuracy() < atLeast ? 1 : 0;
    }

    private static String quoted(String text) {
        return '"' + text.replace("\n", "\\n") + '"';
    }

    private Evaluation.Report ask(List<EvalPrompt> chosen, URI server) throws InterruptedException {
        try (HttpAnswerer answerer = new HttpAnswerer(server)) {
            return Evaluation.run(chosen, answerer, concurrency, this::progress);
        }
    }

    private Evaluation.Report askHere(List<EvalPrompt> chosen, List<String> layout) throws InterruptedException {
        List<String> words = new ArrayList<>(List.of("--model-path", target));
        words.addAll(flags);
        words.addAll(layout);
        LogLevels.apply("warning");
        Path folder = Path.of(target);
        try (EngineAssembly assembly = EngineAssembly.start(ServerArgs.parse(words), EngineAssembly.RoleWiring.NONE)) {
            TokenizerCodec codec = new TokenizerCodec(assembly.tokenizer(), ChatTemplates.find(folder, null));
            return Evaluation.run(chosen, new EngineAnswerer(assembly.engine(), codec), concurrency, this::progress);
        }
    }

    private void progress(int answered) {
        if (System.console() != null) {
            System.err.print("\r" + answered + " answered ");
        }
    }
}
