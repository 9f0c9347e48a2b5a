package dev.baton.serve.router;

import dev.baton.protocol.ProtocolException;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.CompositeByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.handler.codec.http.FullHttpRequest;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.handler.codec.http.HttpResponse;
import io.netty.util.concurrent.Future;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * One inference request on its way through the router: to one worker, or to a prefill and a decode server at once whose
 * answer is the decode server's. Until the first byte of an answer has gone to the client a failed attempt may be
 * repeated, with other workers and a new room. Touched by the client's event loop only.
 */
final class ProxyExchange implements ClientConnection.Work, Admission.Applicant, UpstreamCall.Listener {
    /** Largest error answer that is kept to be passed on. */
    private static final int LARGEST_ERROR_BYTES = 1 << 20;

    /** How long a prefill server may take to finish an answer that nobody waits for. */
    private static final int DRAIN_SECONDS = 30;

    private final RouterCore core;
    private final UpstreamPool pool;
    private final ClientConnection client;
    private final FullHttpRequest request;
    private final String route;
    private final boolean pair;
    private final long startNanos = System.nanoTime();
    private final List<Worker> failedOn = new ArrayList<>(2);
    private @Nullable BodyScan scan;
    private @Nullable Future<?> deadline;
    private int attempt;
    private boolean admitted;
    private boolean finished;

    private @Nullable UpstreamCall primary;
    private @Nullable UpstreamCall side;
    private @Nullable HttpResponse primaryHead;
    private @Nullable HttpResponse sideHead;
    private @Nullable CompositeByteBuf primaryBody;
    private @Nullable CompositeByteBuf sideBody;
    private boolean committed;
    private boolean stream;
    private boolean atLineEnd = true;
    private @Nullable LogprobMerge merge;

    ProxyExchange(RouterCore core, UpstreamPool pool, ClientConnection client, FullHttpRequest request, String route) {
        this.core = core;
        this.pool = pool;
        this.client = client;
        this.request = request;
        this.route = route;
        this.pair = core.fleet().disaggregated();
    }

    /** Looks at the body and asks for a place. */
    ProxyExchange start() {
        core.metrics().request(route);
        try {
            if (pair || core.fleet().needsPrompt()) {
                ByteBuf body = request.content();
                scan = BodyScan.of(ByteBufUtil.getBytes(body), body.readableBytes());
            }
        } catch (ProtocolException e) {
            answerError(400, String.valueOf(e.getMessage()), "bad_request");
            return this;
        }
        core.admission().enter(this, client.loop());
        return this;
    }

    @Override
    public void admitted() {
        admitted = true;
        if (finished) {
            leave();
            return;
        }
        long nanos = (long) (core.config().requestTimeoutSecs() * 1e9);
        deadline = client.loop().schedule(this::timedOut, nanos, TimeUnit.NANOSECONDS);
        attempt();
    }

    @Override
    public void refused(String why) {
        if (!finished) {
            core.metrics().error(route, "queue_full");
            finish();
            client.full(503, "text/plain; charset=utf-8", Unpooled.copiedBuffer(why, StandardCharsets.UTF_8), "1");
            client.done();
        }
    }

    private void attempt() {
        if (finished) {
            return;
        }
        Policy.Prompt prompt = scan == null ? null : scan.prompt();
        Fleet fleet = core.fleet();
        Worker main = fleet.choose(pair ? Worker.Role.DECODE : Worker.Role.REGULAR, prompt, failedOn);
        Worker prefill = pair ? fleet.choose(Worker.Role.PREFILL, prompt, failedOn) : null;
        if (main == null || (pair && prefill == null)) {
            String role = !pair ? "workers" : main == null ? "decode workers" : "prefill workers";
            answerError(503, "No available servers: no healthy " + role + " with a closed circuit.", "no_workers");
            return;
        }
        primaryHead = null;
        sideHead = null;
        if (prefill == null) {
            UpstreamCall only = call(main, request.content().retainedDuplicate());
            primary = only;
            pool.send(only);
            return;
        }
        BodyScan found = java.util.Objects.requireNonNull(scan);
        ByteBuf body = BootstrapFields.add(request.content(), found, prefill.address(), ThreadLocalRandom.current());
        merge = found.returnLogprob() && route.equals("/generate") ? new LogprobMerge(found.stream()) : null;
        UpstreamCall toPrefill = call(prefill, body.retainedDuplicate());
        UpstreamCall toDecode = call(main, body);
        side = toPrefill;
        primary = toDecode;
        pool.send(toPrefill);
        // A prefill server that refuses at once has ended this attempt already.
        if (!toDecode.ended()) {
            pool.send(toDecode);
        }
    }

    private UpstreamCall call(Worker worker, ByteBuf body) {
        HttpHeaders headers = core.forwardedHeaders(request.headers(), worker, body.readableBytes());
        return new UpstreamCall(worker, this, request.method(), request.uri(), headers, body);
    }

    // ---- what the workers answer

