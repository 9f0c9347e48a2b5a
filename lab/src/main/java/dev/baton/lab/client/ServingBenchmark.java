package dev.baton.lab.client;

import dev.baton.lab.LabException;
import dev.baton.lab.workload.Arrivals;
import dev.baton.lab.workload.BenchPrompt;
import dev.baton.lab.workload.Vocabulary;
import java.io.PrintStream;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.concurrent.locks.LockSupport;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/**
 * {@code baton bench serving}: sends a seeded workload to a running server and measures it as SGLang's
 * {@code bench_serving} does, with two repairs: a request whose answer is not whole is lost, and the duration ends with
 * the last answer instead of after the profile has been written.
 */
public final class ServingBenchmark {
    private static final Duration CONTROL = Duration.ofSeconds(60);
    private static final int WARMUP_TOKENS = 32;

    private final ServingBenchmarkConfig config;
    private final PrintStream console;
    private final LongSupplier clock;

    private ServingBenchmark(ServingBenchmarkConfig config, PrintStream console, LongSupplier clock) {
        this.config = config;
        this.console = console;
        this.clock = clock;
    }

    /**
     * Runs the benchmark; progress and remarks go to the error stream, the record is appended to
     * {@code config.outputFile()} when that is set.
     *
     * @throws LabException SERVER, DATASET, WARMUP_FAILED, INVALID_CONFIG, or INTERRUPTED when the thread is interrupted
     */
    public static ServingResult run(ServingBenchmarkConfig config) {
        return run(config, System.err);
    }

    /** The same with another stream for progress and remarks. */
    public static ServingResult run(ServingBenchmarkConfig config, PrintStream console) {
        return new ServingBenchmark(config, console, System::nanoTime).measure(null);
    }

    /** The same with prompts made by the caller instead of a data set. */
    public static ServingResult run(ServingBenchmarkConfig config, List<BenchPrompt> prompts, PrintStream console) {
        return new ServingBenchmark(config, console, System::nanoTime).measure(prompts);
    }

    private ServingResult measure(@Nullable List<BenchPrompt> given) {
        URI target = config.target();
        try (ServerCalls calls = new ServerCalls();
                LoadClient client = new LoadClient(target, eventLoops(), clock)) {
            ServedModel model = ServedModel.of(config, target, calls, given == null);
            List<BenchPrompt> prompts = given != null ? given : Datasets.prompts(config, model.vocabulary());
            Payloads payloads = new Payloads(config, model.name());
            warmUp(client, payloads, prompts.getFirst());
            if (config.flushCache()) {
                ServerCalls.Reply reply = calls.post(target, "/flush_cache", null, CONTROL);
                if (!reply.ok()) {
                    console.println("Warning: /flush_cache answered " + reply.status() + ": "
                            + reply.body().strip());
                }
            }
            if (config.warmupRequests() > 0) {
                pause(config.warmupPauseSeconds());
            }
            Profiling profiling = new Profiling(config, target, calls, console);
            profiling.start();
            long start = clock.getAsLong();
            List<RequestOutcome> outcomes = drive(client, payloads, prompts);
            double duration = AnswerRecorder.seconds(clock.getAsLong() - start);
            profiling.stop();
            JsonNode info = calls.json(target, "/get_server_info", CONTROL);
            ServingResult result = new ServingResult(
                    config,
                    ServingMetrics.of(outcomes, duration, retokenized(outcomes, model.vocabulary())),
                    acceptLength(info),
                    info,
                    outcomes);
            report(result, prompts);
            return result;
        }
    }

    private static int eventLoops() {
        return Math.clamp(Runtime.getRuntime().availableProcessors() / 4, 1, 4);
    }

    private void warmUp(LoadClient client, Payloads payloads, BenchPrompt first) {
        int count = config.warmupRequests();
        if (count == 0) {
            return;
        }
        console.println("Starting warmup with " + count + " sequences...");
        BenchPrompt prompt = first.withOutputTokens(Math.min(first.outputTokens(), WARMUP_TOKENS));
        AtomicReferenceArray<RequestOutcome> outcomes = new AtomicReferenceArray<>(count);
        CountDownLatch left = new CountDownLatch(count);
        for (int i = 0; i < count; i++) {
            int index = i;
            send(client, payloads, prompt, i, outcome -> {
                outcomes.set(index, outcome);
                left.countDown();
            });
        }
        await(left);
        for (int i = 0; i < count; i++) {
            if (outcomes.get(i).success()) {
                console.println("Warmup completed with " + count + " sequences. Starting main benchmark run...");
                return;
            }
        }
        throw new LabException(
                LabException.Code.WARMUP_FAILED,
                "Warmup failed - Please make sure benchmark arguments are correctly specified. Error: "
                        + outcomes.get(0).error());
    }

