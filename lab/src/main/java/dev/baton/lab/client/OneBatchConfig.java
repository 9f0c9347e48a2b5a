package dev.baton.lab.client;

import dev.baton.lab.LabException;
import java.net.URI;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The flags of {@code baton bench one-batch-server}; every combination of the three lists is one case.
 *
 * @param baseUrl the running server, {@code http://host:port}
 * @param runName name in the records
 * @param batchSizes requests of a batch
 * @param inputLens prompt lengths, tokens
 * @param outputLens answer lengths, tokens
 * @param temperature sampling temperature
 * @param returnLogprob asks for log-probabilities
 * @param clientStreamInterval tokens between frames
 * @param inputLenStepPercentage item i's prompt is longer than item i-1's by this share, around the middle one
 * @param skipWarmup no warm-up
 * @param showReport prints the table
 * @param profile a second, unmeasured pass with a profile
 * @param profileSteps steps to record
 * @param profileByStage a trace of prefill and one of decode
 * @param profilePrefix first part of the trace files' names
 * @param profileOutputDir where the server writes its traces
 * @param resultFilename JSON lines are appended here; empty writes none
 * @param seed of the prompts
 * @param tokenizer model directory that tells the vocabulary; null asks the server
 * @param vocabSize ids run from 0 to this; null asks the model directory
 * @param requestTimeoutSeconds a case that takes longer has failed
 */
public record OneBatchConfig(
        String baseUrl,
        String runName,
        List<Integer> batchSizes,
        List<Integer> inputLens,
        List<Integer> outputLens,
        double temperature,
        boolean returnLogprob,
        int clientStreamInterval,
        double inputLenStepPercentage,
        boolean skipWarmup,
        boolean showReport,
        boolean profile,
        int profileSteps,
        boolean profileByStage,
        @Nullable String profilePrefix,
        @Nullable String profileOutputDir,
        String resultFilename,
        long seed,
        @Nullable String tokenizer,
        @Nullable Integer vocabSize,
        double requestTimeoutSeconds) {
    public OneBatchConfig {
        batchSizes = positive("--batch-size", batchSizes);
        inputLens = positive("--input-len", inputLens);
        outputLens = positive("--output-len", outputLens);
        if (baseUrl.isEmpty()) {
            throw new LabException(
                    LabException.Code.INVALID_CONFIG,
                    "--base-url is missing; start a server (baton serve) and name it, for example http://127.0.0.1:30000");
        }
        if (!(requestTimeoutSeconds > 0) || clientStreamInterval < 1 || profileSteps < 1 || temperature < 0) {
            throw new LabException(
                    LabException.Code.INVALID_CONFIG,
                    "--request-timeout-seconds, --client-stream-interval and --profile-steps must be above 0,"
                            + " --temperature 0 or more");
        }
    }

    private static List<Integer> positive(String flag, List<Integer> values) {
        for (int value : values) {
            if (value < 1) {
                throw new LabException(
                        LabException.Code.INVALID_CONFIG, flag + " is " + value + "; give numbers of 1 or more");
            }
        }
        return List.copyOf(values);
    }

    /** SGLang's defaults for this server. */
    public static OneBatchConfig defaults(String baseUrl) {
        return new OneBatchConfig(
                baseUrl,
                "default",
                List.of(1),
                List.of(1024),
                List.of(16),
                0,
                false,
                1,
                0,
                false,
                false,
                false,
                5,
                false,
                null,
                null,
                "result.jsonl",
                42,
                null,
                null,
                21_600);
    }

    URI target() {
        return ServerCalls.uri(baseUrl);
    }
}
