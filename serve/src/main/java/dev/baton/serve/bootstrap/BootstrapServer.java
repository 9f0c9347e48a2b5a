package dev.baton.serve.bootstrap;

import dev.baton.protocol.ProtocolException;
import dev.baton.protocol.reply.JsonBytes;
import dev.baton.protocol.request.RouteRegistration;
import dev.baton.serve.ServeException;
import dev.baton.serve.generate.Failures;
import dev.baton.serve.http.AccessLog;
import dev.baton.serve.http.Exchange;
import dev.baton.serve.http.HttpLimits;
import dev.baton.serve.http.HttpServer;
import dev.baton.serve.http.Routes;
import dev.baton.serve.http.Transport;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * The registry of one prefill deployment: ranks put themselves in, decode servers ask for them. A rank that registers
 * again (a prefill server that was started anew) replaces its entry. Two prefill servers cannot share one: the second
 * finds the port in use.
 */
public final class BootstrapServer implements AutoCloseable {
    private static final System.Logger LOG = System.getLogger(BootstrapServer.class.getName());
    private static final int BODY_BYTES = 64 << 10;
    private static final int CONNECTIONS = 8_192;

    /** Ranks kept; more than any deployment has, so that a stranger cannot fill the memory. */
    private static final int MAX_RANKS = 65_536;

    private record Key(int dpGroup, int tpRank, int ppRank) {}

    private final Map<Key, RouteRegistration> ranks = new ConcurrentHashMap<>();
    private final HttpServer http;

    private volatile @Nullable RouteRegistration latest;

    private BootstrapServer(String host, int port) {
        Routes routes = new Routes()
                .add("PUT", "/route", this::register)
                .add("GET", "/route", this::find)
                .add("GET", "/health", exchange -> exchange.respond(200, Exchange.TEXT, "OK"));
        http = new HttpServer(
                new HttpServer.Config(
                        host,
                        port,
                        1,
                        Transport.best(),
                        HttpLimits.DEFAULT.withBodyBytes(BODY_BYTES).withConnections(CONNECTIONS),
                        AccessLog.of(false),
                        Runnable::run,
                        HttpServer.AnswerListener.NONE),
                routes,
                new Failures());
    }

    /**
     * Binds and serves.
     *
     * @throws ServeException BIND when the port is taken: by another prefill server, most likely
     */
    public static BootstrapServer start(String host, int port) {
        try {
            return new BootstrapServer(host, port);
        } catch (ServeException e) {
            throw new ServeException(
                    e.code(),
                    "The bootstrap server cannot start: " + e.getMessage()
                            + " Each prefill server needs its own --disaggregation-bootstrap-port.",
                    e);
        }
    }

    public int port() {
        return http.port();
    }

    /** Ranks registered. */
    public int registered() {
        return ranks.size();
    }

    private void register(Exchange exchange) {
        RouteRegistration rank;
        try {
            rank = RouteRegistration.read(exchange.body());
        } catch (ProtocolException e) {
            exchange.respond(400, Exchange.TEXT, e.getMessage());
            return;
        }
        Key key = new Key(rank.dpGroup(), rank.attentionTpRank(), rank.ppRank());
        if (ranks.size() >= MAX_RANKS && !ranks.containsKey(key)) {
            exchange.respond(400, Exchange.TEXT, "Too many ranks.");
            return;
        }
        RouteRegistration before = latest;
        if (before != null && !sameShape(before, rank)) {
            LOG.log(
                    System.Logger.Level.WARNING,
                    "A prefill server of another shape registers; the {0} ranks known so far are forgotten.",
                    ranks.size());
            ranks.clear();
        }
        latest = rank;
        RouteRegistration replaced = ranks.put(key, rank);
        if (replaced != null && !(replaced.host().equals(rank.host()) && replaced.port() == rank.port())) {
            LOG.log(
                    System.Logger.Level.WARNING,
                    "Prefill rank DP{0} TP{1} PP{2} registers again: {3}:{4} replaces {5}:{6}.",
                    key.dpGroup(),
                    key.tpRank(),
                    key.ppRank(),
                    rank.host(),
                    Integer.toString(rank.port()),
                    replaced.host(),
                    Integer.toString(replaced.port()));
        }
        exchange.respond(200, Exchange.TEXT, "OK");
    }

    private static boolean sameShape(RouteRegistration a, RouteRegistration b) {
        return a.attentionTpSize() == b.attentionTpSize() && a.dpGroups() == b.dpGroups() && a.ppSize() == b.ppSize();
    }

    private void find(Exchange exchange) {
        Integer tp = parameter(exchange, "engine_rank");
        Integer dp = parameter(exchange, "target_dp_group");
        Integer pp = parameter(exchange, "target_pp_rank");
        if (tp == null || dp == null || pp == null) {
            exchange.respond(400, Exchange.TEXT, "Missing inputs for bootstrap server.");
            return;
        }
        RouteRegistration any = latest;
        int expected = any == null ? 1 : any.attentionTpSize() * any.dpGroups() * any.ppSize();
        if (any == null || ranks.size() < expected) {
            String text = "Prefill server not fully registered yet (" + ranks.size() + " workers registered).";
            byte[] body = text.getBytes(java.nio.charset.StandardCharsets.UTF_8);
            exchange.respond(503, Exchange.TEXT, body, body.length, Map.of("retry-after", "1"));
        } else if (tp == -1 && dp == -1 && pp == -1) {
            exchange.respond(200, Exchange.JSON, sizes(any));
        } else {
            RouteRegistration rank = ranks.get(new Key(dp, tp, pp));
            if (rank == null) {
                exchange.respond(
                        404,
                        Exchange.TEXT,
                        "No prefill rank DP" + dp + " TP" + tp + " PP" + pp + " is registered; there are "
                                + any.dpGroups() + " DP groups of " + any.attentionTpSize() + " TP ranks and "
                                + any.ppSize() + " stages.");
            } else {
                exchange.respond(200, Exchange.JSON, address(rank));
            }
        }
    }

    private static @Nullable Integer parameter(Exchange exchange, String name) {
        String value = exchange.query(name);
        try {
            return value == null ? null : Integer.valueOf(value);
        } catch (NumberFormatException e) {
            return null;
        }
    }

    private static byte[] sizes(RouteRegistration any) {
        JsonBytes out = new JsonBytes(128).raw('{');
        out.key("prefill_attn_tp_size").number(any.attentionTpSize());
        out.key("prefill_dp_size").number(any.dpGroups());
        out.key("prefill_pp_size").number(any.ppSize());
        for (String name : List.of("page_size", "kv_cache_dtype")) {
            Object value = any.more().get(name);
            if (value != null) {
                out.key(name).value(value);
            }
        }
        return out.raw('}').toByteArray();
    }

    private static byte[] address(RouteRegistration rank) {
        JsonBytes out = new JsonBytes(128).raw('{');
        out.key("rank_ip").string(rank.host());
        out.key("rank_port").number(rank.port());
        rank.more().forEach((name, value) -> out.key(name).value(value));
        return out.raw('}').toByteArray();
    }

    @Override
    public void close() {
        http.close();
    }
}