    /** Sends every prompt when it is due and a place is free; returns when the last has ended. */
    private List<RequestOutcome> drive(LoadClient client, Payloads payloads, List<BenchPrompt> prompts) {
        int count = prompts.size();
        long[] due = Arrivals.poisson(count, config.requestRate(), config.seed());
        Integer limit = config.maxConcurrency();
        Semaphore places = new Semaphore(limit == null ? count : limit, true);
        CountDownLatch left = new CountDownLatch(count);
        RequestOutcome[] outcomes = new RequestOutcome[count];
        boolean terminal = System.console() != null && System.console().isTerminal() && console == System.err;
        try (ProgressBar bar = config.disableTqdm() ? null : new ProgressBar(console, "Requests", count, terminal)) {
            long start = clock.getAsLong();
            for (int i = 0; i < count; i++) {
                byte[] body = payloads.body(prompts.get(i));
                waitUntil(start + due[i]);
                acquire(places);
                int index = i;
                send(client, body, prompts.get(i), i, outcome -> {
                    outcomes[index] = outcome;
                    places.release();
                    if (bar != null) {
                        bar.step(outcome.success());
                    }
                    left.countDown();
                });
            }
            await(left);
        }
        return Arrays.asList(outcomes);
    }

    private void send(
            LoadClient client,
            Payloads payloads,
            BenchPrompt prompt,
            int index,
            java.util.function.Consumer<RequestOutcome> done) {
        send(client, payloads.body(prompt), prompt, index, done);
    }

    private void send(
            LoadClient client,
            byte[] body,
            BenchPrompt prompt,
            int index,
            java.util.function.Consumer<RequestOutcome> done) {
        AnswerRecorder recorder =
                AnswerRecorder.of(config.backend().form(), index, prompt.promptTokens(), prompt.outputTokens());
        client.send(config.backend().path(), body, recorder, (long) (config.requestTimeoutSeconds() * 1e9), done);
    }

    private void report(ServingResult result, List<BenchPrompt> prompts) {
        if (config.printRequests()) {
            for (RequestOutcome outcome : result.outcomes()) {
                BenchPrompt prompt = prompts.get(outcome.index());
                console.println("request " + outcome.index() + ": "
                        + (prompt.text() != null ? prompt.text() : Arrays.toString(prompt.inputIds())));
                console.println("answer " + outcome.index() + ": "
                        + (outcome.success() ? outcome.generatedText() : "LOST: " + outcome.error()));
            }
        }
        if (result.metrics().failed() > 0) {
            RequestOutcome lost = result.outcomes().stream()
                    .filter(outcome -> !outcome.success())
                    .findFirst()
                    .orElseThrow();
            console.println("Lost requests: " + result.metrics().failed() + " of " + prompts.size()
                    + "; the first, number " + lost.index() + ": " + lost.error());
        }
        if (config.outputFile() != null) {
            ServingRecord.append(Path.of(config.outputFile()), result.recordLine());
        }
    }

    /** Answer tokens by the client's tokenizer, or -1 without one. */
    private static long retokenized(List<RequestOutcome> outcomes, Vocabulary vocabulary) {
        if (vocabulary.codec() == null) {
            return -1;
        }
        long tokens = 0;
        for (RequestOutcome outcome : outcomes) {
            if (outcome.success()) {
                tokens += Objects.requireNonNull(vocabulary.codec()).encode(outcome.generatedText()).length;
            }
        }
        return tokens;
    }

    private @Nullable Double acceptLength(@Nullable JsonNode info) {
        if (info == null) {
            return null;
        }
        JsonNode states = config.pdSeparated()
                ? info.path("decode").path(0).path("internal_states")
                : info.path("internal_states");
        JsonNode length = states.path(0).path("avg_spec_accept_length");
        return length.isNumber() ? length.asDouble() : null;
    }

    private void waitUntil(long nanos) {
        for (long left; (left = nanos - clock.getAsLong()) > 0; ) {
            LockSupport.parkNanos(left);
            if (Thread.interrupted()) {
                throw interrupted(null);
            }
        }
    }

    private static void pause(double seconds) {
        try {
            Thread.sleep(Duration.ofNanos((long) (seconds * 1e9)));
        } catch (InterruptedException e) {
            throw interrupted(e);
        }
    }

    private static void acquire(Semaphore places) {
        try {
            places.acquire();
        } catch (InterruptedException e) {
            throw interrupted(e);
        }
    }

    /** Ends because every request has its time-out. */
    private static void await(CountDownLatch left) {
        try {
            left.await();
        } catch (InterruptedException e) {
            throw interrupted(e);
        }
    }

    private static LabException interrupted(@Nullable InterruptedException cause) {
        Thread.currentThread().interrupt();
        String message = "the benchmark was interrupted; open requests were dropped";
        return cause == null
                ? new LabException(LabException.Code.INTERRUPTED, message)
                : new LabException(LabException.Code.INTERRUPTED, message, cause);
    }
}