    @Override
    public void head(UpstreamCall call, HttpResponse head) {
        if (call == primary) {
            primaryHead = head;
        } else if (call == side) {
            sideHead = head;
        }
    }

    @Override
    public void content(UpstreamCall call, ByteBuf bytes) {
        if (finished || (call != side && call != primary)) {
            bytes.release();
        } else if (call == side) {
            if (failed(sideHead) || merge != null) {
                sideBody = collect(sideBody, bytes);
            } else {
                bytes.release();
            }
        } else if (failed(primaryHead) || (merge != null && !merge.streams())) {
            primaryBody = collect(primaryBody, bytes);
        } else if (merge != null) {
            relayMerged(merge, bytes);
        } else {
            relay(bytes);
        }
    }

    private void relay(ByteBuf bytes) {
        commit();
        atLineEnd = bytes.getByte(bytes.writerIndex() - 1) == '\n';
        client.content(bytes);
        if (!client.writable() && primary != null) {
            primary.pause();
        }
    }

    private void relayMerged(LogprobMerge merging, ByteBuf bytes) {
        ByteBuf merged = merging.decode(bytes);
        if (merged != null) {
            relay(merged);
        }
    }

    /** The answer goes to the client from here on: no more attempts. */
    private void commit() {
        if (!committed) {
            committed = true;
            HttpResponse head = java.util.Objects.requireNonNull(primaryHead);
            stream = head.headers().get(HttpHeaderNames.CONTENT_TYPE, "").startsWith("text/event-stream");
            client.head(head);
        }
    }

    private @Nullable CompositeByteBuf collect(@Nullable CompositeByteBuf into, ByteBuf bytes) {
        CompositeByteBuf body = into == null ? client.channel().alloc().compositeBuffer(4096) : into;
        long largest = merge == null ? LARGEST_ERROR_BYTES : core.config().maxPayloadSize();
        if (body.readableBytes() + bytes.readableBytes() > largest) {
            bytes.release();
        } else {
            body.addComponent(true, bytes);
        }
        return body;
    }

    @Override
    public void readComplete(UpstreamCall call) {
        if (call == primary && committed && !finished) {
            client.flush();
        }
    }

    @Override
    public void end(UpstreamCall call) {
        HttpResponse head = call == side ? sideHead : primaryHead;
        int status = head == null ? 502 : head.status().code();
        record(call, status < 500);
        if (call == side) {
            endSide(call, status);
        } else if (call == primary && !finished) {
            if (failed(head)) {
                primaryFailed(call, status, null);
            } else if (merge != null && (side == null || !side.ended())) {
                return; // the prefill server's half comes later
            } else {
                complete();
            }
        }
    }

    private void endSide(UpstreamCall call, int status) {
        if (finished) {
            return;
        }
        if (failed(sideHead)) {
            sideFailed(call, status, null);
        } else if (merge != null) {
            ByteBuf held = merge.prefill(sideBody == null ? Unpooled.EMPTY_BUFFER : sideBody);
            if (held != null) {
                relay(held);
                client.flush();
            }
            if (primary != null && primary.ended()) {
                complete();
            }
        }
    }

    /** The whole answer is here. */
    private void complete() {
        if (merge != null && !merge.streams()) {
            HttpResponse head = java.util.Objects.requireNonNull(primaryHead);
            ByteBuf merged = merge.whole(primaryBody == null ? Unpooled.EMPTY_BUFFER : primaryBody);
            finish();
            client.full(
                    head.status().code(),
                    head.headers().get(HttpHeaderNames.CONTENT_TYPE, "application/json"),
                    merged,
                    null);
        } else {
            commit();
            finish();
            client.endContent();
        }
        client.done();
    }

    @Override
    public void failed(UpstreamCall call, String why) {
        record(call, false);
        if (finished) {
            return;
        }
        if (call == side) {
            sideFailed(call, 502, why);
        } else if (call == primary) {
            primaryFailed(call, 502, why);
        }
    }

    // ---- failures

    private void primaryFailed(UpstreamCall call, int status, @Nullable String why) {
        String name = pair ? "Decode" : "Worker";
        core.log(name + " " + call.worker().url() + (why != null ? " " + why : " answered " + status) + " (" + route
                + ")");
        if (pair) {
            core.metrics().pdError(committed ? "decode_stream" : "decode");
        }
        failedOn.add(call.worker());
        if (committed) {
            brokenOff(name + " server error: " + call.worker().url() + " " + why + ".");
        } else if (!again(status)) {
            if (why != null) {
                answerError(502, name + " server error: " + call.worker().url() + " " + why + ".", "upstream");
            } else {
                passOn(java.util.Objects.requireNonNull(primaryHead), primaryBody);
            }
        }
    }

