package dev.baton.serve.http;

import io.netty.handler.codec.http.HttpResponseStatus;
import java.net.InetSocketAddress;
import org.jspecify.annotations.Nullable;

/** One line a request in uvicorn's form: {@code INFO:     IP:PORT - "POST /generate HTTP/1.1" 200 OK}. */
public final class AccessLog {
    /** The logger that takes the lines, at level INFO. */
    public static final String LOGGER = "dev.baton.serve.access";

    private static final System.Logger LOG = System.getLogger(LOGGER);
    private static final AccessLog ON = new AccessLog(true);
    private static final AccessLog OFF = new AccessLog(false);

    private final boolean on;

    private AccessLog(boolean on) {
        this.on = on;
    }

    public static AccessLog of(boolean on) {
        return on ? ON : OFF;
    }

    /** {@code exchange} is null for what never became one. */
    void line(InetSocketAddress remote, @Nullable Exchange exchange, int status) {
        if (!on || !LOG.isLoggable(System.Logger.Level.INFO)) {
            return;
        }
        String what = exchange == null
                ? "-"
                : exchange.method() + " " + exchange.uri() + " "
                        + exchange.request().protocolVersion();
        String from = remote.getAddress() == null
                ? remote.toString()
                : remote.getAddress().getHostAddress() + ":" + remote.getPort();
        LOG.log(
                System.Logger.Level.INFO,
                "INFO:     " + from + " - \"" + what + "\" " + HttpResponseStatus.valueOf(status));
    }
}
