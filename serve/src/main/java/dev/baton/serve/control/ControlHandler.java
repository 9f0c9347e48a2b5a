package dev.baton.serve.control;

import dev.baton.engine.Engine;
import dev.baton.engine.EngineException;
import dev.baton.protocol.ProfileRequest;
import dev.baton.protocol.request.ControlRequests;
import dev.baton.serve.ServeException;
import dev.baton.serve.generate.Failures;
import dev.baton.serve.http.Exchange;
import java.time.Instant;
import java.util.Locale;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;

/**
 * {@code /flush_cache}, {@code /abort_request}, {@code /slow_down}, the profile and expert recording endpoints. A reply comes when every
 * rank has taken the call; no thread waits for it.
 */
public final class ControlHandler {
    /** The longest that a rank may sleep or write a trace before its caller is told that it does not answer. */
    private static final long DEADLINE_SECONDS = 1_800;

    private static final String FLUSHED = "Cache flushed.\nPlease check backend logs for more details."
            + " (When there are running or waiting requests, the operation will not be performed.)\n";

    private final Engine engine;
    private final Failures failures;

    public ControlHandler(Engine engine, Failures failures) {
        this.engine = engine;
        this.failures = failures;
    }

    /** {@code /flush_cache}: 400 with the same text when requests are there. */
    public void flushCache(Exchange exchange) {
        when(exchange, engine.flushCache(), flushed -> exchange.respond(flushed ? 200 : 400, Exchange.TEXT, FLUSHED));
    }

    /** {@code /abort_request}: by prefix; an id that nobody has is no error. */
    public void abort(Exchange exchange) {
        ControlRequests.Abort body = ControlRequests.abort(exchange.body());
        if (body.all()) {
            engine.abortAll();
        } else if (!body.rid().isEmpty()) {
            engine.abort(body.rid());
        }
        exchange.respond(200, Exchange.TEXT, new byte[0]);
    }

    /** {@code /slow_down}. */
    public void slowDown(Exchange exchange) {
        double seconds = ControlRequests.slowDownSeconds(exchange.body());
        when(exchange, engine.slowDown(seconds), done -> exchange.respond(200, Exchange.JSON, "null"));
    }

    /** {@code /start_profile}. */
    public void startProfile(Exchange exchange) {
        Instant now = Instant.now();
        String id = String.format(Locale.ROOT, "%d.%07d", now.getEpochSecond(), now.getNano() / 100);
        ProfileRequest body = ControlRequests.profile(exchange.body(), id);
        if (body.profileByStage() && body.numSteps() == null) {
            throw new ServeException(
                    ServeException.Code.BAD_REQUEST,
                    "profile_by_stage needs num_steps: say how many steps of each stage to record.");
        }
        orMisuse(exchange, engine.startProfile(body), "Start profiling.\n");
    }

    /** {@code /stop_profile} and {@code /end_profile}. */
    public void stopProfile(Exchange exchange) {
        orMisuse(exchange, engine.stopProfile(), "Stop profiling. This will take some time.\n");
    }

    /** {@code /start_expert_distribution_record}. */
    public void startExpertRecord(Exchange exchange) {
        orMisuse(exchange, engine.experts().start(), "Start recording the expert distribution.\n");
    }

    /** {@code /stop_expert_distribution_record}. */
    public void stopExpertRecord(Exchange exchange) {
        orMisuse(exchange, engine.experts().stop(), "Stop recording the expert distribution.\n");
    }

    /** {@code /dump_expert_distribution_record}. */
    public void dumpExpertRecord(Exchange exchange) {
        orMisuse(exchange, engine.experts().dump(), "Dump expert distribution record.\n");
    }

    /** Misuse is 500 with a plain text, as the dialect has it; the text says what was wrong. */
    private void orMisuse(Exchange exchange, CompletableFuture<Void> future, String text) {
        future.orTimeout(DEADLINE_SECONDS, TimeUnit.SECONDS).whenComplete((done, fault) -> {
            Throwable cause = cause(fault);
            if (cause == null) {
                exchange.respond(200, Exchange.TEXT, text);
            } else if (cause instanceof EngineException e) {
                exchange.respond(500, Exchange.TEXT, e.getMessage() + "\n");
            } else {
                failures.answer(exchange, fault(cause));
            }
        });
    }

    private <T> void when(Exchange exchange, CompletableFuture<T> future, Consumer<T> answer) {
        future.orTimeout(DEADLINE_SECONDS, TimeUnit.SECONDS).whenComplete((value, fault) -> {
            Throwable cause = cause(fault);
            if (cause == null) {
                answer.accept(value);
            } else {
                failures.answer(exchange, fault(cause));
            }
        });
    }

    private static Throwable cause(Throwable fault) {
        return fault instanceof CompletionException && fault.getCause() != null ? fault.getCause() : fault;
    }

    private static Throwable fault(Throwable cause) {
        return cause instanceof TimeoutException
                ? new ServeException(
                        ServeException.Code.UNAVAILABLE,
                        "The engine did not answer within " + DEADLINE_SECONDS + " seconds.")
                : cause;
    }
}
