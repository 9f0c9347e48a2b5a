package dev.baton.app;

import dev.baton.lab.client.OneBatchConfig;
import dev.baton.lab.client.OneBatchResult;
import dev.baton.lab.client.OneBatchServerBenchmark;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code baton bench one-batch-server}. */
@Command(
        name = "one-batch-server",
        aliases = "one_batch_server",
        description = "Measures whole batches, one request each, against a running server.",
        mixinStandardHelpOptions = true,
        showDefaultValues = true,
        sortOptions = false)
final class BenchOneBatchServerCommand implements Callable<Integer> {
    @Option(names = "--base-url", paramLabel = "URL", description = "the server, http://host:port")
    String baseUrl = "";

    @Option(
            names = {"--model", "--model-path"},
            hidden = true,
            description = "accepted; the server is already running")
    @Nullable
    String model;

    @Option(names = "--run-name", description = "name in the records")
    String runName = "default";

    @Option(names = "--batch-size", arity = "1..*", description = "requests of a batch")
    List<Integer> batchSize = List.of(1);

    @Option(names = "--input-len", arity = "1..*", description = "prompt tokens")
    List<Integer> inputLen = List.of(1024);

    @Option(names = "--output-len", arity = "1..*", description = "answer tokens")
    List<Integer> outputLen = List.of(16);

    @Option(names = "--temperature", description = "sampling temperature")
    double temperature;

    @Option(names = "--return-logprob", description = "ask for log-probabilities")
    boolean returnLogprob;

    @Option(names = "--client-stream-interval", description = "tokens between frames")
    int clientStreamInterval = 1;

    @Option(names = "--input-len-step-percentage", description = "growth of the prompts over a batch")
    double inputLenStepPercentage;

    @Option(names = "--skip-warmup", description = "no warm-up")
    boolean skipWarmup;

    @Option(names = "--show-report", description = "print the table (printed in any case)")
    boolean showReport;

    @Option(names = "--profile", description = "a second pass with a profile")
    boolean profile;

    @Option(names = "--profile-steps", description = "steps to record")
    int profileSteps = 5;

    @Option(names = "--profile-by-stage", description = "a trace of prefill and one of decode")
    boolean profileByStage;

    @Option(names = "--profile-prefix", description = "first part of the trace files' names")
    @Nullable
    String profilePrefix;

    @Option(names = "--profile-output-dir", description = "where the server writes its traces")
    @Nullable
    String profileOutputDir;

    @Option(names = "--result-filename", description = "JSON lines are appended here")
    String resultFilename = "result.jsonl";

    @Option(names = "--no-append-to-github-summary", hidden = true, description = "accepted; there is none")
    boolean noSummary;

    @Option(names = "--seed", description = "of the prompts")
    long seed = 42;

    @Option(names = "--tokenizer", paramLabel = "DIR", description = "model directory that tells the vocabulary")
    @Nullable
    String tokenizer;

    @Option(names = "--vocab-size", description = "ids run from 0 to this")
    @Nullable
    Integer vocabSize;

    @Option(names = "--request-timeout-seconds", description = "a case that takes longer has failed")
    double requestTimeoutSeconds = 21_600;

    @Override
    public Integer call() {
        List<OneBatchResult> results = OneBatchServerBenchmark.run(
                new OneBatchConfig(
                        baseUrl,
                        runName,
                        batchSize,
                        inputLen,
                        outputLen,
                        temperature,
                        returnLogprob,
                        clientStreamInterval,
                        inputLenStepPercentage,
                        skipWarmup,
                        showReport,
                        profile,
                        profileSteps,
                        profileByStage,
                        profilePrefix,
                        profileOutputDir,
                        resultFilename,
                        seed,
                        tokenizer,
                        vocabSize,
                        requestTimeoutSeconds),
                System.err);
        System.out.print(OneBatchServerBenchmark.report(results));
        return results.isEmpty() ? 1 : 0;
    }
}
