package dev.baton.engine.grammar;

import dev.baton.engine.EngineException;
import dev.baton.protocol.GrammarSpec;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Compiles grammars on a few threads of its own, each within a deadline, and keeps the ones used last. Requests that ask for
 * one grammar at the same time share one compilation. Safe for several threads.
 */
public final class GrammarCompiler implements AutoCloseable {
    /** How long a grammar may take: a server's clients wait no longer for an answer to begin. */
    public static final Duration DEFAULT_LIMIT = Duration.ofSeconds(30);

    private static final int THREADS = 2;
    private static final int QUEUE = 64;
    private static final int KEPT = 128;
    /** Masks worked out before the first token. */
    private static final Duration PREPARE = Duration.ofMillis(200);
    /** Masks worked out beside the first tokens; what then is left follows when a state is met. */
    private static final Duration PREPARE_BESIDE = Duration.ofSeconds(2);
    /** Nested schemas are nested calls. */
    private static final long STACK_BYTES = 64L << 20;

    private final Supplier<GrammarVocabulary> vocabularySource;
    private final Duration limit;
    private final ThreadPoolExecutor pool;
    private @Nullable GrammarVocabulary vocabulary;

    /** In the order of their last use. */
    private final Map<GrammarSpec, CompletableFuture<Grammar>> kept = new LinkedHashMap<>(16, 0.75f, true) {
        @Override
        protected boolean removeEldestEntry(Map.Entry<GrammarSpec, CompletableFuture<Grammar>> eldest) {
            return size() > KEPT && eldest.getValue().isDone();
        }
    };

    /** @param vocabulary called once, when the first grammar comes */
    public GrammarCompiler(Supplier<GrammarVocabulary> vocabulary) {
        this(vocabulary, DEFAULT_LIMIT);
    }

    /** @param limit most time for one grammar, waiting for a thread included */
    public GrammarCompiler(Supplier<GrammarVocabulary> vocabulary, Duration limit) {
        this.vocabularySource = vocabulary;
        this.limit = limit;
        this.pool = new ThreadPoolExecutor(
                THREADS, THREADS, 10, TimeUnit.SECONDS, new ArrayBlockingQueue<>(QUEUE), work -> {
                    Thread thread = new Thread(null, work, "grammar", STACK_BYTES);
                    thread.setDaemon(true);
                    return thread;
                });
        pool.allowCoreThreadTimeOut(true);
    }

    /**
     * The compiled grammar; waits for it.
     *
     * @throws EngineException INVALID_REQUEST naming the construct that cannot be served, or because it took too long;
     *     UNAVAILABLE when too many are being compiled
     */
    public Grammar compile(GrammarSpec spec) {
        CompletableFuture<Grammar> future = find(spec);
        try {
            return future.get(limit.toMillis() + 1_000, TimeUnit.MILLISECONDS);
        } catch (ExecutionException e) {
            forget(spec, future);
            throw failure(spec, e.getCause());
        } catch (TimeoutException e) {
            forget(spec, future);
            throw GrammarFault.of(spec.kind().field(), "it took more than " + limit.toSeconds() + " s to compile");
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new EngineException(EngineException.Code.UNAVAILABLE, "interrupted while a grammar was compiled");
        }
    }

    private synchronized CompletableFuture<Grammar> find(GrammarSpec spec) {
        CompletableFuture<Grammar> known = kept.get(spec);
        if (known != null) {
            return known;
        }
        CompletableFuture<Grammar> made = new CompletableFuture<>();
        Deadline deadline = new Deadline(spec.kind().field(), limit);
        try {
            pool.execute(() -> {
                try {
                    Grammar grammar = compileNow(spec, deadline);
                    boolean ready =
                            grammar.masks().prepare(new Deadline(spec.kind().field(), PREPARE));
                    made.complete(grammar);
                    if (!ready) {
                        grammar.masks().prepare(new Deadline(spec.kind().field(), PREPARE_BESIDE));
                    }
                } catch (Throwable t) {
                    made.completeExceptionally(t);
                }
            });
        } catch (RejectedExecutionException e) {
            throw new EngineException(
                    EngineException.Code.UNAVAILABLE, "Too many grammars are being compiled; try again later.");
        }
        kept.put(spec, made);
        return made;
    }

    private synchronized void forget(GrammarSpec spec, CompletableFuture<Grammar> future) {
        kept.remove(spec, future);
    }

    private static EngineException failure(GrammarSpec spec, @Nullable Throwable cause) {
        return switch (cause) {
            case EngineException known -> new EngineException(known.code(), String.valueOf(known.getMessage()), known);
            case StackOverflowError deep -> GrammarFault.of(spec.kind().field(), "it is nested too deeply");
            case null, default -> {
                EngineException fault = new EngineException(
                        EngineException.Code.INTERNAL, spec.kind().field() + ": compiling it failed: " + cause);
                if (cause != null) {
                    fault.initCause(cause);
                }
                yield fault;
            }
        };
    }

    private synchronized GrammarVocabulary vocabulary() {
        GrammarVocabulary known = vocabulary;
        if (known == null) {
            known = vocabularySource.get();
            vocabulary = known;
        }
        return known;
    }

    private Grammar compileNow(GrammarSpec spec, Deadline deadline) {
        deadline.check();
        GrammarVocabulary tokens = vocabulary();
        String field = spec.kind().field();
        if (tokens.anyEnd() < 0) {
            throw GrammarFault.of(field, "this model has no end token, so a constrained answer could not end");
        }
        Rules rules = Rules.of(spec);
        Program program = ProgramBuilder.build(rules.byName(), rules.start(), tokens.writable(), field, deadline);
        MaskTable masks = new MaskTable(program, tokens.trie(), deadline);
        return new Grammar(spec, program, masks, tokens);
    }

    /** Ends the threads. */
    @Override
    public void close() {
        pool.shutdownNow();
    }
}