    private void sideFailed(UpstreamCall call, int status, @Nullable String why) {
        core.metrics().pdError("prefill");
        String said = why != null ? why : "answered " + status + ": " + shown(sideBody);
        core.log("Prefill " + call.worker().url() + " " + said + " (" + route + ")");
        failedOn.add(call.worker());
        if (committed && merge == null) {
            return; // the decode server already answers, so it has the prompt's cache
        }
        if (committed) {
            brokenOff("Prefill server error: " + call.worker().url() + " " + said + ".");
        } else if (!again(status)) {
            if (status < 500 && why == null) {
                passOn(java.util.Objects.requireNonNull(sideHead), sideBody);
            } else {
                answerError(
                        502,
                        "Prefill server error: " + call.worker().url() + " " + said
                                + ". This will cause decode timeout.",
                        "prefill");
            }
        }
    }

    /** Plans another attempt if one is left and could help. */
    private boolean again(int status) {
        RouterConfig config = core.config();
        if (config.disableRetries() || !Backoff.retryable(status)) {
            return false;
        }
        if (attempt >= config.retryMaxRetries()) {
            core.metrics().retriesExhausted(route);
            return false;
        }
        attempt++;
        core.metrics().retry(route);
        abortCalls();
        releaseBodies();
        double millis = Backoff.millis(config, attempt, ThreadLocalRandom.current());
        client.loop().schedule(this::attempt, (long) (millis * 1e6), TimeUnit.NANOSECONDS);
        return true;
    }

    /** The answer broke off after it had begun: a stream is told so, anything else is cut. */
    private void brokenOff(String why) {
        core.metrics().error(route, "broken_off");
        boolean sse = stream;
        String lead = atLineEnd ? "" : "\n\n";
        finish();
        if (sse) {
            String frame = lead + "data: {\"error\":{\"message\":" + RouterCore.quoted(why) + "}}\n\ndata: [DONE]\n\n";
            client.content(Unpooled.copiedBuffer(frame, StandardCharsets.UTF_8));
            client.endContent();
            client.done();
        } else {
            client.channel().close();
        }
    }

    private void timedOut() {
        if (finished) {
            return;
        }
        String why = "The request was not answered within " + core.config().requestTimeoutSecs() + " s.";
        if (committed) {
            brokenOff(why);
        } else {
            answerError(504, why, "timeout");
        }
    }

    private void answerError(int status, String text, String type) {
        core.metrics().error(route, type);
        finish();
        if (status == 400) {
            String json = "{\"error\":{\"message\":" + RouterCore.quoted(text) + "}}";
            client.full(400, "application/json", Unpooled.copiedBuffer(json, StandardCharsets.UTF_8), null);
        } else {
            client.text(status, text);
        }
        client.done();
    }

    /** A worker's own error answer. */
    private void passOn(HttpResponse head, @Nullable ByteBuf body) {
        core.metrics().error(route, "upstream_" + head.status().code());
        ByteBuf copy = body == null ? Unpooled.EMPTY_BUFFER : body.retainedDuplicate();
        finish();
        client.full(
                head.status().code(),
                head.headers().get(HttpHeaderNames.CONTENT_TYPE, "text/plain"),
                copy,
                head.headers().get(HttpHeaderNames.RETRY_AFTER));
        client.done();
    }

    // ---- the end

    @Override
    public void writable() {
        if (primary != null) {
            primary.resume();
        }
    }

    @Override
    public void clientGone() {
        if (!finished) {
            core.metrics().error(route, "client_gone");
            finish();
        }
    }

    /** Ends this exchange's part; what is still open at the workers is aborted, a good prefill answer only drained. */
    private void finish() {
        if (finished) {
            return;
        }
        finished = true;
        if (deadline != null) {
            deadline.cancel(false);
        }
        boolean answered = primary != null && primary.ended() && !failed(primaryHead) && committed;
        if (answered && side != null && !side.ended()) {
            UpstreamCall draining = side;
            client.loop().schedule(draining::abort, DRAIN_SECONDS, TimeUnit.SECONDS);
        } else {
            abortCalls();
        }
        releaseBodies();
        core.metrics().ended(route, System.nanoTime() - startNanos);
        if (admitted) {
            leave();
        }
    }

    private void leave() {
        core.admission().leave();
    }

    private void abortCalls() {
        if (primary != null) {
            primary.abort();
        }
        if (side != null) {
            side.abort();
        }
        primary = null;
        side = null;
    }

    private void releaseBodies() {
        if (primaryBody != null) {
            primaryBody.release();
            primaryBody = null;
        }
        if (sideBody != null) {
            sideBody.release();
            sideBody = null;
        }
        if (merge != null) {
            merge.close();
            merge = null;
        }
    }

    private void record(UpstreamCall call, boolean success) {
        call.worker().breaker().record(success);
        core.metrics().outcome(call.worker(), success);
    }

    private static boolean failed(@Nullable HttpResponse head) {
        return head != null && (head.status().code() < 200 || head.status().code() > 299);
    }

    private static String shown(@Nullable ByteBuf body) {
        return body == null
                ? ""
                : body.toString(body.readerIndex(), Math.min(body.readableBytes(), 500), StandardCharsets.UTF_8)
                        .strip();
    }
}
